"""What the platform answered, read without trust: every body is granted, refused, or unreadable, and none raises."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address
from typing import Any, NoReturn, TypeGuard

BODY_LONGEST = 65_536
"""Bytes. No answer of the calls that the keeper makes comes near; a longer one is not the platform's."""
TOKEN_LONGEST = 2_048
LIFE_LONGEST = 86_400
ERRMSG_LONGEST = 300

_TOKEN = re.compile(r"[\x21-\x7e]{1,2048}")
_ERRCODE = re.compile(r"-?[0-9]{1,10}")
_RID = re.compile(r"\brid: ?([0-9a-fA-F]{8}-[0-9a-fA-F]{8}-[0-9a-fA-F]{8})\b")
_LOOKS_SECRET = re.compile(r"[A-Za-z0-9_\-+/=%]{28,}")
"""A secret has 32 characters, a token more than 100; a rid has 26, and addresses have dots or colons in between."""
_ADDRESS = re.compile(r"\b(?:ip|ipv6|requestIP:|ip:) ?([0-9A-Fa-f:.]{2,45})")


@dataclass(frozen=True, slots=True)
class Granted:
    """The platform handed out a credential, good for `expires_in` seconds from the departure of the request on."""

    value: str = field(repr=False)
    expires_in: int


@dataclass(frozen=True, slots=True)
class Refused:
    """The platform refused, in a well-formed answer. `errmsg` is safe to show; `rid` is empty if it gave none."""

    errcode: int
    errmsg: str = ""
    rid: str = ""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """The answer is none the platform gives. `why` is a short code, safe to show: nothing of the body is in it."""

    why: str


def parse_grant(status: int, body: bytes, name: str = "access_token") -> Granted | Refused | Unreadable:
    """Return what a mint brought under `name`; only a clean answer is an answer, all else leaves the attempt open.

    A body with a token *and* an errcode contradicts itself and is unreadable. The Content-Type is not asked: the
    platform labels JSON as text/plain at times. Source: 获取 Access Token; 获取稳定版接口调用凭据; 获取 ticket.
    """
    answer = _parse_answer(status, body)
    if isinstance(answer, Unreadable):
        return answer
    errcode = _errcode_of(answer)
    token = answer.get(name)
    if errcode is None:
        return Unreadable("errcode_malformed")
    if errcode:
        return Unreadable("token_and_errcode") if token else _refused(errcode, answer.get("errmsg"))
    if not is_token(token):
        return Unreadable("token_malformed" if token else "token_missing")
    expires_in = answer.get("expires_in")
    if type(expires_in) is not int or not 1 <= expires_in <= LIFE_LONGEST:
        return Unreadable("expires_in_malformed")
    return Granted(token, expires_in)


def parse_probe(status: int, body: bytes) -> int | None:
    """Return the errcode of a probe's answer, 0 for the list it asked for, None for what proves nothing."""
    answer = _parse_answer(status, body)
    if isinstance(answer, Unreadable):
        return None
    if "errcode" not in answer and not isinstance(answer.get("ip_list"), list):
        return None
    return _errcode_of(answer)


def is_token(value: object) -> TypeGuard[str]:
    """Say whether this can be a credential's value: printable ASCII without spaces, at most 2,048 characters."""
    return isinstance(value, str) and _TOKEN.fullmatch(value) is not None


def parse_errcode(body: bytes) -> int | None:
    """Return the errcode of a business call's answer, 0 if it names none, None for what is no JSON object."""
    answer = _parse_answer(200, body)
    return None if isinstance(answer, Unreadable) else _errcode_of(answer)


def parse_refusal(body: bytes) -> Refused | None:
    """Return the refusal in a business call's answer; None for what is none."""
    answer = parse_object(body)
    errcode = None if isinstance(answer, Unreadable) else _errcode_of(answer)
    return _refused(errcode, answer.get("errmsg")) if errcode and not isinstance(answer, Unreadable) else None


def parse_rid(errmsg: str) -> str:
    """Return the id by which the platform can look this request up for 7 days, or an empty string."""
    found = _RID.findall(errmsg)
    return str(found[-1]) if found else ""


def ip_of(errmsg: str) -> str:
    """Return the address that the platform saw us come from, as 40164 and its kin tell it, or an empty string."""
    for found in _ADDRESS.findall(errmsg):
        try:
            address = ip_address(found.rstrip(".:"))
        except ValueError:
            continue
        mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
        return str(mapped or address)
    return ""


def clean_errmsg(text: str) -> str:
    """Return the platform's words fit to be shown: one short line, nothing in it that looks like a secret."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return _LOOKS_SECRET.sub("***", line)[:ERRMSG_LONGEST]


def _refused(errcode: int, errmsg: object) -> Refused:
    text = errmsg if isinstance(errmsg, str) else ""
    return Refused(errcode, clean_errmsg(text), parse_rid(text))


def _errcode_of(answer: dict[str, Any]) -> int | None:
    """Return the errcode, 0 if there is none, None if it is no number. One recorded answer has it as a string."""
    errcode = answer.get("errcode", 0)
    if isinstance(errcode, str) and _ERRCODE.fullmatch(errcode):
        return int(errcode)
    return errcode if type(errcode) is int else None


def _parse_answer(status: int, body: bytes) -> dict[str, Any] | Unreadable:
    """Return the JSON object of an HTTP 200."""
    if status != 200:  # noqa: PLR2004 (the one status that the platform answers with)
        return Unreadable(f"status_{status}")
    return parse_object(body)


def parse_object(body: bytes) -> dict[str, Any] | Unreadable:
    """Return a JSON object. A BOM is passed over; a name given twice could mean either, so neither."""
    if len(body) > BODY_LONGEST:
        return Unreadable("too_long")
    try:
        answer = json.loads(body.decode("utf-8-sig"), object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return Unreadable("not_json")
    return answer if isinstance(answer, dict) else Unreadable("not_an_object")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = dict(pairs)
    if len(names) < len(pairs):
        raise ValueError
    return names


def _refuse_constant(_name: str) -> NoReturn:
    raise ValueError
