"""The decoders, each as a function of bytes that may raise VigiaError and nothing else.

What such a function returns says which of its ways it went. A target imports what it needs when it
is made, so that each process holds one decoder.
"""

from __future__ import annotations

import struct
import tempfile
import zlib
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Decode = Callable[[bytes], Hashable]
PLANT = Path(__file__).parents[1] / "unit" / "plants" / "good" / "pumping.yaml"
CAMERAS = PLANT.with_name("cameras.yaml")
SOURCES = PLANT.with_name("sources.yaml")
_NOW_US = 1_700_000_000_000_000


@dataclass(frozen=True)
class Target:
    """A decoder: `memory_mb` is what it may take beyond what the process began with; `words` mean
    something to it; `mend` makes a checksum right again, so that what is behind it is reached."""

    make: Callable[[], Decode]
    memory_mb: int
    words: tuple[bytes, ...] = ()
    mend: Callable[[bytes], bytes] = bytes


def headed(data: bytes) -> tuple[list[tuple[str, bytes]], bytes]:
    """Headers as lines `name: value`, an empty line, and the value of a message."""
    head, _, value = data.partition(b"\n\n")
    pairs = (line.partition(b": ") for line in head.split(b"\n"))
    return [(name.decode("latin-1"), text) for name, _, text in pairs], value


def _readings() -> Decode:
    import numpy as np

    from contracts.readings import ReadingDecoder

    def decode(data: bytes) -> Hashable:
        headers, value = headed(data)
        decoder = ReadingDecoder()
        one, other = decoder.decode(value, headers), decoder.decode(value, headers)
        # The second is read by what was learned from the first.
        assert np.array_equal(one.times_us, other.times_us)
        assert np.array_equal(one.values, other.values, equal_nan=True)
        assert np.array_equal(one.quality, other.quality)
        return one.values.shape

    return decode


def _detect() -> Decode:
    from contracts.plant import read_plant
    from contracts.readings import ReadingDecoder
    from stream.core.detect import Detect, Fetched
    from stream.core.rules import rule

    plant = read_plant(PLANT.read_bytes())
    detectors = {one.id: found for one in plant.detectors if (found := rule(one)) is not None}
    plant = plant.model_copy(
        update={"detectors": tuple(one for one in plant.detectors if one.id in detectors)}
    )

    def decode(data: bytes) -> Hashable:
        headers, value = headed(data)
        batch = ReadingDecoder().decode(value, headers)
        detect = Detect(plant, detectors)
        detect.assign([0])
        detect.take([Fetched(0, 0, batch)])
        made = detect.score()
        detect.accounts()
        detect.heads()
        return len(made), tuple(sorted(detect.dropped))

    return decode


def _detections() -> Decode:
    from contracts.messages import DetectionBatch, decode_json, encode_json
    from contracts.plant import read_plant
    from contracts.record import Record
    from stream.adapters.decided_log import mark
    from stream.core.alarms import Alarms

    plant = read_plant(PLANT.read_bytes())

    def decode(data: bytes) -> Hashable:
        # Whoever begins reads these before anybody has refused one.
        mark({}, Record("vigia.detections", 0, 0, None, data, [], 0))
        batch = decode_json(DetectionBatch, data)
        alerts, states = Alarms(plant).apply(batch)
        for alert in alerts:
            encode_json(alert)
            (_NOW_US - alert.received_us) / 1e6
        for state in states:
            encode_json(state)
        return len(batch), len(alerts), len(states)

    return decode


def _messages() -> Decode:
    """The topic on the first line, then headers and value: what an exporter, a feed and a person
    are shown of any message."""
    import json

    from contracts.plant import read_plant
    from contracts.record import Record
    from contracts.texts import LANGUAGES
    from contracts.topics import topic_of
    from exporters.adapters.exposition import Exposition
    from exporters.core.board import Board
    from exporters.core.bounds import Names
    from vigia.commands.decode import as_json
    from vigia.commands.human import lines

    names = Names.of(read_plant(PLANT.read_bytes()))

    def decode(data: bytes) -> Hashable:
        topic, _, rest = data.partition(b"\n")
        headers, value = headed(rest)
        record = Record(topic.decode("latin-1"), 0, 1, b"key", value, headers, _NOW_US // 1000)
        board = Board(names, "vigia")
        board.apply(record, _NOW_US, live=True)
        page = Exposition(lambda: board.families(_NOW_US)).page("")[0]
        known = topic_of(record.topic, "vigia")
        if known is None:
            return "no topic"
        told = as_json(record, known)
        json.dumps(told)
        for language in LANGUAGES:
            list(lines(record, known, language, {}))
        dropped = tuple(board.account()["exporters.messages"].dropped)
        return record.topic, dropped, told.get("error", "")[:50], len(page) // 4096

    return decode


def _frames() -> Decode:
    from contracts.frames import EvidenceHeaders, FrameHeaders
    from contracts.headers import header_map
    from contracts.plant import read_plant
    from contracts.readings import encode
    from stream.core.frames import blind, reading

    plant = read_plant(CAMERAS.read_bytes())
    columns = plant.columns()["works/belt"]

    def decode(data: bytes) -> Hashable:
        found = header_map(headed(data)[0])
        if b"evidence" in found.get("ce_type", b""):
            told = EvidenceHeaders.parse(found)
            told.headers(source="stream/1")
            return "evidence"
        frame = FrameHeaders.parse(found)
        encode(reading(frame, columns, blind(columns, frame.quality)), source="stream/1")
        return frame.kind, frame.encoding

    return decode


def _payload() -> Decode:
    """A payload on each topic of an asset: plain, with its time as text, and in items."""
    from contracts.deadletters import dead_letter
    from contracts.plant import read_plant
    from edge.core.intake import Incoming, Intake
    from edge.core.routes import assets_of

    assets = {"north/line1": assets_of(read_plant(PLANT.read_bytes()))["north/line1"]}

    def decode(data: bytes) -> Hashable:
        intake = Intake(assets, {}, now_us=_NOW_US, limit=100)
        for number, topic in enumerate(intake.topics):
            intake.receive(Incoming(topic, data, 1, number, 1, _NOW_US))
        intake.tick(_NOW_US + 10_000_000, attentive=True)
        parcels = intake.take_due(_NOW_US + 60_000_000)
        letters = intake.take_letters()
        for one in letters:
            dead_letter(one.payload, one.error, source="e", origin="t", at_us=0, number=1)
        return len(parcels), tuple(str(one.error)[:12] for one in letters)

    return decode


def _sparkplug() -> Decode:
    """A message of one of the kinds that there are, by its first byte, to a node that is born; and
    data after it."""
    from contracts.plant import read_plant
    from edge.core.intake import Incoming, Intake
    from edge.core.nodes import Nodes
    from edge.core.routes import assets_of
    from tests import sparkplug

    assets = {"north/pump1": assets_of(read_plant(SOURCES.read_bytes()))["north/pump1"]}
    kinds = [topic.replace("+", "pump1") for topic in Nodes(assets).topics()]

    def decode(data: bytes) -> Hashable:
        intake = Intake(assets, {}, now_us=_NOW_US, limit=100)
        topic = kinds[data[0] % len(kinds)] if data else kinds[0]
        heard = [(kinds[0], sparkplug.vector("nbirth")), (topic, data[1:])]
        heard.append((kinds[2], sparkplug.vector("ndata")))
        for number, (one, payload) in enumerate(heard):
            intake.receive(Incoming(one, payload, 1, number, 1, _NOW_US))
        intake.tick(_NOW_US + 10_000_000, attentive=True)
        parcels = intake.take_due(_NOW_US + 60_000_000)
        intake.orders(_NOW_US)
        return len(parcels), tuple(str(one.error)[:12] for one in intake.take_letters())

    return decode


class _Bytes:
    """What a Wire takes for its socket: a piece at each read."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._step = max(97, len(data) // 1000)

    @property
    def empty(self) -> bool:
        return not self._data

    def recv(self, count: int) -> bytes:
        piece = self._data[: min(count, self._step)]
        self._data = self._data[len(piece) :]
        if not piece:
            raise BlockingIOError
        return bytes(piece)

    def send(self, data: bytes) -> int:
        return len(data)

    def close(self) -> None:
        self._data = self._data[:0]


def _wire() -> Decode:
    """The version of MQTT in the first byte, then what the broker sends: messages that are taken,
    and all the rest for paho."""
    from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

    from edge.adapters.mqtt_wire import Wire, WiredClient

    topics = {b"rig/a": "rig/a", b"plant/north/line1": "plant/north/line1"}

    def decode(data: bytes) -> Hashable:
        five = bool(data[:1] > b"\x7f")
        broker = _Bytes(memoryview(data)[1:])
        wire: Any = Wire(broker)
        version = MQTTProtocolVersion.MQTTv5 if five else MQTTProtocolVersion.MQTTv311
        client = WiredClient(
            CallbackAPIVersion.VERSION2,
            protocol=version,
            manual_ack=True,
            reconnect_on_failure=False,
        )
        heard: list[Any] = []
        client.on_message = lambda *told: heard.append(told)
        client._sock = wire
        for _ in range(len(data)):
            if not wire.ready:
                wire.fill()
            if (message := wire.take(topics, five=five)) is not None:
                heard.append(message)
            elif wire.lend():
                client.loop_read()
                if client.socket() is None:
                    break
            elif broker.empty:
                break
        return len(heard), wire.broken, client.socket() is None

    return decode


def _heads() -> Decode:
    from contracts.image_heads import read_head

    return lambda data: read_head(data).format


def _edge_images() -> Decode:
    from edge.adapters.images import decode

    return lambda data: _kind(decode(data))


def _stream_images() -> Decode:
    from stream.adapters.images import decode

    return lambda data: _kind(decode(data))


def _kind(image: Any) -> Hashable:
    return image.dtype.str, image.ndim


def _png(data: bytes) -> bytes:
    """A PNG with right checksums."""
    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        return data
    mended, at = bytearray(data[:8]), 8
    while len(data) - at >= 12:
        (size,) = struct.unpack_from(">I", data, at)
        if size > len(data) - at - 12:
            break
        body = data[at + 4 : at + 8 + size]
        mended += data[at : at + 4] + body + struct.pack(">I", zlib.crc32(body))
        at += 12 + size
    return bytes(mended + data[at:])


def _plant() -> Decode:
    from contracts.plant import check_plant

    def decode(data: bytes) -> Hashable:
        plant, problems = check_plant(data)
        assert plant is not None or problems
        if plant is None or problems:
            return problems[0].text[:20]
        plant.columns()
        return "good", plant.hash == ""

    return decode


def _units() -> Decode:
    from contracts.units import UnitError, check_unit, conversion

    def decode(data: bytes) -> Hashable:
        source, _, target = data.decode("latin-1").partition(" ")
        # UnitError is a ValueError: the plant file's reader makes a problem of it.
        try:
            check_unit(source)
            conversion(source, target or "1")
        except UnitError as error:
            return str(error)[:12]
        return "good"

    return decode


def _manifests() -> Decode:
    from stream.core.manifest import Manifest, read_any

    def decode(data: bytes) -> Hashable:
        found = read_any(data)
        assert found.model.sha256 == found.sha256
        if isinstance(found, Manifest):
            found.scaler(tuple(found.assets))
        return type(found).__name__

    return decode


def _golden() -> Decode:
    """An archive, or one array, which is put into an archive."""
    import io
    import zipfile

    from contracts.errors import ModelError
    from stream.adapters.onnx_package import read_golden

    def archive(array: bytes) -> bytes:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
            made.writestr("score.npy", array)
        return file.getvalue()

    def decode(data: bytes) -> Hashable:
        content = archive(data) if data.startswith(b"\x93NUMPY") else data
        try:
            (found,) = read_golden(content, Path("package"), ("score",))
        except ModelError as error:
            return str(error)[:40]
        return found.dtype.str, found.ndim

    return decode


def _models() -> Decode:
    """A model as a package has it: opened, and run on two windows."""
    import numpy as np

    from stream.adapters.onnx_package import OnnxPackage, open_session
    from stream.core.manifest import read_manifest

    shipped = Path(__file__).parents[2] / "models" / "whut-lstm" / "manifest.json"
    manifest = read_manifest(shipped.read_bytes())
    window = np.ones((2, manifest.window.rows, len(manifest.features)), np.float32)

    def decode(data: bytes) -> Hashable:
        session = open_session(data, Path("package"), 1, "window", ("score", "errors"))
        OnnxPackage(manifest, session).score(window)
        return "scored"

    return decode


def _videos() -> Decode:
    from contracts.plant.cameras import Camera
    from edge.adapters.rtsp import VideoSource

    shared = tempfile.TemporaryDirectory(prefix="fuzz-video-", dir="/dev/shm")
    folder = Path(shared.name)
    camera = Camera.model_validate({"video": "clip"})

    def shapes() -> Iterator[Hashable]:
        for shot in VideoSource(camera, folder, sleep=lambda seconds: None).shots():
            shot.luminance()
            yield shot.image().shape

    def decode(data: bytes) -> Hashable:
        (Path(shared.name) / "clip").write_bytes(data)
        return len(list(shapes()))

    return decode


_JSON = tuple(b'{ } [ ] , : " null true 1e400 -1 \\u0000 \\ud800 [[[[[[[[ {"a":'.split())
_HEADERS = (b"\n", b": ", b"ce_sequence: ", b"9" * 30, b"-4611686018427387904", b"ce_subject: ")
_ARROW = (b"\xff\xff\xff\xff", *_HEADERS)
_TAGS = (256, 257, 258, 259, 262, 273, 277, 278, 279, 284, 317, 322, 323, 324, 325, 339)
_IMAGE = (
    *(b"\xff\xda", b"\xff\xc4", b"\xff\xc0", b"\xff\xc2", b"\xff\xd9"),
    *(b"IHDR", b"IDAT", b"PLTE", b"acTL", b"fcTL", b"tRNS"),
    *(struct.pack("<HH", tag, kind) for tag in _TAGS for kind in (3, 4)),
)
_VIDEO = (b"moov", b"mdat", b"\x1a\x45\xdf\xa3", b"\0\0\1", b"#EXTM3U\n")
_ONNX = (b"LSTM", b"Tile", b"Expand", b"Concat", b"Reshape", b"\x6a\x02", b"\x88\0")
_ARRAY = (b"PK\1\2", b"PK\3\4", b"|O", b"(9,)", b"True", b"<U9999")
_MQTT = (b"\x32", b"\0\5rig/a", b"\x90\3", b"\xff\xff\xff\x7f", b"\xe0")
_YAML = (*b"- : ? | > { } [ ] & * ! # --- ... 1s -1 0x .inf ~ null".split(), b"\n  ", b"\n")
_UNITS = tuple(b"m g s K Cel / . * 10* 10^ [degF] [pi] % { } ( ) m3/h kPa [pH] dB B[SPL]".split())
TARGETS: dict[str, Target] = {
    "readings": Target(_readings, 32, _ARROW),
    "detect": Target(_detect, 64, _ARROW),
    "models": Target(_models, 2_100, _ONNX),
    "golden": Target(_golden, 32, _ARRAY),
    "manifests": Target(_manifests, 96, _JSON),
    "edge-images": Target(_edge_images, 640, _IMAGE, _png),
    "stream-images": Target(_stream_images, 640, _IMAGE, _png),
    "image-heads": Target(_heads, 16, _IMAGE),
    "videos": Target(_videos, 384, _VIDEO),
    "payload": Target(_payload, 32, _JSON),
    "sparkplug": Target(_sparkplug, 32, (b"bdSeq", b"Supply/Volts", b"Outputs/Flow", b"Quality")),
    "wire": Target(_wire, 16, _MQTT),
    "detections": Target(_detections, 64, _JSON),
    "messages": Target(_messages, 64, (*_JSON, *_HEADERS, b"vigia.status\n", b"vigia.alarms\n")),
    "frames": Target(_frames, 16, _HEADERS),
    "plant": Target(_plant, 384, _YAML),
    "units": Target(_units, 64, _UNITS),
}
