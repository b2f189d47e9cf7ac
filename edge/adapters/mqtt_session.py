"""How a session with an MQTT broker is asked for, by what the plant file says of it."""

from __future__ import annotations

from dataclasses import dataclass

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from broker.secrets import read_secret
from broker.tls import tls_context
from contracts.plant.model import Mqtt
from edge.adapters.mqtt_link import CONNECT_S
from edge.adapters.mqtt_wire import WiredClient

KEEP_ALIVE_S = 20
ANSWER_S = 3
FIVE, THREE = MQTTProtocolVersion.MQTTv5, MQTTProtocolVersion.MQTTv311


@dataclass(frozen=True, slots=True)
class Session:
    """One that lasts as long as `settings` say, or (not `lasting`) is gone with its connection and
    has a name of the broker's choice. At most `limit` messages are unacknowledged; in MQTT 3.1.1
    the broker itself decides how many."""

    settings: Mqtt
    version: MQTTProtocolVersion
    limit: int
    lasting: bool = True

    @property
    def patience_s(self) -> float:
        """How long the broker may take to answer. Some never answer a version that they do not
        know."""
        return ANSWER_S if self.version == FIVE else CONNECT_S

    def client(self) -> WiredClient:
        """Not connected. Raises ConfigError for a file or a secret that cannot be read."""
        settings = self.settings
        client = WiredClient(
            CallbackAPIVersion.VERSION2,
            client_id=settings.client_id if self.lasting else "",
            clean_session=None if self.version == FIVE else not self.lasting,
            protocol=self.version,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        client.connect_timeout = CONNECT_S
        if settings.username is not None:
            password = read_secret(settings.password) if settings.password else None
            client.username_pw_set(settings.username, password)
        if (context := tls_context(settings, "mqtt")) is not None:
            client.tls_set_context(context)
        return client

    def connect(self, client: mqtt.Client) -> MQTTErrorCode:
        """Blocks; raises OSError or ValueError."""
        settings = self.settings
        if self.version != FIVE:
            return client.connect(settings.host, settings.port, KEEP_ALIVE_S)
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        expiry_s = settings.session_expiry // 1_000_000 if self.lasting else 0
        properties.SessionExpiryInterval = min(expiry_s, 0xFFFFFFFF)
        properties.ReceiveMaximum = min(self.limit, 65_535)
        return client.connect(
            settings.host,
            settings.port,
            KEEP_ALIVE_S,
            clean_start=not self.lasting,
            properties=properties,
        )

    def options(self) -> SubscribeOptions | None:
        """For subscriptions: retained messages may be of any age, and are not asked for."""
        if self.version != FIVE:
            return None
        return SubscribeOptions(qos=1, retainHandling=SubscribeOptions.RETAIN_DO_NOT_SEND)
