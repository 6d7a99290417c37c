"""Somebody else who mints for the same account: what counts as a sign, and when signs make a contest.

Two central control servers over different stores are each other's strangers.
"""

from __future__ import annotations

from zhongkong.core.model import Contest, Event, Instant, Record, Seconds

SIGNS_MAKE_A_CONTEST = 3
CONTEST_LASTS: Seconds = 86_400.0


def is_contested(record: Record, now: Instant) -> bool:
    """Say whether somebody else mints for this account: three signs within a day."""
    seen = record.contest.seen
    return len(seen) >= SIGNS_MAKE_A_CONTEST and now - seen[-SIGNS_MAKE_A_CONTEST] < CONTEST_LASTS


def with_sign(contest: Contest, now: Instant) -> Contest:
    """Return what is known of strangers with one more sign."""
    return contest._replace(seen=(*contest.seen, now)[-SIGNS_MAKE_A_CONTEST:])


def contest_events(before: Record, after: Record, now: Instant) -> tuple[Event, ...]:
    """Return the event that a contest has begun, if it has."""
    if is_contested(after, now) and not is_contested(before, now):
        return (Event("contested", after.slot.appid),)
    return ()
