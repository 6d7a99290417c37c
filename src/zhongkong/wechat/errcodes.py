"""What the platform's errcodes mean, and what the keeper does after one.

A code alone says nothing: 40001 is a stale token on a business call and a credential that was not accepted on a token
route. So a verdict is a function of (domain, endpoint, errcode). The meanings, for people, are in `errcodes.toml`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum
from functools import cache
from importlib.resources import files

from zhongkong.wechat.endpoints import Domain

WRONG_PAIR = frozenset({40001, 40013, 40091, 40125})
"""Of a token route: the platform does not know this appid with this secret; nothing that time or quota would mend."""


class Verdict(Enum):
    """What the keeper does after a mint was refused."""

    TRANSIENT = "transient"
    """It passes by itself: try again, ever more slowly."""
    PERSON = "person"
    """A person must act; each further try costs quota and cannot help."""
    QUOTA = "quota"
    """The calls of the minute or the day are spent."""


class ProbeVerdict(StrEnum):
    """What a probe proved of a credential."""

    ALIVE = "alive"
    DEAD = "dead"
    UNKNOWN = "unknown"


class Action(StrEnum):
    """What the caller of an API does about an errcode."""

    RETRY_LATER = "retry_later"
    REFRESH_TOKEN = "refresh_token"
    FIX_CONFIG = "fix_config"
    """A person must act."""
    QUOTA = "quota"
    NOT_RETRYABLE = "not_retryable"
    """This call is wrong; another one may be right."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What one errcode means, in both languages; `errmsg` and `known` are explained in `errcodes.toml`."""

    action: Action
    zh: str
    en: str
    errmsg: str
    known: str


SYSTEM_BUSY = -1
REFUSED_TOKEN = frozenset({40001, 40014, 42001})
"""What a business call answers to a token it does not take: replaced, not recognised, past its life."""
WRONG_SECRET = 40001
"""At WeCom: there this is the secret's, whatever call it answers."""

_TOKEN_ROUTES: Mapping[int, Verdict] = {
    SYSTEM_BUSY: Verdict.TRANSIENT,
    45009: Verdict.QUOTA,
    45011: Verdict.QUOTA,
    **dict.fromkeys(
        (
            *(40001, 40002, 40013, 40066, 40125, 40164, 40243),
            *(41002, 41004, 43001, 43002, 43003, 45035),
            *(48001, 48004, 48017, 50002, 50004, 50007, 61004, 61024),
            *(89501, 89503, 89506, 89507),
        ),
        Verdict.PERSON,
    ),
}
_TICKET_ROUTES: Mapping[int, Verdict] = {
    SYSTEM_BUSY: Verdict.TRANSIENT,
    45009: Verdict.QUOTA,
    45011: Verdict.QUOTA,
    **dict.fromkeys((40097, 40164, 48001, 48004, 48017, 50002, 50004, 50007, 61004), Verdict.PERSON),
}
"""A refused access_token (40001, 40014, 42001) passes: it is replaced."""
_WECOM_ROUTES: Mapping[int, Verdict] = {
    SYSTEM_BUSY: Verdict.TRANSIENT,
    45009: Verdict.QUOTA,
    **dict.fromkeys(
        (
            *(40001, 40013, 40091, 41002, 41004, 42012),
            *(48002, 48004, 60020, 670001),
        ),
        Verdict.PERSON,
    ),
}
"""The same for token and tickets. 45033, too many at once, passes; so does a refused access_token (40014, 42001)."""
_VERDICTS: Mapping[tuple[Domain, str], Mapping[int, Verdict]] = {
    ("mp", "token"): _TOKEN_ROUTES,
    ("mp", "stable_token"): _TOKEN_ROUTES,
    ("mp", "getticket"): _TICKET_ROUTES,
    ("wecom", "gettoken"): _WECOM_ROUTES,
    ("wecom", "get_jsapi_ticket"): _WECOM_ROUTES,
    ("wecom", "get"): _WECOM_ROUTES,
}


def verdict(domain: Domain, endpoint: str, errcode: int) -> Verdict:
    """Return what to do after a mint at this endpoint was refused with `errcode`.

    A code that nobody knows is transient: the platform invents codes for passing troubles too, the waits grow to a
    minute, and the day's budget bounds what a wrong guess costs. Raises KeyError for an endpoint that mints nothing.
    """
    return _VERDICTS[domain, endpoint].get(errcode, Verdict.TRANSIENT)


def judge_probe(errcode: int | None, domain: Domain = "mp") -> ProbeVerdict:
    """Return what a probe's answer proves; None stands for silence, a 5xx, or an answer that cannot be read.

    A refusal for any other reason was given to a token that the platform knew, so it is alive.
    """
    if errcode is None or errcode == SYSTEM_BUSY:
        return ProbeVerdict.UNKNOWN
    return ProbeVerdict.DEAD if is_refused_token(errcode, domain) else ProbeVerdict.ALIVE


def is_refused_token(errcode: int, domain: Domain = "mp") -> bool:
    """Say whether a business call was refused for its token. Not for token routes: there 40001 means the secret."""
    return errcode in REFUSED_TOKEN and not (domain == "wecom" and errcode == WRONG_SECRET)


def meaning_of(domain: Domain, errcode: int, endpoint: str = "*") -> Meaning | None:
    """Return what the code means there, or None if nobody recorded it; an endpoint's own line goes first."""
    table = _meanings()
    return table.get((domain, endpoint, errcode)) or table.get((domain, "*", errcode))


@cache
def _meanings() -> Mapping[tuple[str, str, int], Meaning]:
    """Return the table, read at the first question: most programs never ask."""
    domains = tomllib.loads(files(__package__).joinpath("errcodes.toml").read_text(encoding="utf-8"))
    return {
        (domain, endpoint, int(errcode)): Meaning(**{**line, "action": Action(line["action"])})
        for domain, endpoints in domains.items()
        for endpoint, lines in endpoints.items()
        for errcode, line in lines.items()
    }
