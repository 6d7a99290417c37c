"""What an outage leaves of a day's budget: the rules of `core` run against a platform that is away for so many hours.

`python -m tests.docs.budgets` prints the table of docs/decisions/0015-a-budget-that-lasts.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from random import Random
from typing import NamedTuple

from tests.unit.core.records import NOW, SLOT, build_account, build_due
from zhongkong.core.claim import Claim, Claimed, NotYet
from zhongkong.core.command import run
from zhongkong.core.issuing import daily_budget
from zhongkong.core.model import Account, Ambiguous, Attempt, Mode, NotSent, Outcome, Record
from zhongkong.core.reject import BeginProbe, EndProbe, ProbeNow
from zhongkong.core.retry import Asking, budget_allows, spent_today
from zhongkong.core.rounds import Action, plan
from zhongkong.core.save import Save
from zhongkong.wechat.answers import Refused
from zhongkong.wechat.errcodes import ProbeVerdict

HOUR = 3600.0
BEGINS = NOW - 15 * HOUR
"""01:00 in Shanghai: the longest outage ends on the same day."""
HOURS = (1, 6, 20)
SEEDS = range(3)

Accounts = dict[str, Account]
ACCOUNTS: Accounts = {
    "classic, 200": build_account(Mode.CLASSIC),
    "classic, test account, 100": build_account(Mode.CLASSIC, is_test=True),
    "stable, 2000": build_account(Mode.STABLE),
}
OUTAGES: dict[str, tuple[Outcome, float]] = {
    "answers -1 (busy)": (Refused(-1, "system error", ""), 0.1),
    "does not answer": (Ambiguous("timeout"), 10.0),
    "cannot be reached": (NotSent("connect_failed"), 3.0),
    "refuses until a person acts (40164)": (Refused(40164, "invalid ip", ""), 0.1),
    "says that the day is spent (45009)": (Refused(45009, "reach max api daily quota limit", ""), 0.1),
}


class Left(NamedTuple):
    """What an outage left, in the worst of some runs."""

    tries: int
    """Of the day's budget."""
    wait: float
    """Seconds from the outage's end to the next try."""
    rejects: bool
    """Whether a mint that only a reject made necessary would be allowed."""

    def __str__(self) -> str:
        wait = f"{self.wait:.0f} s" if self.wait < 90 else f"{self.wait / 60:.0f} min"
        return f"{self.tries} / {wait}{'' if self.rejects else ' / no rejects'}"


def endure(account: Account, outcome: Outcome, takes: float, hours: float, seed: int, *, is_cold: bool = False) -> Left:
    """Return what is left after rounds tried for so long in vain; a cold slot never had a token."""
    record = _due(account, is_cold=is_cold)
    random = Random(seed)
    now, end = BEGINS, BEGINS + hours * HOUR
    while now < end:
        action, look_again_at = plan(record, now)
        if action is Action.MINT:
            record, now = _mint(record, account, outcome, takes, now, random)
        elif action is Action.PROBE:
            record, now = _probe(record, takes, now)
        else:
            now = look_again_at
    budget = daily_budget(account, account.mode, 7200)
    rejects = budget_allows(record, budget, Asking(account.mode, for_reject=True), end) <= end
    return Left(budget - spent_today(record, end).total, max(0.0, record.retry.next_try_at - end), rejects)


def _due(account: Account, *, is_cold: bool) -> Record:
    if is_cold:
        return Record(SLOT, revision=account.revision)
    due = build_due(account.mode)
    assert due.credential is not None
    by = NOW - BEGINS
    moved = replace(
        due.credential,
        since=due.credential.since - by,
        left=due.credential.left - by,
        expires_at=due.credential.expires_at - by,
    )
    return replace(due, credential=moved, refresh_at=BEGINS, revision=account.revision)


def _mint(
    record: Record, account: Account, outcome: Outcome, takes: float, now: float, random: Random
) -> tuple[Record, float]:
    applied, _ = run(Claim(SLOT, account, f"fence {now}", record.generation, in_round=True), record, now)
    match applied.answer:
        case Claimed(Attempt(fence)):
            saved, _ = run(Save(SLOT, account, fence, outcome, dice=random.random()), applied.record, now + takes)
            return saved.record, now + takes
        case NotYet(until):
            return record, until
    return applied.record, now + 1.0


def _probe(record: Record, takes: float, now: float) -> tuple[Record, float]:
    begun, _ = run(BeginProbe(SLOT, record.generation), record, now)
    if not isinstance(begun.answer, ProbeNow) or record.credential is None:
        return begun.record, now + 1.0
    end = EndProbe(SLOT, record.credential.sha256, now, ProbeVerdict.UNKNOWN, "probed")
    return run(end, begun.record, now + takes)[0].record, now + takes


def worst(of: Callable[[int], Left]) -> Left:
    """Return the fewest tries and the longest wait that any seed led to."""
    found = [of(seed) for seed in SEEDS]
    return Left(min(one.tries for one in found), max(one.wait for one in found), all(one.rejects for one in found))


def table() -> Iterator[str]:
    """Yield the table's lines."""
    yield "| the platform … | account | " + " | ".join(f"after {hours} h" for hours in HOURS) + " |"
    yield "| --- | --- |" + " --- |" * len(HOURS)
    rows = [(name, outcome, takes, False) for name, (outcome, takes) in OUTAGES.items()]
    silent = OUTAGES["does not answer"]
    rows.insert(2, ("does not answer, and there never was a token", *silent, True))
    for name, outcome, takes, is_cold in rows:
        for label, account in ACCOUNTS.items():
            cells = [
                str(worst(lambda seed: endure(account, outcome, takes, hours, seed, is_cold=is_cold)))  # noqa: B023
                for hours in HOURS
            ]
            yield f"| {name} | {label} | " + " | ".join(cells) + " |"


if __name__ == "__main__":
    print("\n".join(table()))
