"""Another hub in the platform's place: how it is asked, and what its answers mean.

What is sent and read here is the hub's own interface, described in docs/http.md. An answer is read without trust, like
the platform's: a proxy's page, another account's credential and half a document are no answer.
"""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import quote

from zhongkong.core.grants import parse_key_id
from zhongkong.core.model import (
    Account,
    AccountKind,
    Ambiguous,
    HandedOn,
    Kind,
    Mode,
    Seconds,
    Trouble,
    Withheld,
)
from zhongkong.wechat.answers import LIFE_LONGEST, Unreadable, clean_errmsg, is_token, parse_object
from zhongkong.wechat.endpoints import corpid_of, is_platform_host
from zhongkong.wechat.errcodes import ProbeVerdict

READ_PATH = "/v1/accounts/{appid}/{kind}"
REJECT_PATH = READ_PATH + "/reject"
WHOAMI_PATH = "/v1/whoami"

OK = 200
UNAUTHORIZED = 401
FORBIDDEN = 403
FIRST_ERROR = 400

CALLER_LONGEST = 128
GENERATION_HIGHEST = 10**15 - 1
AT_ITS_END: Seconds = 1.0
"""When to ask again for what the leader replaces this very moment."""

_CODE = re.compile(r"[a-z][a-z0-9_]{0,63}")
_RID = re.compile(r"[0-9A-Za-z-]{1,64}")
_SECONDS = re.compile(r"[0-9]{1,6}", re.ASCII)
_PASSED_ON = frozenset({"blocked", "quota"})
"""What the platform told the leader is as true here; whatever else it refused with passes."""


def find_unfit(account: Account) -> str:
    """Return which field of an account does not go with its mode, or an empty string.

    A key of a hub never leaves for the platform, nor an AppSecret for a hub. An account of WeCom is one by its appid.
    """
    is_wecom = account.kind is AccountKind.WECOM
    if is_wecom is not (corpid_of(account.appid) is not None):
        return "appid"
    own_modes = {Mode.WECOM} if is_wecom else {Mode.STABLE, Mode.CLASSIC}
    if account.mode not in own_modes | {Mode.FOLLOW}:
        return "mode"
    follows, is_at_platform = account.mode is Mode.FOLLOW, is_platform_host(account.base_url)
    is_key = parse_key_id(account.secret.reveal()) is not None
    if account.on_contest not in (Mode.STABLE, Mode.CLASSIC):
        return "on_contest"
    if follows and is_at_platform:
        return "base_url"
    return "secret" if (follows and not is_key) or (is_key and is_at_platform) else ""


def path_of(template: str, appid: str, kind: Kind) -> str:
    """Return the path of a request about this credential of an account."""
    return template.format(appid=quote(appid, safe=""), kind=kind.value)


def build_etag(generation: int) -> str:
    """Return an ETag that names a generation and fits no credential: nothing earlier comes back, and never a 304.

    What a leader promises is wanted anew each time, so that its age is known.
    """
    return f'W/"{generation}.00000000"'


def build_reject(sha256: str, caller: str) -> bytes:
    """Return the body of a reject; `caller` is who reported it here, so that the leader can tell our callers apart."""
    told = {"caller": caller[:CALLER_LONGEST]} if caller else {}
    return json.dumps({"rejected_sha256": sha256, **told}).encode()


def parse_read(
    appid: str, kind: Kind, status: int, body: bytes, retry_after: str = ""
) -> HandedOn | Withheld | Ambiguous:
    """Return what a leader handed on, why it did not, or that this was no answer of a hub."""
    answer = parse_object(body)
    if isinstance(answer, Unreadable):
        return Ambiguous(answer.why if status == OK else f"status_{status}")
    if status >= FIRST_ERROR:
        return _parse_problem(status, answer, retry_after)
    if status != OK:
        return Ambiguous(f"status_{status}")
    if (answer.get("appid"), answer.get("kind")) != (appid, kind.value):
        return Ambiguous("another_account")
    value, doubtful = answer.get(kind.value), answer.get("doubtful") is True
    if not is_token(value):
        return Ambiguous("token_malformed")
    expires_in = _whole(answer, "expires_in", 0, LIFE_LONGEST)
    refresh_in = _whole(answer, "refresh_in", 1, LIFE_LONGEST)
    generation = _whole(answer, "generation", 1, GENERATION_HIGHEST)
    if expires_in is None or refresh_in is None or generation is None:
        return Ambiguous("promise_malformed")
    if expires_in == 0 and not doubtful:
        return Withheld(Trouble("leader_unwell", errmsg="refreshing"), AT_ITS_END)
    promised = 0 if doubtful else expires_in
    return HandedOn(value, promised, refresh_in, generation, doubtful, answer.get("stale") is True)


def parse_rejected(appid: str, status: int, body: bytes) -> tuple[ProbeVerdict, int]:
    """Return what a leader's answer to a reject proves of the credential, and the generation that it holds now, or 0.

    Replaced over there is dead to us; and who cannot say proves nothing.
    """
    answer = parse_object(body)
    if status != OK or isinstance(answer, Unreadable) or answer.get("appid") != appid:
        return ProbeVerdict.UNKNOWN, 0
    outcomes = {
        "still_valid": ProbeVerdict.ALIVE,
        "refreshed": ProbeVerdict.DEAD,
        "already_newer": ProbeVerdict.DEAD,
    }
    verdict = outcomes.get(str(answer.get("outcome")), ProbeVerdict.UNKNOWN)
    return verdict, _whole(answer, "generation", 1, GENERATION_HIGHEST) or 0


def _parse_problem(status: int, problem: dict[str, Any], retry_after: str) -> Withheld | Ambiguous:
    """Return why a leader withheld it: the platform's refusal as it is, else the leader's own trouble and its words."""
    code = problem.get("code")
    if not isinstance(code, str) or not _CODE.fullmatch(code):
        return Ambiguous(f"status_{status}")
    wait = float(retry_after) if _SECONDS.fullmatch(retry_after) else None
    cause, errmsg = str(problem.get("cause", "")), clean_errmsg(str(problem.get("errmsg", "")))
    errcode, rid = problem.get("errcode"), str(problem.get("rid", ""))
    if type(errcode) is int and errcode:
        state = cause if cause in _PASSED_ON else "refused"
        return Withheld(Trouble(state, errcode, errmsg, rid if _RID.fullmatch(rid) else ""), wait)
    if status in (UNAUTHORIZED, FORBIDDEN):
        seen = problem.get("address", problem.get("grant", ""))
        return Withheld(Trouble("leader_key", errmsg=clean_errmsg(f"{code} {seen}")))
    if code == "account_unknown":
        return Withheld(Trouble("leader_account", errmsg=code))
    if code != "credential_unavailable":
        return Withheld(Trouble("leader_unwell", errmsg=code), wait)
    inner = (
        errmsg if cause == "leader_unwell" else f"{cause} {errmsg}"
    )  # a chain of leaders tells its last link's words
    return Withheld(Trouble("leader_unwell", errmsg=clean_errmsg(inner)), wait)


def _whole(answer: dict[str, Any], name: str, lowest: int, highest: int) -> int | None:
    value = answer.get(name)
    return value if type(value) is int and lowest <= value <= highest else None
