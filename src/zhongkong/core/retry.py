"""When to try again after a mint failed, and what a day may cost."""

from __future__ import annotations

from typing import NamedTuple

from zhongkong.core.issuing import ISSUING
from zhongkong.core.model import (
    LONGEST_WAIT,
    Ambiguous,
    Attempt,
    Instant,
    Mode,
    NotSent,
    Record,
    Retry,
    Seconds,
    Spent,
    Trouble,
)
from zhongkong.core.strangers import is_contested
from zhongkong.wechat.answers import Refused
from zhongkong.wechat.errcodes import Verdict, verdict

DAY: Seconds = 86_400.0
SHANGHAI: Seconds = 8 * 3600.0
PERSON_WAIT: Seconds = 300.0
"""A person must act: every call is counted, some are punished, and `try now` needs no waiting."""
QUOTA_WAITS: tuple[Seconds, ...] = (60.0, 300.0, 900.0)
"""45009 is seen as a minute limit too, so the first wait is short."""
TRANSIENT_LONGEST: Seconds = 60.0
FORCE_APART: Seconds = 35.0
"""Within 30 s of the last force the platform does not rotate, and does not say so. Source: 获取稳定版接口调用凭据."""
FORCES_A_DAY = 20
FORCES_A_DAY_BY_REJECT = 10
CONTEST_STEPS: tuple[Seconds, ...] = (60.0, 120.0, 240.0, 480.0, 960.0, 1800.0)


def shanghai_day(now: Instant) -> int:
    """Return the number of the day by the calendar that the platform counts quotas by."""
    return int((now + SHANGHAI) // DAY)


def next_midnight(now: Instant) -> Instant:
    """Return 00:00 Asia/Shanghai after `now`."""
    return (shanghai_day(now) + 1) * DAY - SHANGHAI


def retry_after(
    retry: Retry, failed: Refused | NotSent | Ambiguous, *, now: Instant, trust: Instant, dice: float
) -> Retry:
    """Return the wait that follows a failed mint: `dice` in [0, 1) is its jitter, `trust` the old one's end."""
    tries = retry.tries + 1
    if isinstance(failed, Refused):
        trouble = _trouble_of(failed)
    else:
        trouble = Trouble("unreachable" if isinstance(failed, NotSent) else "unanswered", errmsg=failed.why)
    if trouble.state == "blocked":
        return Retry(now + PERSON_WAIT, tries, trouble)
    if trouble.state == "quota":
        wait = QUOTA_WAITS[min(tries, len(QUOTA_WAITS)) - 1]
        return Retry(min(now + wait, next_midnight(now) + 60 * dice), tries, trouble)
    wait = max(1.0, dice * min(TRANSIENT_LONGEST, 2.0 ** min(tries, 16)))
    if trust > now:
        wait = min(wait, max(1.0, (trust - now) / 10))
    return Retry(now + wait, tries, trouble)


def pace(record: Record, budget: int, now: Instant) -> Seconds:
    """Return how far apart tries must be so that the day's budget lasts: half is for the first, the rest is spread.

    So an outage of hours, or an account that is blocked all night, leaves something for the moment it is over.
    """
    spent = spent_today(record, now).total
    if 2 * spent <= budget:
        return 0.0
    return min(LONGEST_WAIT, (next_midnight(now) - now) / max(1, budget - spent))


def _trouble_of(refused: Refused) -> Trouble:
    state = {Verdict.PERSON: "blocked", Verdict.QUOTA: "quota"}.get(verdict("mp", "token", refused.errcode), "refused")
    return Trouble(state, refused.errcode, refused.errmsg, refused.rid or "")


class Asking(NamedTuple):
    """How a mint would be asked, and what makes it necessary: rejects and keys may spend only a part of a day."""

    mode: Mode
    forced: bool = False
    """`force_refresh` of the stable mode."""
    for_reject: bool = False
    for_key: bool = False
    """Somebody whose key may force wants it, refused or not."""

    @property
    def ends(self) -> bool:
        """Say whether it may end the credential in use."""
        return self.forced or ISSUING[self.mode].ends_former


def budget_allows(record: Record, budget: int, asking: Asking, now: Instant) -> Instant:
    """Return when the day's budget allows this departure: `now` or earlier if it does, else a later instant.

    Rejects and keys take at most half, and never the last `2 * hours left + 4` of the day, which the rounds need.
    """
    spent = spent_today(record, now)
    midnight = next_midnight(now)
    if spent.total >= budget:
        return midnight
    if asking.for_reject or asking.for_key:
        reserve = 2 * ((midnight - now) / 3600) + 4
        if spent.rejects >= budget // 2 or spent.total >= budget - reserve:
            return midnight
    if not asking.forced:
        return now
    if spent.forces >= FORCES_A_DAY or (not asking.for_key and spent.forces_by_reject >= FORCES_A_DAY_BY_REJECT):
        return midnight
    return max(now, record.last_force + FORCE_APART) if record.last_force <= now else now + FORCE_APART


def spent_today(record: Record, now: Instant) -> Spent:
    """Return what the day of `now` has cost so far."""
    today = shanghai_day(now)
    return record.spent if record.spent.day == today else Spent(day=today)


def spend(record: Record, asking: Asking, now: Instant) -> Spent:
    """Return the day's count with one more departure in it."""
    spent = spent_today(record, now)
    return Spent(
        spent.day,
        spent.total + 1,
        spent.rejects + (asking.for_reject or asking.for_key),
        spent.forces + asking.forced,
        spent.forces_by_reject + (asking.forced and not asking.for_key),
    )


def unspend(record: Record, attempt: Attempt, now: Instant) -> Spent:
    """Return the day's count without `attempt`, of which not a byte left: an outage of ours costs no budget."""
    spent = spent_today(record, now)
    if spent.total == 0 or shanghai_day(attempt.left) != spent.day:
        return spent
    for_reject = attempt.left < record.refresh_at and (record.suspected or record.condemned == "rejected")
    return spent._replace(total=spent.total - 1, rejects=max(0, spent.rejects - for_reject))


def contest_allows(record: Record, asking: Asking, now: Instant) -> Instant:
    """Return when a mint for a reject may leave while a stranger ends our classic tokens: 1, 2, 4 … 30 min apart."""
    if asking.mode is not Mode.CLASSIC or not asking.for_reject or not is_contested(record, now):
        return now
    contest = record.contest
    if contest.tries == 0 or contest.last_mint > now:
        return now
    return contest.last_mint + CONTEST_STEPS[min(contest.tries, len(CONTEST_STEPS)) - 1]
