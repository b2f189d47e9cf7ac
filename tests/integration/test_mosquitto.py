"""Mosquitto as the tests run it keeps a session's messages over a restart."""

from __future__ import annotations

import threading

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from tests.processes.mosquitto import Mosquitto


def connected(broker: Mosquitto, name: str) -> mqtt.Client:
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=name, clean_session=False)
    ready = threading.Event()
    client.on_connect = lambda *_: ready.set()
    client.connect(broker.host, broker.port)
    client.loop_start()
    assert ready.wait(10)
    return client


def gone(client: mqtt.Client) -> None:
    client.disconnect()
    client.loop_stop()


def test_a_session_outlives_a_restart(mosquitto: Mosquitto) -> None:
    subscriber = connected(mosquitto, "subscriber")
    subscribed = threading.Event()
    subscriber.on_subscribe = lambda *_: subscribed.set()
    subscriber.subscribe("a/#", qos=1)
    assert subscribed.wait(10)
    gone(subscriber)
    publisher = connected(mosquitto, "publisher")
    for number in range(200):
        publisher.publish("a/b", str(number), qos=1).wait_for_publish(10)
    gone(publisher)
    mosquitto.stop()
    mosquitto.start()
    found: list[int] = []
    complete = threading.Event()

    def take(_: mqtt.Client, __: object, message: mqtt.MQTTMessage) -> None:
        found.append(int(message.payload))
        if len(found) == 200:
            complete.set()

    again = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="subscriber", clean_session=False)
    again.on_message = take
    again.connect(mosquitto.host, mosquitto.port)
    again.loop_start()
    assert complete.wait(10)
    gone(again)
    assert found == list(range(200))
