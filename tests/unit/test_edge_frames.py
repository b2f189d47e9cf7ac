"""What becomes of a camera's frames: chain, books, heartbeats, health."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from contracts.frames import MAX_FRAME_BYTES, FrameHeaders
from contracts.headers import NO_TIME, header_map
from contracts.plant.cameras import Camera
from contracts.readings import Position
from edge.core.backlog import Backlog
from edge.core.batches import Place
from edge.core.camera_health import Sayings
from edge.core.camera_station import STAGE, CameraStation, books
from edge.core.frame_chain import MAX_WAITING, FrameParcel
from edge.core.framing import Picture, attempts, cut, enough, scaled
from edge.core.scenes import View

T0 = 1_700_000_000_000_000
S = 1_000_000
PICTURE = Picture(b"jpeg", 4, 3, "jpeg")


def station(place: Place | None = None, **camera: Any) -> CameraStation:
    settings = {"rtsp": "rtsp://cam/1", "rate": 10, **camera}
    return CameraStation("site/cam", Camera.model_validate(settings), place, T0)


def frame(one: CameraStation, time_us: int, picture: Picture = PICTURE) -> bool:
    """A frame comes and becomes a picture at once; whether it was wanted."""
    if not one.offer(None, time_us):
        return False
    one.taken()
    one.developed(picture, time_us)
    return True


def write(one: CameraStation) -> list[FrameParcel]:
    """Kafka takes everything."""
    parcels = []
    if one.under_way is not None:
        parcels.append(one.under_way)
        one.written()
    while (parcel := one.take()) is not None:
        parcels.append(parcel)
        one.written()
    return parcels


def check_chain(headers: list[FrameHeaders]) -> None:
    newest = NO_TIME
    for before, here in zip([None, *headers], headers, strict=False):
        position = here.position
        assert position.wm_after_us == here.time_us + 1
        assert position.max_before_us == newest
        assert here.time_us > newest
        if before is None:
            assert (position.sequence, position.wm_before_us) == (0, NO_TIME)
        else:
            assert position.sequence == before.sequence + 1
            assert position.wm_before_us == before.wm_after_us
        newest = here.time_us


def test_frames_follow_each_other_and_the_headers_say_all() -> None:
    one = station()
    for number in range(5):
        frame(one, T0 + number * S)
    parcels = write(one)
    check_chain([parcel.headers for parcel in parcels])
    first = parcels[0].headers
    assert (first.asset, first.camera, first.kind) == ("site/cam", "cam", "visible")
    assert (first.width, first.height, first.encoding, first.quality) == (4, 3, "jpeg", "good")
    assert (first.clock, first.received_us) == ("arrival", T0)
    raw = header_map(first.headers(source="edge/box"))
    assert FrameHeaders.parse(raw) == first


def test_after_a_restart_the_chain_goes_on() -> None:
    one = station()
    frame(one, T0)
    (before,) = write(one)
    again = station(Place(before.headers.position, before.headers.time_us))
    assert not frame(again, T0)
    assert frame(again, T0 + S)
    (after,) = write(again)
    check_chain([before.headers, after.headers])
    assert again.account().dropped == {"not-rising": 1}


def test_frames_that_do_not_rise_or_are_not_wanted_are_counted() -> None:
    one = station(rate=1)
    assert frame(one, T0)
    assert not frame(one, T0)
    assert not frame(one, T0 - S)
    assert not frame(one, T0 + S // 2)
    write(one)
    assert one.account().model_dump() == {
        "unit": "frame",
        "in": 4,
        "out": 1,
        "held": 0,
        "dropped": {"not-rising": 2, "rate": 1},
    }


def test_a_newer_frame_takes_the_place_of_one_that_waits() -> None:
    one = station()
    assert one.offer(None, T0) and one.offer(None, T0 + S)
    one.taken()
    assert one.offer(None, T0 + 2 * S)
    assert one.account().held == 2
    one.developed(PICTURE, T0)
    assert one.account().missing == 0
    assert [p.headers.time_us for p in write(one)] == [T0 + S]
    assert one.account().dropped == {"overtaken": 1}


def test_while_kafka_is_away_the_newest_wait() -> None:
    one = station()
    for number in range(MAX_WAITING + 10):
        frame(one, T0 + number * S)
    account = one.account()
    assert (account.held, account.dropped) == (MAX_WAITING, {"buffer-full": 10})
    large = Picture(b"x" * MAX_FRAME_BYTES, 4, 3, "jpeg")
    for number in range(20):
        frame(one, T0 + (100 + number) * S, large)
    assert one.account().held == 6
    assert one.account().missing == 0
    parcels = write(one)
    assert parcels[-1].headers.time_us == T0 + 119 * S
    check_chain([parcel.headers for parcel in parcels])


def test_what_kafka_refuses_leaves_no_gap() -> None:
    one = station()
    frame(one, T0)
    one.take()
    one.refused("too large for the topic", T0)
    frame(one, T0 + S)
    check_chain([parcel.headers for parcel in write(one)])
    assert one.account().dropped == {"refused": 1}


def test_a_spoilt_image_is_counted_and_said() -> None:
    one = station()
    one.offer(None, T0)
    one.taken()
    one.spoilt("undecodable", "x.jpg: a broken jpeg", T0)
    assert one.account().dropped == {"undecodable": 1}
    assert one.account().missing == 0
    assert any("x.jpg: a broken jpeg" in line for line in one.look(T0))


def test_a_silent_camera_writes_heartbeats_and_only_then() -> None:
    one = station(idle="2s")
    frame(one, T0)
    headers = [parcel.headers for parcel in write(one)]
    assert one.tick(T0 + 2 * S, attentive=True) is None
    for second in (3, 5, 7):
        beat = one.tick(T0 + second * S, attentive=True)
        assert beat is not None and beat.value == b""
        assert (beat.headers.quality, beat.headers.width, beat.headers.height) == ("missing", 0, 0)
        assert beat.headers.time_us == T0 + (second - 2) * S
        assert one.tick(T0 + (second + 1) * S, attentive=True) is None
        headers += [parcel.headers for parcel in write(one)]
    frame(one, T0 + 8 * S)
    headers += [parcel.headers for parcel in write(one)]
    check_chain(headers)
    assert one.account().gone_out == 2
    assert one.account().missing == 0


def test_no_heartbeat_while_the_edge_cannot_write() -> None:
    one = station(idle="2s")
    frame(one, T0)
    for second in range(3, 20):
        assert one.tick(T0 + second * S, attentive=False) is None
    assert one.tick(T0 + 20 * S, attentive=True) is None


def test_a_camera_that_never_came_is_missed_too() -> None:
    one = station(idle="2s")
    beat = one.tick(T0 + 5 * S, attentive=True)
    assert beat is not None and beat.headers.time_us == T0 + 3 * S


def test_states() -> None:
    one = station(idle="5s")
    assert one.look(T0) == []
    assert one.health().state == "waiting"
    frame(one, T0 + S)
    frame(one, T0 + 2 * S)
    (line,) = one.look(T0 + 2 * S)
    assert line == "site/cam camera: ok (was waiting): frames come"
    health = one.health()
    assert (health.signal, health.state, health.rate_hz) == ("camera", "ok", 1.0)
    assert (health.readings, health.last_us) == (2, T0 + 2 * S)
    one.look(T0 + 7 * S)
    assert one.health().state == "silent"
    assert one.health().rate_hz == 0.0
    views: tuple[View, ...] = ("frozen", "over-exposed", "blurred", "moved", "dark")
    for second, view in enumerate(views, 8):
        frame(one, T0 + second * S, Picture(b"", 1, 1, "jpeg", view))
        one.look(T0 + second * S)
        assert one.health().state == view
    one.lost("unauthorised", "401", T0)
    assert one.look(T0) == ["site/cam camera: unauthorised (was dark): 401"]
    one.lost("lost", "gone", T0)
    one.look(T0)
    assert one.health().state == "lost"


def test_the_same_words_are_folded() -> None:
    sayings = Sayings()
    said = [sayings.fold("x", T0 + second * S) for second in range(0, 180, 10)]
    assert [line for line in said if line] == ["x", "x (6 times since)", "x (6 times since)"]


def test_a_clock_an_hour_off_is_a_note() -> None:
    one = station()
    one.offer(T0 - 3600 * S, T0)
    (note,) = one.notes()
    assert "far behind" in note and "arrival" in note
    one.taken()
    one.developed(PICTURE, T0)
    assert [p.headers.clock for p in write(one)] == ["arrival"]


def test_the_books_of_several_cameras() -> None:
    both = [station(), station()]
    for one in both:
        frame(one, T0)
    total = books(both, Backlog(0))[STAGE]
    assert (total.taken_in, total.held, total.missing) == (2, 2, 0)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["offer", "taken", "developed", "spoilt", "take", "written", "tick"]),
        st.integers(-2 * S, 4 * S),
    ),
    max_size=80,
)


@given(STEPS)
def test_whatever_happens_the_books_balance_and_the_chain_holds(
    steps: list[tuple[str, int]],
) -> None:
    one, now, written = station(rate=5, idle="1s"), T0, list[FrameHeaders]()
    slot = hand = False
    for step, by in steps:
        now += max(0, by)
        if step == "offer":
            slot |= one.offer(now + by, now)
        elif step == "taken" and slot and not hand:
            one.taken()
            slot, hand = False, True
        elif step == "developed" and hand:
            one.developed(PICTURE, now)
            hand = False
        elif step == "spoilt" and hand:
            one.spoilt("undecodable", "broken", now)
            hand = False
        elif step == "take":
            one.take()
        elif step == "written" and one.under_way is not None:
            written.append(one.under_way.headers)
            one.written()
        elif step == "tick":
            one.tick(now, attentive=True)
        assert one.account().missing == 0
    check_chain(written)


def test_a_picture_that_does_not_fit_is_tried_with_less() -> None:
    tries = list(attempts("jpeg", 90))
    assert tries[0] == (90, 1.0)
    assert tries == sorted(tries, key=lambda one: (-one.scale, -one.quality))
    assert min(one.scale for one in tries) == 0.125
    assert list(attempts("png", 90)) == [(90, 1.0)]
    assert all(one.quality <= 60 for one in attempts("jpeg", 60))


def test_regions_and_sizes() -> None:
    assert cut(640, 480, None) == (slice(0, 480), slice(0, 640))
    assert cut(640, 480, (0.25, 0.5, 0.75, 1.0)) == (slice(240, 480), slice(160, 480))
    assert cut(3, 3, (0.99, 0.0, 0.999, 0.001)) == (slice(0, 1), slice(2, 3))
    assert scaled(640, 480, None, 0.5) == (320, 240)
    assert scaled(640, 480, (224, 224), 1.0) == (224, 224)
    assert scaled(1, 1, None, 0.125) == (1, 1)
    assert enough(None, (0.0, 0.0, 0.5, 0.5)) is None
    assert enough((128, 96), None) == (128, 96)
    wide, high = enough((128, 96), (0.25, 0.5, 0.75, 0.8)) or (0, 0)
    assert (wide, high) == (256, 320)
    rows, columns = cut(wide, high, (0.25, 0.5, 0.75, 0.8))
    assert (columns.stop - columns.start, rows.stop - rows.start) == (128, 96)


def test_a_position_that_kafka_has_counts_on() -> None:
    one = station(Place(Position(41, T0 - 5, T0 + 1, T0 - 5, T0), T0))
    frame(one, T0 + S)
    (parcel,) = write(one)
    assert parcel.headers.position == Position(42, T0 + 1, T0 + S + 1, T0, T0 + S)
