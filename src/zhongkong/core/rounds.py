"""What a slot needs at this moment, and when to look at it again."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from zhongkong.core.freshness import Freshness, closes_at, is_unanswered, judge_freshness, threats, trust_of
from zhongkong.core.issuing import ISSUING, overlap_of
from zhongkong.core.model import NEVER, Instant, Record, Seconds
from zhongkong.core.retry import REPEATED_APART, TOKEN_REPEATED
from zhongkong.wechat.errcodes import ProbeVerdict

PROBES_APART: Seconds = 5.0
"""At most one probe per slot within this time, whoever asks."""
LOOK_AGAIN: Seconds = 3600.0


class Action(Enum):
    """What to do for a slot."""

    REST = "rest"
    PROBE = "probe"
    MINT = "mint"


class Plan(NamedTuple):
    """What to do now, and the latest instant at which to plan again."""

    action: Action
    look_again_at: Instant


def needs_mint(record: Record, now: Instant) -> bool:
    """Say whether another credential is needed; whether it may be minted now is the claim's decision.

    With two threats a mint would not lift the doubt, only probes do, so doubt alone is then no reason.
    """
    match judge_freshness(record, now):
        case Freshness.FRESH:
            return False
        case Freshness.DEAD | Freshness.DUE:
            return True
        case Freshness.DOUBTFUL:
            return record.suspected or now >= record.refresh_at or len(threats(record)) == 1


def probe_due_at(record: Record, now: Instant) -> Instant | None:
    """Return when the current credential is to be probed without anybody asking; None while there is no reason.

    In doubt that is every tenth of the overlap; an open attempt is closed by one when it is old enough; a credential
    that a caller insisted against is looked at once more. Who got no answer asks again as if in doubt.
    A dead one that the platform goes on handing out is looked at as often as it is asked for: one node may be wrong.
    """
    credential = record.credential
    if credential is not None and is_repeated(record):
        return _began_at(record, now) + REPEATED_APART
    if credential is None or record.condemned:
        return None
    open_threats, began = threats(record), _began_at(record, now)
    again = began + overlap_of(credential.life) / 10
    moments = [closes_at(threat, credential.life) for threat in open_threats]
    if record.probe.again_at is not None:
        moments.append(record.probe.again_at)
    wanted = [moment if began < moment else again for moment in moments]
    if open_threats:
        wanted.append(max(trust_of(record), again))
    if not wanted:
        return None
    return max(min(wanted), began + PROBES_APART)


def is_repeated(record: Record) -> bool:
    """Say whether the platform handed out again, a moment ago, what it had proved dead."""
    trouble = record.retry.trouble
    return record.condemned in ("rejected", "probed") and trouble is not None and trouble.state == TOKEN_REPEATED


def is_vouched(record: Record, now: Instant) -> bool:
    """Say whether a doubtful credential was found alive so lately that callers need not wait for the next look.

    One that its leader doubts is for the leader to look at: here nobody waits. What has no probe is as good as the last
    answer to who asked for it.
    """
    credential = record.credential
    if credential is None or record.suspected or record.probe.last is ProbeVerdict.DEAD:
        return False
    if credential.doubtful or not ISSUING[credential.mode].has_probe:
        return True
    return now < record.probe.alive_at + max(overlap_of(credential.life) / 10, PROBES_APART)


def plan(record: Record, now: Instant) -> Plan:
    """Return what a round does for the slot now; it never looks back, and `look_again_at` is later than `now`.

    A lease held elsewhere, a retry wait and a doubt that is not yet due only move the next look.
    """
    if record.removed:
        return Plan(Action.REST, now + LOOK_AGAIN)
    looks = [now + LOOK_AGAIN, record.credential.expires_at if record.credential else NEVER]
    probe_at = probe_due_at(record, now)
    if probe_at is not None:
        if probe_at <= now:
            return Plan(Action.PROBE, now + 1.0)
        looks.append(probe_at)
    blocked_until = max(record.retry.holds_until(now), _lease_end(record, now), hold_end(record))
    if needs_mint(record, now):
        if blocked_until > now:
            looks.append(blocked_until)
        elif not is_unanswered(record):
            return Plan(Action.MINT, now + 1.0)
        else:
            looks.append(next_ping_at(record, now))
            if looks[-1] <= now:
                return Plan(Action.PROBE, now + 1.0)
    else:
        looks.append(max(record.refresh_at, blocked_until) if record.refresh_at > now else now + 1.0)
        if threats(record):
            looks.append(trust_of(record))
    return Plan(Action.REST, min(look for look in looks if look > now))


def hold_end(record: Record) -> Instant:
    """Return until when nobody may mint because an open attempt may already have replaced a credential still trusted.

    A second mint would end the first one's forerunner at once, and with it what was promised to readers; until trust
    ends there is no hurry. Proof of death lifts the hold.
    """
    if record.condemned or not threats(record):
        return NEVER
    return trust_of(record)


def next_ping_at(record: Record, now: Instant) -> Instant:
    """Return when to ask a silent platform again, by a probe, whether it is there."""
    life = record.credential.life if record.credential else 0
    return _began_at(record, now) + max(PROBES_APART, overlap_of(life) / 10)


def _began_at(record: Record, now: Instant) -> Instant:
    """Return when the last probe left; one of the future was stamped by a clock that has stepped back since."""
    return record.probe.began_at if record.probe.began_at <= now else NEVER


def _lease_end(record: Record, now: Instant) -> Instant:
    lease = record.lease
    return lease.until if lease is not None and lease.holds(now) else NEVER
