"""The oracle's own arithmetic. It imports nothing of what it judges, so that one misreading cannot hide on both sides.

Written from the platform's documents and docs/correctness.md. Instants are Unix seconds of the store's clock, spans
are seconds.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

LEASE = 20.0
"""A claim keeps others away for so long."""
DEADLINE = 10.0
"""What a request to the platform may take."""
LANDING = 60.0
"""How much later than its deadline it may still arrive."""
PATIENCE = 5.0
"""What a caller waits who says nothing else."""
SMALL_STEP = 2.0
"""A store's clock that moves by no more cannot be told from one that was read late."""
FORCES_APART = 35.0
FORCES_A_DAY = 20
FORCES_A_DAY_FOR_REJECTS = 10
PROBES_APART = 5.0
REPEATED_APART = 60.0
"""How often a platform that repeats a dead token, and cannot be told otherwise, is asked for another."""
ASKED_APART = 60.0
"""How often a ticket is asked for again for whoever rejects it."""
ESCALATIONS_APART = 600.0

_SHANGHAI = timezone(timedelta(hours=8))
_A_DAY = {"classic": 200, "stable": 2000, "wecom": 2000, "ticket": 100, "wecom_ticket": 100}
_A_DAY_OF_A_TEST_ACCOUNT = {**_A_DAY, "classic": 100}
_A_PERSON_MUST_ACT = {
    "token": {40001, 40002, 40013, 40066, 40125, 40164, 40243, 41002, 41004, 61004},
    "ticket": {40097, 40164, 48001, 61004},
    "wecom": {40001, 40013, 41002, 41004, 48002, 60020},
}


def shanghai_day(instant: float) -> int:
    """Return the day by the calendar in Shanghai, counted from any beginning."""
    return datetime.fromtimestamp(instant, _SHANGHAI).toordinal()


def until_midnight(instant: float) -> float:
    """Return the seconds until the calendar in Shanghai turns."""
    here = datetime.fromtimestamp(instant, _SHANGHAI)
    return 86_400.0 - (here.hour * 3600 + here.minute * 60 + here.second + here.microsecond / 1e6)


def overlap(life: float) -> float:
    """Return how long a replaced token lives on; also the last part of a stable one's life, in which it is renewed."""
    if life >= 7200:
        return 300.0
    if life >= 48:
        return life / 24
    return min(2.0, life / 2)


def allowed_a_day(mode: str, life: float, *, is_test: bool) -> int:
    """Return how many requests may leave on one day; a sandbox whose tokens live shorter is asked more often."""
    table = _A_DAY_OF_A_TEST_ACCOUNT if is_test else _A_DAY
    return int(table[mode] * max(7200.0 / life, 1.0))


def kept_for_rounds(instant: float) -> float:
    """Return how many of a day's last requests no reject and no key may have."""
    return 4 + 2 * until_midnight(instant) / 3600


def due_between(mode: str, expires_at: float, life: float) -> tuple[float, float]:
    """Return between which instants a token becomes due; where in between is the slot's own share."""
    if mode == "classic":
        quarter = life / 4
        return expires_at - 1.1 * quarter, expires_at - quarter
    window = life / 4 if mode in ("ticket", "wecom_ticket") else overlap(life)
    unit = max(window / 60, 0.1)
    return expires_at - window + unit, expires_at - window + 6 * unit


def trusted_until(expires_at: float, life: float, began: float, open_since: list[float]) -> float:
    """Return until when a token is surely good that left the platform at `began`, with requests open since then."""
    if not open_since:
        return expires_at
    if len(open_since) > 1:
        return float("-inf")
    return min(expires_at, max(began, open_since[0]) + overlap(life))


def verdict_holds(verdicts_before: int) -> float:
    """Return how long a caller may be told of a living token what a probe found, by how often he was told so before."""
    return 10.0 if verdicts_before == 0 else min(300.0, 10.0 * 2 ** (verdicts_before - 1))


def state_after(errcode: int, route: str) -> str:
    """Return the state that a refused request leaves a slot in; one number means different things on each route."""
    if errcode == 45009 or (errcode == 45011 and route != "wecom"):
        return "quota"
    return "blocked" if errcode in _A_PERSON_MUST_ACT[route] else "refused"


def longest_wait(state: str, trust_left: float) -> float:
    """Return how long the next try may be put off by what happened to the last one, the day's budget aside."""
    if state == "blocked":
        return 300.0
    if state == "quota":
        return 900.0
    if state == "too_early":
        return FORCES_APART
    return max(1.0, min(60.0, trust_left / 10)) if trust_left > 0 else 60.0


def longest_spread(spent: int, allowed: int, instant: float) -> float:
    """Return how long the next try may be put off so that what is left of the budget lasts until midnight."""
    if 2 * spent <= allowed:
        return 0.0
    return min(3600.0, until_midnight(instant) / max(1, allowed - spent))
