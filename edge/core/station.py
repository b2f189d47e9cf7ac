"""One asset at the edge: its rows, its batches, its health and its silence."""

from __future__ import annotations

from contracts.headers import NO_TIME
from contracts.plant.model import SignalSet, sensor_columns
from edge.core.acks import Receipt
from edge.core.batches import MIN_GAP_US, Outbox, Parcel, Place
from edge.core.health import Change, watches
from edge.core.payload import Sample
from edge.core.rows import RowAssembler
from edge.core.stamps import SourceClock


class Station:
    """What the edge knows of one asset. `place` is where its stream stands in Kafka."""

    def __init__(self, asset: str, group: SignalSet, place: Place | None, now_us: int) -> None:
        self.asset = asset
        self._group = group
        self._clocks: dict[int, SourceClock] = {}
        self._stand(place)
        self.watches = watches(asset, group, now_us)
        self.readings_out = 0
        self._heard_us = now_us
        self._beat_us = now_us

    def _stand(self, place: Place | None) -> None:
        newest_us = place.newest_us if place else NO_TIME
        watermark_us = place.position.wm_after_us if place else NO_TIME
        self._outbox = Outbox(self.asset, sensor_columns(self._group), place)
        self.assembler = RowAssembler(self._group, newest_us=newest_us, watermark_us=watermark_us)
        # Event time passes with the clock, from the newest row on: a source whose clock is
        # slow, or whose messages lag, is not overtaken by the watermark of its own silence.
        known = place is not None and newest_us != NO_TIME
        self._arrival_us = place.position.received_us if place and known else NO_TIME

    @property
    def held(self) -> int:
        """Readings that came and are not in Kafka."""
        return self.assembler.held + self._outbox.held

    @property
    def under_way(self) -> Parcel | None:
        """The batch that waits for Kafka's acknowledgement."""
        return self._outbox.under_way

    def receive(self, sample: Sample, arrival_us: int, receipt: Receipt) -> None:
        """Takes readings in."""
        self._heard_us = arrival_us
        newest_us, off_us = self.assembler.newest_us, 0
        if self._group.skew is not None and sample.clock is not None:
            sample, off_us = self._stamped(sample, sample.clock, self._group.skew, arrival_us)
        codes = [
            self.watches[column].observe(sample.time_us, value, arrival_us, off_us)
            for column, value in sample.cells
        ]
        self.assembler.add(sample, codes, arrival_us, receipt)
        if self.assembler.newest_us > newest_us:
            self._arrival_us = arrival_us
        self._collect()

    def _stamped(
        self, sample: Sample, column: int, skew_us: int, arrival_us: int
    ) -> tuple[Sample, int]:
        """The sample, stamped by arrival where its clock is not believed; and how far that is
        off."""
        clock = self._clocks.setdefault(column, SourceClock(skew_us))
        if clock.believes(sample.time_us, arrival_us):
            return sample, 0
        return sample._replace(time_us=arrival_us), clock.off_us

    def due_us(self, gap_us: int = MIN_GAP_US) -> int | None:
        """When the next batch should leave; None when there is none, or one is under way."""
        return self._outbox.due_us(gap_us)

    def take(self, now_us: int) -> Parcel:
        """The batch that is due, now under way."""
        return self._outbox.take(self.assembler.watermark_us, now_us)

    def written(self, *, kept: bool = False) -> int:
        """Kafka has the batch that was under way; or it is `kept` on disk, which has its own
        books. Returns its readings."""
        readings = sum(row.readings for row in self._outbox.written().rows)
        if not kept:
            self.readings_out += readings
        return readings

    def learn(self, place: Place) -> None:
        """Kafka, which did not answer before, says where the stream stands. What came meanwhile
        goes on as it began; without anything, its silence counts from there on."""
        if self._arrival_us == NO_TIME and not self.assembler.taken_in:
            self._stand(place)

    def give_up(self) -> None:
        """Makes every pending row ready as it is."""
        self.assembler.give_up()
        self._collect()

    def tick(self, now_us: int, attentive_since_us: int) -> Parcel | None:
        """Lets late rows expire and notices silence; a heartbeat that is to be written now.

        The asset is silent when nothing came for `idle` while the edge could hear, which it
        can since `attentive_since_us`. An asset that never had a row has no event time yet
        and gets no heartbeat.
        """
        self.assembler.expire(now_us)
        self._collect()
        quiet_since_us = max(self._heard_us, attentive_since_us)
        idle = self._group.idle
        if now_us - quiet_since_us <= idle or now_us - self._beat_us < idle:
            return None
        self.give_up()
        if not self._outbox.empty or self._arrival_us == NO_TIME:
            return None
        self._beat_us = now_us
        return self._heartbeat(now_us)

    def step(self, by_us: int) -> None:
        """The wall clock was set: what is remembered by it moves along."""
        self._heard_us += by_us
        self._beat_us += by_us
        self._outbox.step(by_us)
        if self._arrival_us != NO_TIME:
            self._arrival_us += by_us
        for watch in self.watches:
            watch.step(by_us)

    def look(self, now_us: int, attentive_since_us: int) -> list[Change]:
        """The changes in the health of the signals."""
        changes = (watch.look(now_us, attentive_since_us) for watch in self.watches)
        return [change for change in changes if change]

    def _heartbeat(self, now_us: int) -> Parcel | None:
        group, assembler = self._group, self.assembler
        event_us = assembler.newest_us + (now_us - self._arrival_us)
        target_us = event_us - group.idle - group.lateness
        if target_us <= assembler.watermark_us:
            return None
        row_us = target_us - 1
        if group.rows.by == "grid":
            row_us -= row_us % group.rows.period
        # A row that never was must not take the place of one that came, nor be late itself.
        free = row_us > assembler.newest_us and row_us >= assembler.watermark_us
        assembler.advance_to(target_us)
        return self._outbox.heartbeat(row_us if free else None, target_us, now_us)

    def _collect(self) -> None:
        ready = self.assembler.take_ready()
        if ready:
            self._outbox.put(ready)
