"""How every store applies a command: a version and a time for what changed, nothing for what did not."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tests.unit.core.records import NOW, SLOT, build_record
from zhongkong.core.command import Step, run
from zhongkong.core.model import Event, Instant, Record, Slot


@dataclass(frozen=True)
class Mark:
    """Condemn, or look only."""

    slot: Slot
    condemned: str | None

    def apply(self, record: Record, now: Instant) -> Step[Instant]:
        """Answer with the time it was told."""
        if self.condemned is None:
            return Step(record, now)
        return Step(replace(record, condemned=self.condemned), now, (Event("marked", self.slot.appid),))


def test_a_record_that_changed_gets_the_next_version_and_the_time() -> None:
    """By which polls find it and old copies are known to be old."""
    record = build_record()
    applied, events = run(Mark(SLOT, "probed"), record, NOW + 5.0)
    assert applied.record == replace(record, condemned="probed", version=record.version + 1, changed_at=NOW + 5.0)
    assert (applied.answer, applied.now) == (NOW + 5.0, NOW + 5.0)
    assert [event.code for event in events] == ["marked"]


def test_a_record_that_did_not_change_is_the_very_same() -> None:
    """The store writes nothing, and a poll brings nothing."""
    record = build_record()
    applied, events = run(Mark(SLOT, None), record, NOW)
    assert applied.record is record
    assert events == ()
