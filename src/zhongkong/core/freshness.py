"""How far a credential may be trusted, and what may be promised of it.

Open attempts are the ambiguity: a request that may have ended the credential and whose answer nobody saved. Trust is
computed at every look from the record as it stands, so crashes, late savers and lost answers need no detection: doubt
is the default and an answer lifts it.
"""

from __future__ import annotations

from enum import Enum

from zhongkong.core.issuing import ISSUING, overlap_of
from zhongkong.core.model import (
    DEADLINE,
    LANDING,
    LEASE,
    NEVER,
    Attempt,
    Instant,
    Record,
    Seconds,
)


class Freshness(Enum):
    """What may be done with a slot's credential at this moment."""

    FRESH = "fresh"
    """Hand it out; there is nothing to do."""
    DUE = "due"
    """Hand it out and renew it behind the caller's back."""
    DOUBTFUL = "doubtful"
    """Callers wait for what is running, bounded, and then get it all the same, marked."""
    DEAD = "dead"
    """Absent, expired or condemned: callers wait, bounded, and then get an error that names the cause."""


def threats(record: Record) -> list[Attempt]:
    """Return the open attempts that may end the credential in use, or may have ended it."""
    credential = record.credential
    if credential is None or not record.attempts:
        return []
    return [attempt for attempt in record.attempts if attempt.ends and attempt.mode is credential.mode]


def trust_of(record: Record) -> Instant:
    """Return until when the credential is trusted; `NEVER` without one, or when two requests may have ended it."""
    credential = record.credential
    if credential is None:
        return NEVER
    open_attempts = threats(record)
    if not open_attempts:
        return credential.expires_at
    if len(open_attempts) > 1:
        return NEVER
    return min(credential.expires_at, max(open_attempts[0].left, credential.left) + overlap_of(credential.life))


def trust_seen(record: Record, seen: Instant) -> Instant:
    """Return until when a replica that read the store at `seen` for the last time may trust the credential.

    Where a mint ends the former, somebody may have claimed right after, so trust ends a lease and an overlap later.
    """
    credential = record.credential
    trust = trust_of(record)
    if credential is None or not ISSUING[credential.mode].ends_former:
        return trust
    return min(trust, seen + LEASE + overlap_of(credential.life))


def judge_freshness(record: Record, now: Instant, trust: Instant | None = None) -> Freshness:
    """Say whether the credential may be handed out at `now`, and whether to renew it."""
    credential = record.credential
    if credential is None or record.condemned or now >= credential.expires_at:
        return Freshness.DEAD
    is_suspect = record.suspected and ISSUING[credential.mode].has_probe
    if is_suspect or credential.doubtful or now >= (trust_of(record) if trust is None else trust):
        return Freshness.DOUBTFUL
    if record.suspected or now >= record.refresh_at:
        return Freshness.DUE
    return Freshness.FRESH


def promised_until(record: Record, *, seen: Instant, trust: Instant) -> Instant:
    """Return until when a reader may use the credential without looking again.

    Where a mint ends the former credential, nobody mints before `refresh_at`, and a mint that we had not seen at
    `seen`, the last answered poll, leaves an overlap's time from there.
    """
    credential = record.credential
    if credential is None or not ISSUING[credential.mode].ends_former:
        return trust
    return min(trust, max(record.refresh_at, seen) + overlap_of(credential.life))


def closes_at(attempt: Attempt, life: Seconds) -> Instant:
    """Return from when a credential found alive proves that `attempt` did not end it and no longer can."""
    return attempt.left + DEADLINE + LANDING + overlap_of(life)


def is_unanswered(record: Record) -> bool:
    """Say whether the platform was silent to the last request that can end a token, and to every probe since.

    Until a call is answered nothing that can end a token leaves: the probe with the token we hold is that call.
    """
    if record.credential is None:
        return False
    return any(attempt.ends and attempt.left > record.probe.answered_at for attempt in record.attempts)
