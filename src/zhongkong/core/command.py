"""What a command is: a change of one slot's record, as a value.

A store applies a command to one record atomically, with its own clock, and keeps the result: nothing else about
refreshing is decided there. `core.claim`, `core.save`, `core.reject` and `core.change` hold the commands. Applying a
claim or a save twice is safe: they recognise their own fence.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Generic, NamedTuple, Protocol, TypeVar

from zhongkong.core.model import Event, Instant, Record, Slot

AnswerT = TypeVar("AnswerT")
AnswerT_co = TypeVar("AnswerT_co", covariant=True)


class Step(NamedTuple, Generic[AnswerT_co]):
    """What a command decides: the record after (the same object if unchanged), the answer, what to remember."""

    record: Record
    answer: AnswerT_co
    events: tuple[Event, ...] = ()


class Applied(NamedTuple, Generic[AnswerT_co]):
    """What a store returns for a command: the record as it stands now, the answer, and the store's time."""

    record: Record
    answer: AnswerT_co
    now: Instant


class Command(Protocol[AnswerT_co]):
    """A change of one slot's record."""

    @property
    def slot(self) -> Slot:
        """The slot whose record is changed."""

    def apply(self, record: Record, now: Instant) -> Step[AnswerT_co]:
        """Return the record after the change at the store's time `now`, and the answer. Pure."""


def run(command: Command[AnswerT], record: Record, now: Instant) -> tuple[Applied[AnswerT], tuple[Event, ...]]:
    """Apply `command` as every store does: a record that changed gets the next version and the time of the change."""
    step = command.apply(record, now)
    after = step.record
    if after is not record:
        after = replace(after, version=record.version + 1, changed_at=now)
    return Applied(after, step.answer, now), step.events
