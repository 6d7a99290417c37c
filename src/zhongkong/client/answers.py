"""What a hub answered, read without trust: a credential, no news, a refusal, or no hub's word at all."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, TypeAlias, cast
from urllib.parse import urlsplit

from zhongkong.client.source import Credential, Outcome
from zhongkong.errors import (
    AccessDenied,
    AccountUnknown,
    CredentialUnavailable,
    RequestRefused,
    Value,
    ZhongkongError,
)
from zhongkong.messages import codes
from zhongkong.wechat.answers import clean_errmsg

BODY_LONGEST = 65_536
"""Bytes. A longer answer is no hub's."""
SPAN_LONGEST = 86_400
"""Seconds. The platform grants nothing that lives longer."""
GENERATION_HIGHEST = 10**15
_VALUE = re.compile(r"[\x21-\x7e]{1,2048}")
_ETAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e]{1,100}"')
_MAX_AGE = re.compile(r"\bmax-age=([0-9]{1,6})\b")
_CODE = re.compile(r"[a-z0-9_]{1,64}")
_OUTCOMES = frozenset({"refreshed", "already_newer", "still_valid"})

_DENIALS: Mapping[str, tuple[str, ...]] = {
    "key_missing": (),
    "key_unknown": (),
    "key_expired": (),
    "key_not_from_here": ("address",),
    "grant_missing": ("grant",),
    "account_not_granted": ("appid",),
}
"""What a hub says to a key, and the values that its text names."""


@dataclass(frozen=True, slots=True)
class Question:
    """A credential asked for at a hub. `hub` is its URL, to be shown; `etag` that of the one that the asker has."""

    hub: str
    appid: str
    kind: str
    etag: str = ""


@dataclass(frozen=True, slots=True)
class Given:
    """The credential; `outcome` says what became of a reject."""

    credential: Credential
    etag: str
    outcome: Outcome | None = None


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The asker has it: ask again in `refresh_in` seconds (None: as before)."""

    refresh_in: int | None


@dataclass(frozen=True, slots=True)
class Refused:
    """The hub's own word that this asker gets nothing now. CredentialUnavailable passes; the others need a person."""

    error: ZhongkongError
    withdraws: bool = True
    """What was handed out before counts no more. False: the hub is there, and can say nothing of this slot."""


@dataclass(frozen=True, slots=True)
class Troubled:
    """Nothing was learned of the credential: the hub cannot answer, or it is no hub that answers.

    `cause` and `values` are those of a text; `retry_after` is in seconds, None if nothing was said.
    """

    cause: str
    values: dict[str, Value] = field(default_factory=dict)
    retry_after: float | None = None


Answer: TypeAlias = Given | Unchanged | Refused | Troubled


def read_answer(question: Question, status: int, headers: Mapping[str, str], body: bytes) -> Answer:
    """Return what an answer means. `headers` are found by lower-case names."""
    if status == HTTPStatus.NOT_MODIFIED:
        if question.etag:
            found = _MAX_AGE.search(headers.get("cache-control", ""))
            return Unchanged(int(found[1]) if found else None)
    elif HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return Troubled("hub_redirects", {"hub": question.hub, "to": _place_of(headers.get("location", ""))})
    answered = _parse(body)
    if status == HTTPStatus.OK and answered is not None:
        given = _read_credential(question, answered, headers.get("etag", ""))
        if given is not None:
            return given
    is_problem = headers.get("content-type", "").partition(";")[0].strip() == "application/problem+json"
    if answered is not None and is_problem and _CODE.fullmatch(str(answered.get("code"))):
        return _read_problem(question, status, answered, _seconds(headers.get("retry-after", "")))
    return Troubled("hub_not_understood", {"hub": question.hub, "said": f"HTTP {status}"})


def _read_credential(question: Question, answered: dict[str, Any], etag: str) -> Given | None:
    value, outcome = answered.get(question.kind), answered.get("outcome")
    generation, expires_in, refresh_in = (answered.get(name) for name in ("generation", "expires_in", "refresh_in"))
    if not isinstance(value, str) or not _VALUE.fullmatch(value) or answered.get("appid") != question.appid:
        return None
    if not (type(generation) is type(expires_in) is type(refresh_in) is int):
        return None
    if not (0 < generation <= GENERATION_HIGHEST and max(expires_in, refresh_in) <= SPAN_LONGEST):
        return None
    if outcome is not None and outcome not in _OUTCOMES:
        return None
    credential = Credential(
        question.appid,
        question.kind,
        value,
        generation,
        max(0, expires_in),
        max(1, refresh_in),
        doubtful=answered.get("doubtful") is True,
        stale=answered.get("stale") is True,
    )
    return Given(credential, etag if _ETAG.fullmatch(etag) else "", cast("Outcome | None", outcome))


def _read_problem(question: Question, status: int, problem: dict[str, Any], retry_after: float | None) -> Answer:
    code, hub = str(problem["code"]), question.hub
    said: dict[str, Any] = {"hub": hub, "said": f"HTTP {status} {code}"}
    if code == "account_unknown":
        return Refused(AccountUnknown(question.appid))
    if code == "credential_unavailable":
        return Refused(_read_unavailable(question, problem, retry_after or 1.0))
    if code == "route_unknown":
        return Refused(RequestRefused("kind_not_served", hub=hub, kind=question.kind))
    if code in _DENIALS:
        said.update((name, _text(problem, name)) for name in _DENIALS[code])
        return Refused(AccessDenied(code, **said))
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return Refused(AccessDenied("hub_denies", **said))
    if status < HTTPStatus.INTERNAL_SERVER_ERROR and status != HTTPStatus.TOO_MANY_REQUESTS:
        return Refused(RequestRefused("hub_refuses", **said))
    if problem.get("appid") == question.appid:  # whatever it is, it is not the hub that is away
        appid, wait, words = question.appid, retry_after or 1.0, said["said"]
        error = CredentialUnavailable(appid, question.kind, "hub_troubled", retry_after=wait, hub=hub, said=words)
        return Refused(error, withdraws=False)
    return Troubled("hub_troubled", said, retry_after)


def _read_unavailable(question: Question, problem: dict[str, Any], retry_after: float) -> CredentialUnavailable:
    """Return why there is no credential; a cause that a newer hub knows and we do not is told by its name."""
    cause = _text(problem, "cause")
    values: dict[str, Any] = {"hub": question.hub}
    errcode = problem.get("errcode")
    if type(errcode) is int:
        values["errcode"] = errcode
    for name in ("errmsg", "rid"):
        if isinstance(problem.get(name), str):
            values[name] = clean_errmsg(problem[name])
    if f"trouble_{cause}" not in codes():
        values["said"], cause = cause, "hub_says"
    return CredentialUnavailable(question.appid, question.kind, cause, retry_after=retry_after, **values)


def _text(problem: dict[str, Any], name: str) -> str:
    value = problem.get(name)
    return clean_errmsg(value) if isinstance(value, str) and value else "?"


def _seconds(text: str) -> float | None:
    return float(text) if re.fullmatch(r"[0-9]{1,9}", text) else None


def _place_of(location: str) -> str:
    """Return where a redirect leads, without path and query: those may hold what is not to be shown."""
    try:
        place = urlsplit(location)
        host = place.hostname or ""
    except ValueError:
        return "?"
    return f"{place.scheme}://{host}" if host else "/"


def _parse(body: bytes) -> dict[str, Any] | None:
    try:
        answered = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return answered if isinstance(answered, dict) else None
