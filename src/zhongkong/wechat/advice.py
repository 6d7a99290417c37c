"""What a person is told about errors, refusals and events: which text of the catalogue, and with which values."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Any

from zhongkong.errors import (
    AccountRejected,
    CredentialUnavailable,
    PlatformBusy,
    PlatformError,
    QuotaExhausted,
    Value,
    ZhongkongError,
)
from zhongkong.messages import Language, render
from zhongkong.wechat.answers import Refused, ip_of
from zhongkong.wechat.errcodes import Verdict, verdict

ADVISED = frozenset(
    {
        *(-1, 40001, 40013, 40066, 40125, 40164, 40243, 41002, 41004, 45009, 45011),
        *(48001, 48004, 48017, 50004, 50007, 61024, 89501, 89503, 89506, 89507),
    }
)
"""The errcodes of the token routes that have a text of their own, `errcode_<n>`, in `messages/texts/platform.toml`."""
_NOT_ALLOWED_HERE = frozenset({40164, 45035, 61004})
"""One trouble, three codes: the address we come from is not on the allow-list."""

_ERRORS: Mapping[Verdict, type[PlatformError]] = {
    Verdict.TRANSIENT: PlatformBusy,
    Verdict.QUOTA: QuotaExhausted,
    Verdict.PERSON: AccountRejected,
}


def advise(appid: str, errcode: int, errmsg: str = "") -> tuple[str, dict[str, Value]]:
    """Return code and values of the text that says why a mint was refused, and who must do what."""
    values: dict[str, Value] = {"appid": appid, "said": f"{errcode} {errmsg}".rstrip()}
    if errcode in _NOT_ALLOWED_HERE:
        ip = ip_of(errmsg)
        return ("errcode_40164", {**values, "ip": ip}) if ip else ("errcode_40164_unnamed", values)
    if errcode in ADVISED:
        return f"errcode_{errcode}", values
    by_person = verdict("mp", "token", errcode) is Verdict.PERSON
    return ("errcode_person" if by_person else "errcode_unknown"), values


def build_error(appid: str, refused: Refused) -> PlatformError:
    """Return the error to raise where a mint was asked for directly, and refused."""
    code, values = advise(appid, refused.errcode, refused.errmsg)
    named: dict[str, Any] = values
    return _ERRORS[verdict("mp", "token", refused.errcode)](code, refused.errcode, refused.errmsg, refused.rid, **named)


def explain_trouble(state: str, lang: Language, appid: str, errcode: int | None = None, errmsg: str = "") -> str:
    """Return the text for a slot that is not well: the platform's refusal in words, or else what the state means."""
    if errcode is None:
        return render(f"trouble_{state}", lang, appid=appid) + (f" [{errmsg}]" if errmsg else "")
    code, values = advise(appid, errcode, errmsg)
    return render(code, lang, **values)


def explain_error(error: ZhongkongError, lang: Language) -> str:
    """Return the text for an error; where no credential could be had, the cause follows."""
    wait = {} if error.retry_after is None else {"retry_after": max(1, ceil(error.retry_after))}
    text = render(error.code, lang, **error.values, **wait)
    if not isinstance(error, CredentialUnavailable):
        return text
    return f"{text} {_explain_state(error.cause, lang, error.appid, error.values)}"


def explain_event(code: str, lang: Language, appid: str, values: Mapping[str, Value]) -> str:
    """Return the text for an event; a failed mint is followed by its cause."""
    text = render(f"event_{code}", lang, **{**values, "appid": appid})
    return f"{text} {_explain_state(str(values['state']), lang, appid, values)}" if code == "mint_failed" else text


def _explain_state(state: str, lang: Language, appid: str, values: Mapping[str, Value]) -> str:
    errcode, errmsg = values.get("errcode"), str(values.get("errmsg", ""))
    return explain_trouble(state, lang, appid, errcode if isinstance(errcode, int) else None, errmsg)
