"""The plant file's shape. It refuses keys that it does not know."""

from __future__ import annotations

import hashlib
from fnmatch import fnmatchcase
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from contracts.durations import Duration
from contracts.identity import asset_key
from contracts.messages import AlarmClass, Severity
from contracts.plant.cameras import Camera, camera_columns
from contracts.plant.detectors import Detector, Id, Vision
from contracts.plant.panes import Panes
from contracts.plant.sections import Door, Section
from contracts.readings import Column
from contracts.units import check_unit

Pointer = Annotated[str, StringConstraints(pattern=r"^(/([^~/]|~[01])*)*$")]


def _only_known_braces(topic: str) -> str:
    bare = topic.replace("{site}", "").replace("{asset}", "")
    if "{" in bare or "}" in bare:
        raise ValueError(f"expected only {{site}} and {{asset}} in braces, got {topic!r}")
    return topic


def _ucum(code: str) -> str:
    check_unit(code)
    return code


def _ascending(pair: tuple[float, float]) -> tuple[float, float]:
    if pair[0] >= pair[1]:
        raise ValueError(f"expected [low, high] with low < high, got {list(pair)}")
    return pair


MqttTopic = Annotated[
    str,
    StringConstraints(min_length=1, max_length=1024, pattern=r"^[^#+]+$"),
    AfterValidator(_only_known_braces),
]
SparkplugName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=256, pattern=r"^[^#+/]+$"),
    AfterValidator(_only_known_braces),
]
SparkplugMetric = Annotated[
    str,
    StringConstraints(min_length=1, max_length=1024),
    AfterValidator(_only_known_braces),
]
Unit = Annotated[str, AfterValidator(_ucum)]
Range = Annotated[tuple[float, float], AfterValidator(_ascending)]


class Mqtt(Door):
    """The MQTT broker of a site."""

    host: str = "127.0.0.1"
    port: int = Field(default=1883, ge=1, le=65535)
    client_id: str = Field(
        default="vigia-edge", description="keeps the session: unique and lasting", min_length=1
    )
    session_expiry: Duration = Field(
        default=86_400_000_000, description="how long the broker keeps messages for us"
    )


class Kafka(Door):
    """The broker's side."""

    bootstrap: str | None = Field(default=None, description="host:port; default: our own Kafka")
    username: str | None = Field(
        default=None,
        min_length=1,
        description="{room} in it, and in where its password is, is filled in: edge, stream, "
        "exporters, operator (who looks by commands) or admin (who makes topics)",
    )
    mechanism: Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"] = Field(
        default="SCRAM-SHA-512", description="of SASL, by which `username` is let in"
    )
    prefix: Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9._-]{1,100}$")] = "vigia"
    partitions: int = Field(default=4, ge=1, le=1024)
    retention: dict[
        Literal["readings", "aggregates", "detections", "alerts", "dead-letters"], Duration
    ] = Field(default_factory=dict, description="how long topics keep their messages")
    retention_bytes: int = Field(
        default=1_000_000_000, ge=8_388_608, description="bound of one partition, in bytes"
    )


class Spool(Section):
    """What each edge keeps on its disk while Kafka does not answer: readings before frames."""

    folder: str | None = Field(
        default=None, description="each edge has a folder in it; default: .vigia/spool"
    )
    size_bytes: int = Field(
        default=1_000_000_000, ge=0, description="bound for readings; 0: no spool at all"
    )
    frames_bytes: int = Field(
        default=250_000_000, ge=0, description="bound for frames, beside it; the oldest go first"
    )
    backfill_after: Duration = Field(
        default=30_000_000,
        description="what comes to Kafka so long after its receipt is a backfill: nobody is woken",
    )


class Stream(Section):
    """What each worker may take."""

    memory_bytes: int = Field(
        default=4_000_000_000,
        ge=200_000_000,
        description="resident memory beyond which a worker ends, and is started again",
    )


class Rows(Section):
    """How single values become rows. `grid`: times are rounded to multiples of `period`, and a
    value further than `tolerance` from its grid point is dropped and counted. `exact`: values
    with the same time are a row."""

    by: Literal["grid", "exact"] = "grid"
    period: Duration = Field(default=1_000_000, gt=0)
    tolerance: Duration | None = Field(default=None, description="default: half the period")
    missing: Literal["gap", "hold"] = Field(
        default="gap", description="a value that did not come: a gap, or the last one held"
    )
    hold: Duration = Field(default=5_000_000, description="for how long a value may be held")

    @property
    def tolerance_us(self) -> int:
        """The tolerance in force."""
        return self.period // 2 if self.tolerance is None else self.tolerance


class Still(Section):
    """A signal that may not stand still: it is stuck when for `after` all its values lie `within`
    each other, outside of `rest`."""

    after: Duration = Field(gt=0)
    within: float = Field(
        default=0.0, ge=0, description="changes up to this, in `unit`, are none: the resolution"
    )
    rest: Range | None = Field(
        default=None, description="values at which it may stand still, as that of a closed valve"
    )


class Jump(Section):
    """How fast a signal can change: by `step` at once, and by `rate` a second. A reading that is
    further from the last one believed jumped; where the readings stay there for `settle`, they are
    believed from then on."""

    rate: float = Field(gt=0, description="in `unit` a second")
    step: float = Field(default=0.0, ge=0, description="in `unit`: noise, and the resolution")
    settle: Duration = Field(default=10_000_000, gt=0)


class Sparkplug(Section):
    """A metric of Sparkplug B; {site} and {asset} are filled in."""

    group: SparkplugName
    node: SparkplugName = Field(description="the edge node")
    device: SparkplugName | None = Field(default=None, description="none: a metric of the node's")
    metric: SparkplugMetric

    def at(self, site: str, asset: str) -> Sparkplug:
        """Of one asset."""
        filled = {name: text and text.format(site=site, asset=asset) for name, text in self}
        return Sparkplug.model_construct(**filled)


class Signal(Section):
    """One measured value of an asset and where it is found: at a place in the JSON payloads of a
    `topic`, or as a metric of `sparkplug`, which has a time of its own."""

    id: Id
    name: str = ""
    topic: MqttTopic | None = Field(
        default=None, description="MQTT topic; {site} and {asset} are filled in"
    )
    sparkplug: Sparkplug | None = Field(
        default=None, description="in the place of topic, pointer, items and time"
    )
    pointer: Pointer = Field(default="/value", description="JSON pointer (RFC 6901) of the value")
    items: Pointer | None = Field(
        default=None, description="JSON pointer of an array of values; the others start there"
    )
    time: Pointer | None = Field(
        default=None, description="JSON pointer of the source's time; none: time of arrival"
    )
    time_format: Literal["us", "ms", "s", "iso8601"] = "ms"
    unit: Unit = Field(default="1", description="UCUM code in which the value is kept")
    source_unit: Unit | None = Field(
        default=None, description="UCUM code in which it is sent, when that is another"
    )
    range: Range | None = Field(default=None, description="what is physically possible, in `unit`")
    period: Duration | None = Field(default=None, description="expected; default: the rows'")
    stuck: Still | None = Field(
        default=None, description="when it is stuck; default: it may stand still for ever"
    )
    jump: Jump | None = Field(
        default=None, description="how fast it can change; default: as fast as it likes"
    )

    @model_validator(mode="after")
    def _from_one_place(self) -> Self:
        if (self.topic is None) == (self.sparkplug is None):
            raise ValueError("expected one of topic and sparkplug")
        if self.sparkplug is not None and (
            self.items is not None or self.time is not None or self.pointer != "/value"
        ):
            raise ValueError("expected no pointer, items or time beside sparkplug")
        return self

    @property
    def clock(self) -> Literal["arrival", "source"]:
        """Whose clock says when a value was."""
        return "arrival" if self.time is None and self.sparkplug is None else "source"

    def sparkplug_of(self, asset: str) -> Sparkplug | None:
        """The metric that it is of an asset (`site/asset`), if it is one."""
        return None if self.sparkplug is None else self.sparkplug.at(*asset.split("/"))

    def heard_at(self, asset: str) -> str:
        """The MQTT topic of its values, of an asset."""
        site, name = asset.split("/")
        if (one := self.sparkplug_of(asset)) is None:
            return (self.topic or "").format(site=site, asset=name)
        if one.device is None:
            return f"spBv1.0/{one.group}/NDATA/{one.node}"
        return f"spBv1.0/{one.group}/DDATA/{one.node}/{one.device}"


class SignalSet(Section):
    """The signals that assets of one kind have, and how they are put together."""

    rows: Rows = Rows()
    lateness: Duration = Field(
        default=1_000_000, description="how far behind the newest row others may still come"
    )
    idle: Duration = Field(
        default=5_000_000, gt=0, description="silence after which the edge says so"
    )
    ahead: Duration = Field(
        default=60_000_000,
        description="a time further ahead of the clock is a dead letter, unless there is a `skew`",
    )
    skew: Duration | None = Field(
        default=None,
        gt=0,
        description="how far a source's clock may be off; beyond it its readings are stamped by "
        "arrival and not used. Default: only `ahead` counts",
    )
    signals: tuple[Signal, ...] = Field(min_length=1, max_length=1024)


class Asset(Section):
    """A thing that is watched: by its sensors, or by a camera."""

    id: Id
    name: str = ""
    signals: Id | None = Field(default=None, description="the signal set that it has")
    camera: Camera | None = Field(default=None, description="the camera that watches it")

    @model_validator(mode="after")
    def _watched_by_one(self) -> Self:
        if (self.signals is None) == (self.camera is None):
            raise ValueError("expected one of signals and camera")
        return self


class Site(Section):
    """A place with one edge agent."""

    id: Id
    name: str = ""
    assets: tuple[Asset, ...] = Field(min_length=1)


def sensor_columns(group: SignalSet) -> tuple[Column, ...]:
    """The columns of an asset with these signals."""
    return tuple(Column(signal.id, signal.unit, signal.clock) for signal in group.signals)


class AlarmRule(Section):
    """When a detector's results become an alarm.

    It is raised once results have been abnormal for `on_delay` (event time), and cleared once
    the score has stayed below the threshold by `deadband` (a fraction of it) for `off_delay`.
    """

    id: Id
    name: str = ""
    detector: Id
    alarm_class: AlarmClass = Field(default=AlarmClass.PROCESS, alias="class")
    severity: Severity = Severity.WARNING
    on_delay: Duration = 0
    off_delay: Duration = 0
    deadband: float = Field(default=0.0, ge=0.0, lt=1.0)


class Plant(Section):
    """A whole plant file."""

    vigia: Literal[1] = Field(description="version of this file's format")
    mqtt: Mqtt = Mqtt()
    kafka: Kafka = Kafka()
    spool: Spool = Spool()
    stream: Stream = Stream()
    sites: tuple[Site, ...] = Field(min_length=1)
    signal_sets: dict[Id, SignalSet] = Field(default_factory=dict)
    detectors: tuple[Detector, ...] = ()
    alarms: tuple[AlarmRule, ...] = ()

    @property
    def hash(self) -> str:
        """The first 16 hexadecimal digits of the SHA-256 of what the file means."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]

    def assets(self) -> dict[str, Asset]:
        """Every asset under its key (`site/asset`), in the file's order."""
        return {asset_key(site.id, asset.id): asset for site in self.sites for asset in site.assets}

    def sensed(self) -> dict[str, SignalSet]:
        """The assets that have sensors, each with its signal set."""
        return {
            key: self.signal_sets[asset.signals]
            for key, asset in self.assets().items()
            if asset.signals is not None
        }

    def cameras(self) -> dict[str, Camera]:
        """The assets that a camera watches."""
        return {key: one.camera for key, one in self.assets().items() if one.camera is not None}

    def columns(self) -> dict[str, tuple[Column, ...]]:
        """What is measured of each asset, in the order of its reading batches."""
        found = {key: sensor_columns(group) for key, group in self.sensed().items()}
        for key, camera in self.cameras().items():
            models = [one.id for one in self.detectors_of(key) if isinstance(one, Vision)]
            found[key] = camera_columns(camera, models)
        return {key: found[key] for key in self.assets()}

    def panes(self) -> dict[str, Panes]:
        """The assets that have windows made from panes, and the panes of each."""
        found: dict[str, Panes] = {}
        for asset in self.assets():
            for one in self.detectors_of(asset):
                if one.window.pane is not None:
                    new = Panes(one.window.pane, one.window.lateness)
                    found[asset] = found.get(asset, new).keeping(one.needs_of_panes())
        return found

    def detectors_of(self, asset: str) -> tuple[Detector, ...]:
        """The detectors that look at `asset`."""
        return tuple(
            detector
            for detector in self.detectors
            if any(fnmatchcase(asset, pattern) for pattern in detector.assets)
        )

    def rules_of(self, detector: str) -> tuple[AlarmRule, ...]:
        """The alarm rules that a detector's results feed."""
        return tuple(rule for rule in self.alarms if rule.detector == detector)
