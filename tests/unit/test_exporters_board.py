"""From messages to metrics: what is shown, and that it stays bounded."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from contracts.message import Message
from contracts.messages import (
    CAMERA,
    Account,
    AlarmState,
    DetectionBatch,
    Histogram,
    Phase,
    PlantUse,
    SourceHealth,
    SpoolState,
    Status,
    Transition,
)
from contracts.plant import read_plant
from contracts.record import Outgoing
from exporters.adapters.exposition import Exposition
from exporters.core.board import Board
from exporters.core.bounds import Names, Recent, Words
from exporters.core.buckets import Buckets
from exporters.core.lag import Lag
from tests import samples
from tests.samples import T0, S

NAMES = Names.of(read_plant((Path(__file__).parent / "plants/good/pumping.yaml").read_text()))
Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


class Line:
    """A board that is fed with messages, and its page as Prometheus reads it."""

    def __init__(self) -> None:
        self.board = Board(NAMES, "vigia")
        self.now_us = T0

    def send(self, *messages: Message | Outgoing, live: bool = True) -> None:
        for message in messages:
            out = message if isinstance(message, Outgoing) else samples.outgoing(message)
            self.board.apply(samples.record(out), self.now_us, live=live)

    def page(self) -> str:
        exposition = Exposition(lambda: self.board.families(self.now_us))
        return exposition.page("")[0].decode()

    def series(self) -> Series:
        found: Series = {}
        for family in text_string_to_metric_families(self.page()):
            for sample in family.samples:
                key = (sample.name, frozenset(sample.labels.items()))
                assert key not in found, f"{key} stands there twice"
                found[key] = sample.value
        return found

    def value(self, name: str, **labels: str) -> float:
        (value,) = self.values(name, **labels)
        return value

    def values(self, name: str, **labels: str) -> list[float]:
        wanted = set(labels.items())
        return [v for (n, have), v in self.series().items() if n == name and wanted <= have]


@pytest.fixture
def line() -> Line:
    return Line()


def test_an_empty_line_shows_every_alarm_and_source_that_could_be(line: Line) -> None:
    assert line.value("vigia_alarm_active", asset="north/line1", rule="theft") == 0
    assert line.value("vigia_alarm_raised_total", asset="north/line2", rule="gauges") == 0
    assert line.values("vigia_source_up") == [0.0] * 6
    assert (
        line.value("vigia_source_state", asset="north/line1", signal="inlet", state="unknown") == 1
    )
    assert set(line.values("vigia_alerts_total")) == {0.0}
    assert line.value("vigia_plant_info", hash=NAMES.plant) == 1
    assert line.value("vigia_dead_letters_total", reason="other") == 0


def test_an_alarm_is_raised_and_cleared(line: Line) -> None:
    where = {"asset": "north/line1", "rule": "theft"}
    line.send(samples.alarm(Phase.ACTIVE, T0))
    assert (
        line.value("vigia_alarm_active", severity="critical", **{"class": "process"}, **where) == 1
    )
    assert line.value("vigia_alarm_raised_total", **where) == 2
    assert line.value("vigia_alarm_since_timestamp_seconds", **where) == T0 / 1e6
    line.send(samples.alarm(Phase.CLEARING, T0 + S))
    assert line.value("vigia_alarm_active", **where) == 1
    line.send(samples.alarm(Phase.NORMAL, T0 + 2 * S), samples.alarm(Phase.ACTIVE, T0 + S))
    assert line.value("vigia_alarm_active", **where) == 0
    assert line.values("vigia_alarm_since_timestamp_seconds") == []
    assert line.board.account()["exporters.messages"].dropped == {"old": 1}


def test_a_removed_alarm_is_as_if_it_never_was(line: Line) -> None:
    line.send(samples.alarm())
    line.send(Outgoing("vigia.alarms", b"north/line1/theft", None))
    assert line.value("vigia_alarm_active", asset="north/line1", rule="theft") == 0
    assert line.value("vigia_alarm_raised_total", asset="north/line1", rule="theft") == 0


def test_names_that_the_plant_does_not_give_are_other(line: Line) -> None:
    for number in range(50):
        asset = f"south/{number}"
        line.send(
            samples.alarm(asset=asset),
            samples.detections(asset=asset, detector=f"d{number}"),
            status(sources=samples.status().sources[0].model_copy(update={"asset": asset})),
            samples.letter(number, reason=f"reason-{number * 7}"),
        )
    assert line.value("vigia_alarm_active", asset="other", rule="other") == 1
    assert line.value("vigia_alarm_raised_total", asset="other", rule="other") == 100
    assert line.value("vigia_detection_score", asset="other", detector="other") == 0.042
    assert line.value("vigia_source_readings_total", asset="other", signal="other") == 1000
    labels = {dict(key).get("asset") for _, key in line.series()} - {None}
    assert labels == {"north/line1", "north/line2", "other"}


def status(process: str = "edge/north", at_us: int = T0, **parts: object) -> Status:
    update = {name: (part,) if name == "sources" else part for name, part in parts.items()}
    return samples.status(process, at_us).model_copy(update=update)


@given(st.lists(st.text(max_size=30), max_size=400))
def test_words_are_bounded(words: list[str]) -> None:
    known = Words(20)
    labels = {known.label(word) for word in words}
    assert len(labels) <= 21


def test_the_reasons_of_dead_letters_are_bounded(line: Line) -> None:
    line.send(*(samples.letter(number, reason=f"r{number}") for number in range(300)))
    counts = line.values("vigia_dead_letters_total")
    assert len(counts) <= 51
    assert sum(counts) == 300
    line.send(samples.letter(999, reason='"}\nx{'))
    assert line.value("vigia_dead_letters_total", reason="other") == 251


def test_processes_are_bounded(line: Line) -> None:
    for number in range(600):
        line.send(samples.status(f"stream/{number}"))
    assert len(line.values("vigia_process_up")) == 500
    assert line.board.account()["exporters.messages"].dropped == {"too-many-processes": 100}


def test_a_process_that_falls_silent_is_down_and_its_sources_unknown(line: Line) -> None:
    inlet = {"asset": "north/line1", "signal": "inlet"}
    line.send(samples.status())
    assert line.value("vigia_process_up", process="edge/north") == 1
    assert line.value("vigia_source_up", **inlet) == 1
    assert line.value("vigia_source_readings_per_second", **inlet) == 10
    assert (
        line.value("vigia_source_state", signal="outlet", state="silent", asset="north/line1") == 1
    )
    line.now_us += 11 * S
    assert line.value("vigia_process_up", process="edge/north") == 0
    assert line.value("vigia_process_status_age_seconds", process="edge/north") == 11
    assert line.value("vigia_source_up", **inlet) == 0
    assert line.value("vigia_source_state", state="unknown", **inlet) == 1
    assert line.value("vigia_source_readings_per_second", **inlet) == 0
    assert line.value("vigia_source_readings_total", **inlet) == 1000
    line.now_us += 3600 * S
    assert line.values("vigia_process_up") == []
    assert line.value("vigia_source_up", **inlet) == 0


def test_a_status_from_before_the_start_is_as_old_as_the_broker_says(line: Line) -> None:
    line.now_us = T0 + 120 * S  # samples.record says that it was written at T0 + 32 s
    line.send(samples.status(), live=False)
    assert line.value("vigia_process_status_age_seconds") == 88
    assert line.value("vigia_process_up") == 0


def test_an_older_status_that_comes_later_changes_nothing(line: Line) -> None:
    line.send(status(at_us=T0, rss_bytes=1000), status(at_us=T0 - S, rss_bytes=2000))
    assert line.value("vigia_process_resident_memory_bytes") == 1000


def test_a_process_whose_clock_is_set_back_is_not_down(line: Line) -> None:
    line.send(status(at_us=T0), status(at_us=T0 - 3600 * S, rss_bytes=2000))
    assert line.value("vigia_process_resident_memory_bytes") == 2000
    line.now_us += 11 * S
    line.send(status(at_us=T0 - 3589 * S, rss_bytes=3000))
    assert line.value("vigia_process_up", process="edge/north") == 1


def test_of_two_edges_that_report_a_source_the_newest_counts(line: Line) -> None:
    (source, _) = samples.status().sources
    line.send(status("edge/old", sources=source))
    line.now_us += 30 * S
    line.send(status("edge/new", T0 + 30 * S, sources=source.model_copy(update={"readings": 5})))
    assert line.value("vigia_source_readings_total", signal="inlet", asset="north/line1") == 5
    assert line.value("vigia_source_up", signal="inlet", asset="north/line1") == 1


def test_a_source_s_value_is_shown_while_its_edge_speaks(line: Line) -> None:
    line.send(samples.status())
    where = {"asset": "north/line1", "signal": "inlet", "unit": "m3/h"}
    assert line.value("vigia_source_value", **where) == 10.5
    assert line.values("vigia_source_value", signal="outlet") == []
    line.now_us += 11 * S
    assert line.values("vigia_source_value") == []


def test_cameras_are_sources_by_their_asset() -> None:
    line = Line()
    plant = read_plant((Path(__file__).parent / "plants/good/cameras.yaml").read_text())
    line.board = Board(Names.of(plant), "vigia")
    camera = SourceHealth(
        asset="works/belt",
        signal=CAMERA,
        state="frozen",
        clock="arrival",
        rate_hz=5.0,
        readings=9,
        last_us=T0,
    )
    line.send(status(sources=camera))
    # What is measured on a picture is no source of its own.
    assert len(line.values("vigia_source_up")) == len(plant.cameras()) == 3
    where = {"asset": "works/belt", "signal": "camera"}
    assert line.value("vigia_source_state", state="frozen", **where) == 1
    assert line.value("vigia_source_readings_total", **where) == 9


def test_the_books_of_stages(line: Line) -> None:
    books = {
        "edge.mqtt": Account(unit="message", taken_in=9, gone_out=5, held=1, dropped={"json": 1})
    }
    line.send(status(account=books))
    stage = {"process": "edge/north", "stage": "edge.mqtt", "unit": "message"}
    assert line.value("vigia_stage_in_total", **stage) == 9
    assert line.value("vigia_stage_out_total", **stage) == 5
    assert line.value("vigia_stage_held", **stage) == 1
    assert line.value("vigia_stage_dropped_total", reason="json", **stage) == 1
    assert line.value("vigia_stage_unaccounted", **stage) == 2


def test_stages_and_reasons_are_bounded_and_nothing_is_lost_of_the_sums(line: Line) -> None:
    books = {
        f"stage{number}": Account(
            unit="row", taken_in=2, gone_out=1, held=0, dropped={f"reason{number}": 1}
        )
        for number in range(400)
    }
    line.send(status(account=books))
    taken = line.values("vigia_stage_in_total")
    assert (len(taken), sum(taken)) == (51, 800)
    assert sum(line.values("vigia_stage_dropped_total")) == 400
    assert len({dict(k).get("reason") for _, k in line.series()}) <= 202


def test_histograms_of_processes(line: Line) -> None:
    line.send(samples.status())
    where = {"process": "edge/north", "measure": "batch"}
    assert line.value("vigia_stage_latency_seconds_bucket", le="0.1", **where) == 9
    assert line.value("vigia_stage_latency_seconds_bucket", le="+Inf", **where) == 11
    assert line.value("vigia_stage_latency_seconds_sum", **where) == 0.8


@pytest.mark.parametrize(
    "histogram",
    [
        Histogram(bounds_s=(1.0,), counts=(1, 2), sum_s=1, count=3),
        Histogram(bounds_s=(1.0, 0.5), counts=(1, 2), sum_s=1, count=3),
        Histogram(bounds_s=(0.5, 1.0), counts=(2, 1), sum_s=1, count=3),
        Histogram(bounds_s=(0.5, 1.0), counts=(1, 2), sum_s=1, count=1),
        Histogram(bounds_s=(), counts=(), sum_s=1, count=2**63),
        Histogram(bounds_s=tuple(map(float, range(90))), counts=(0,) * 90, sum_s=1, count=1),
    ],
)
def test_a_histogram_that_is_none_is_refused(line: Line, histogram: Histogram) -> None:
    line.send(status(latencies={"x": histogram}))
    assert line.board.account()["exporters.messages"].dropped == {"field": 1}
    assert line.values("vigia_process_up") == []


def test_a_process_name_that_is_no_word_is_refused(line: Line) -> None:
    line.send(samples.status('edge/"}\n'))
    assert line.board.account()["exporters.messages"].dropped == {"process-name": 1}


@pytest.mark.parametrize("number", ["9" * 30, "9" * 400, "-" + "9" * 400, "1e400"])
def test_numbers_that_no_clock_and_no_counter_has_are_refused(line: Line, number: str) -> None:
    for message, name in (
        (status(rss_bytes=7_777), "rss_bytes"),
        (samples.alarm(activations=7_777), "activations"),
        (samples.alert(at_us=7_777), "at_us"),
    ):
        out = samples.outgoing(message)
        value = (out.value or b"").replace(b":7777", b":" + number.encode())
        assert name.encode() in value and number.encode() in value
        line.send(dataclasses.replace(out, value=value))
    assert line.board.account()["exporters.messages"].dropped == {"undecodable": 3}
    line.page()


def test_detections_show_the_newest_window(line: Line) -> None:
    where = {"asset": "north/line1", "detector": "theft"}
    line.send(samples.detections(samples.detection(T0), samples.detection(T0 + S, 0.01)))
    line.send(samples.detections(samples.detection(T0, 0.9)))
    assert line.value("vigia_detection_score", **where) == 0.01
    assert line.value("vigia_detection_threshold", **where) == 0.02
    assert line.value("vigia_detections_total", detector="theft", verdict="abnormal") == 1
    assert line.value("vigia_detections_total", detector="theft", verdict="normal") == 1
    assert line.value("vigia_detections_total", detector="fast", verdict="normal") == 0
    line.send(samples.detections(samples.detection(T0 + 2 * S, None)))
    assert line.values("vigia_detection_score", **where) == []
    assert line.value("vigia_detection_measured", **where) == 0


def test_latency_is_from_receipt_to_the_brokers_time(line: Line) -> None:
    # received at T0 + 31 s, in the log at T0 + 32 s
    line.send(samples.detections(), samples.alert())
    assert line.value("vigia_detection_latency_seconds_sum") == 1
    assert line.value("vigia_detection_latency_seconds_bucket", le="0.5") == 0
    assert line.value("vigia_detection_latency_seconds_bucket", le="1.0") == 1
    assert line.value("vigia_alert_latency_seconds_count", transition="raised") == 1
    assert line.value("vigia_alert_latency_seconds_count", transition="cleared") == 0


def test_history_and_backfill_are_no_latencies_and_no_news(line: Line) -> None:
    line.send(samples.detections(), samples.alert(), samples.letter(), live=False)
    backfill: DetectionBatch = samples.detections(samples.detection(T0 + 90 * S)).model_copy(
        update={"backfill": True}
    )
    line.send(backfill, samples.alert(at_us=T0).model_copy(update={"backfill": True}))
    assert line.value("vigia_detection_latency_seconds_count") == 0
    assert sum(line.values("vigia_detections_total")) == 0
    assert sum(line.values("vigia_alerts_total")) == 0
    assert sum(line.values("vigia_dead_letters_total")) == 0
    assert line.value("vigia_detection_score", asset="north/line1") == 0.042


def test_what_only_a_backfill_says_does_not_stand(line: Line) -> None:
    state: AlarmState = samples.alarm()
    where = {"rule": "theft", "asset": "north/line1"}
    line.send(state.model_copy(update={"backfill": True}))
    assert line.value("vigia_alarm_active", **where) == 0
    line.send(state.model_copy(update={"applied_us": state.applied_us + S}))
    assert line.value("vigia_alarm_active", **where) == 1


def test_what_is_on_disk(line: Line) -> None:
    kept = SpoolState(messages=3, bytes=500, limit_bytes=9_000, oldest_us=T0 - 30 * S)
    nothing = SpoolState(messages=0, bytes=0, limit_bytes=4_000)
    line.send(status(spools={"readings": kept, "frames": nothing}))
    where = {"process": "edge/north", "spool": "readings"}
    assert line.value("vigia_spool_messages", **where) == 3
    assert line.value("vigia_spool_bytes", **where) == 500
    assert line.value("vigia_spool_limit_bytes", **where) == 9_000
    assert line.value("vigia_spool_oldest_age_seconds", **where) >= 30
    assert line.value("vigia_spool_oldest_age_seconds", process="edge/north", spool="frames") == 0


def test_alerts_are_counted_once(line: Line) -> None:
    line.send(samples.alert(), samples.alert(), samples.alert(Transition.CLEARED, T0 + 99 * S))
    kind = {"severity": "critical", "class": "process"}
    assert line.value("vigia_alerts_total", transition="raised", **kind) == 1
    assert line.value("vigia_alerts_total", transition="cleared", **kind) == 1


def test_lags(line: Line) -> None:
    line.board.tell_lags((Lag("vigia-stream", "vigia.readings", 1, 42),))
    where = {"group": "vigia-stream", "topic": "vigia.readings", "partition": "1"}
    assert line.value("vigia_consumer_lag_records", **where) == 42
    line.board.tell_lags(())
    assert line.values("vigia_consumer_lag_records") == []


def test_an_alarm_of_another_plant_file_keeps_its_own_severity(line: Line) -> None:
    state: AlarmState = samples.alarm(rule="gauges")
    line.send(state)
    assert line.value("vigia_alarm_active", rule="gauges", asset="north/line1") == 1
    assert line.values("vigia_alarm_active", rule="gauges", severity="critical") == [1.0]


def test_openmetrics_is_served_to_those_who_ask(line: Line) -> None:
    line.send(samples.status(), samples.alarm(), samples.detections())
    exposition = Exposition(lambda: line.board.families(T0))
    body, content_type = exposition.page("application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")
    assert exposition.page("text/plain")[1].startswith("text/plain")


@given(st.lists(st.floats(-5, 100), max_size=50))
def test_buckets_are_cumulative(durations: list[float]) -> None:
    buckets = Buckets((0.1, 1.0, 10.0))
    for duration in durations:
        buckets.observe(duration)
    found = buckets.histogram()
    assert found.count == len(durations)
    assert list(found.counts) == [sum(d <= bound for d in durations) for bound in (0.1, 1.0, 10.0)]


def test_recent_identifiers_are_bounded() -> None:
    recent = Recent(2)
    assert [recent.again(one) for one in "aabca"] == [False, True, False, False, False]


def test_another_plant_file_changes_the_names_for_all() -> None:
    text = (Path(__file__).parent / "plants/good/pumping.yaml").read_text()
    names = Names.of(read_plant(text))
    line = Line()
    line.board = Board(names, "vigia")
    line.send(samples.detections(), samples.alarm())
    before = line.series()
    names.become(read_plant((Path(__file__).parent / "plants/good/smallest.yaml").read_text()))
    after = line.series()
    assert any(("asset", samples.ASSET) in labels for _, labels in before)
    assert not any(("asset", samples.ASSET) in labels for _, labels in after)


def test_what_processes_say_of_their_plant_file() -> None:
    line = Line()
    use = PlantUse(hash="0123456789abcdef", taken=2, refused=1, differs=True)
    status = samples.status().model_copy(update={"plant": use})
    line.send(status)
    found = {
        (name, dict(labels).get("outcome") or dict(labels).get("hash")): value
        for (name, labels), value in line.series().items()
        if name.startswith("vigia_process_plant")
    }
    assert found == {
        ("vigia_process_plant_differs", None): 1,
        ("vigia_process_plant_changes_total", "taken"): 2,
        ("vigia_process_plant_changes_total", "refused"): 1,
        ("vigia_process_plant_info", "0123456789abcdef"): 1,
    }
