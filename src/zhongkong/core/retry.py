"""When to try again after a mint failed, and what a day may cost."""

from __future__ import annotations

from typing import NamedTuple

from zhongkong.core.issuing import ISSUING, daily_budget
from zhongkong.core.model import (
    LONGEST_WAIT,
    NEVER,
    Account,
    Ambiguous,
    Attempt,
    Event,
    Instant,
    Mode,
    NotSent,
    Record,
    Retry,
    Seconds,
    Spent,
    Trouble,
    Withheld,
)
from zhongkong.core.strangers import is_contested
from zhongkong.wechat.answers import Refused
from zhongkong.wechat.errcodes import Verdict, verdict

DAY: Seconds = 86_400.0
SHANGHAI: Seconds = 8 * 3600.0
PERSON_STATES = frozenset({"blocked", "leader_key", "leader_account"})
"""States of a slot that no waiting ends."""
PERSON_WAIT: Seconds = 300.0
"""A person must act: every call is counted, some are punished, and `try now` needs no waiting."""
QUOTA_WAITS: tuple[Seconds, ...] = (60.0, 300.0, 900.0)
"""45009 is seen as a minute limit too, so the first wait is short."""
WECOM_QUOTA_WAITS: tuple[Seconds, ...] = (60.0, 600.0)
"""There it blocks for a minute or for an hour, by the rule that was broken. Source: 访问频率限制."""
TRANSIENT_LONGEST: Seconds = 60.0
TOLD_LONGEST: Seconds = 60.0
"""What a leader says of its wait is obeyed up to here: to ask a hub costs nobody's quota, and it may be well before."""
FORCE_APART: Seconds = 35.0
"""Within 30 s of the last force the platform does not rotate, and does not say so. Source: 获取稳定版接口调用凭据."""
REPEATED_APART: Seconds = 60.0
"""How often a platform that repeats a dead token, and cannot be told to replace it, is asked for another."""
TOKEN_REPEATED = "token_repeated"
"""The state of such a slot."""
FORCES_A_DAY = 20
FORCES_A_DAY_BY_REJECT = 10
BUDGET_ALERTS = (0.5, 0.8)
"""Shares of a day's budget at which somebody should look."""
CONTEST_STEPS: tuple[Seconds, ...] = (60.0, 120.0, 240.0, 480.0, 960.0, 1800.0)


def shanghai_day(now: Instant) -> int:
    """Return the number of the day by the calendar that the platform counts quotas by."""
    return int((now + SHANGHAI) // DAY)


def next_midnight(now: Instant) -> Instant:
    """Return 00:00 Asia/Shanghai after `now`."""
    return (shanghai_day(now) + 1) * DAY - SHANGHAI


def retry_after(
    retry: Retry,
    failed: Refused | NotSent | Ambiguous | Withheld,
    *,
    now: Instant,
    trust: Instant,
    dice: float,
    mode: Mode = Mode.STABLE,
) -> Retry:
    """Return the wait after a failed mint by `mode`; `dice` in [0, 1) is its jitter, `trust` the old one's end."""
    trouble = _trouble_of(failed, mode)
    told = min(failed.retry_after or 0.0, TOLD_LONGEST) if isinstance(failed, Withheld) else 0.0
    is_same_rhythm = retry.trouble is None or _rhythm_of(retry.trouble) == _rhythm_of(trouble)
    tries = retry.tries + 1 if is_same_rhythm else 1
    if wants_a_person(trouble) and not told:
        return Retry(now + PERSON_WAIT, tries, trouble)
    if trouble.state == "quota" and not told:
        endpoint = ISSUING[mode].endpoint
        waits = WECOM_QUOTA_WAITS if endpoint is not None and endpoint.domain == "wecom" else QUOTA_WAITS
        wait = waits[min(tries, len(waits)) - 1]
        return Retry(min(now + wait, next_midnight(now) + 60 * dice), tries, trouble)
    wait = max(1.0, dice * min(TRANSIENT_LONGEST, 2.0 ** min(tries, 16)))
    if trust > now:
        wait = min(wait, max(1.0, (trust - now) / 10))
    return Retry(now + max(wait, told), tries, trouble)


def wants_a_person(trouble: Trouble) -> bool:
    """Say whether asking again cannot help until somebody has done something."""
    return trouble.state in PERSON_STATES


def unjudged(record: Record) -> Trouble:
    """Return why nobody could say whether the record's credential lives: a leader's trouble, if it is known."""
    if record.credential is None or not ISSUING[record.credential.mode].is_relayed:
        return Trouble("unanswered")
    return record.retry.trouble or Trouble("leader_away")


def pace(record: Record, budget: int, now: Instant, hurry_until: Instant) -> Seconds:
    """Return how far apart tries must be so that the day's budget lasts: half is for the first, the rest is spread.

    So an outage of hours, or an account that is blocked all night, leaves something for the moment it is over. While
    there is something to lose at `hurry_until`, a quarter of the time to it is enough: a dozen tries, not a hundred.
    """
    spent = spent_today(record, now).total
    if 2 * spent <= budget:
        return 0.0
    spread = min(LONGEST_WAIT, (next_midnight(now) - now) / max(1, budget - spent))
    return min(spread, (hurry_until - now) / 4) if hurry_until > now else spread


def _rhythm_of(trouble: Trouble) -> str:
    """Return what decides how the waits grow: failures of one rhythm are counted together, those of another anew."""
    return trouble.state if trouble.state in ("blocked", "quota") else "transient"


def _trouble_of(failed: Refused | NotSent | Ambiguous | Withheld, mode: Mode) -> Trouble:
    if isinstance(failed, Withheld):
        return failed.trouble
    endpoint = ISSUING[mode].endpoint
    if not isinstance(failed, Refused):
        of_platform = "unreachable" if isinstance(failed, NotSent) else "unanswered"
        return Trouble("leader_away" if endpoint is None else of_platform, errmsg=failed.why)
    means = Verdict.TRANSIENT if endpoint is None else verdict(endpoint.domain, endpoint.name, failed.errcode)
    state = {Verdict.PERSON: "blocked", Verdict.QUOTA: "quota"}.get(means, "refused")
    return Trouble(state, failed.errcode, failed.errmsg, failed.rid or "")


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
    of_rejects = not asking.for_key and spent.forces_by_reject >= FORCES_A_DAY_BY_REJECT
    if asking.forced and (spent.forces >= FORCES_A_DAY or of_rejects):
        return midnight
    return now


def force_allowed_at(record: Record, asking: Asking, now: Instant) -> Instant:
    """Return from when a force would do anything: sooner the platform gives the same token again, and counts it."""
    if not asking.forced:
        return NEVER
    return record.last_force + FORCE_APART if record.last_force <= now else now + FORCE_APART


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


def budget_of(record: Record, account: Account, mode: Mode) -> int:
    """Return how many departures a day allows the slot in this mode."""
    return daily_budget(account, mode, record.credential.life if record.credential else record.longest)


def budget_events(record: Record, budget: int, now: Instant) -> tuple[Event, ...]:
    """Return what to tell when a departure that was counted brought the day to one half, or four fifths, of its budget.

    Told when it was answered, not when it was counted: one that never left is taken back, and may be counted again.
    """
    total = spent_today(record, now).total
    for share in BUDGET_ALERTS:
        if total - 1 < share * budget <= total:
            told: dict[str, str | int | float] = {"kind": record.slot.kind, "spent": total, "budget": budget}
            told["percent"] = round(100 * share)
            return (Event("budget_spent", record.slot.appid, told),)
    return ()


def unspend(record: Record, attempt: Attempt, now: Instant) -> Spent:
    """Return the day's count without `attempt`, of which not a byte left: an outage of ours costs no budget.

    What a key asked for stays counted: an attempt does not tell who wanted it, and keys may not do too much.
    """
    spent = spent_today(record, now)
    if spent.total == 0 or shanghai_day(attempt.left) != spent.day:
        return spent
    for_reject = attempt.left < record.refresh_at and (record.suspected or record.condemned == "rejected")
    forced = record.insist and attempt.ends and ISSUING[attempt.mode].can_force
    return spent._replace(
        total=spent.total - 1,
        rejects=max(0, spent.rejects - for_reject),
        forces=max(0, spent.forces - forced),
        forces_by_reject=max(0, spent.forces_by_reject - forced),
    )


def contest_allows(record: Record, asking: Asking, now: Instant) -> Instant:
    """Return when a mint for a reject may leave while a stranger ends our classic tokens: 1, 2, 4 … 30 min apart."""
    if asking.mode is not Mode.CLASSIC or not asking.for_reject or not is_contested(record, now):
        return now
    contest = record.contest
    if contest.tries == 0 or contest.last_mint > now:
        return now
    return contest.last_mint + CONTEST_STEPS[min(contest.tries, len(CONTEST_STEPS)) - 1]
