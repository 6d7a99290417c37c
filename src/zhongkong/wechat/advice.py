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
from zhongkong.wechat.endpoints import GETTOKEN, TOKEN, Domain, corpid_of, domain_of
from zhongkong.wechat.errcodes import Action, Verdict, is_refused_token, meaning_of, verdict

ADVISED = frozenset(
    {
        *(-1, 40001, 40013, 40066, 40125, 40164, 40243, 41002, 41004, 45009, 45011),
        *(48001, 48004, 48017, 50004, 50007, 61024, 89501, 89503, 89506, 89507),
    }
)
"""The errcodes of the token routes that have a text of their own, `errcode_<n>`, in `messages/texts/platform.toml`."""
ADVISED_OF_WECOM = frozenset({-1, 40001, 40013, 40091, 45009, 48002, 60020})
"""The same of WeCom, `wecom_<n>`."""
UNREACHED = frozenset({"unreachable", "leader_away"})
"""States that have a second text, `trouble_<state>_at`, which names the address."""
_NOT_ALLOWED_HERE = frozenset({40164, 45035, 61004})
"""One trouble, three codes: the address we come from is not on the allow-list."""
_NOT_TRUSTED = 60020
"""The same trouble at WeCom."""

_ERRORS: Mapping[Verdict, type[PlatformError]] = {
    Verdict.TRANSIENT: PlatformBusy,
    Verdict.QUOTA: QuotaExhausted,
    Verdict.PERSON: AccountRejected,
}


def advise(appid: str, errcode: int, errmsg: str = "") -> tuple[str, dict[str, Value]]:
    """Return code and values of the text that says why a mint was refused, and who must do what."""
    values: dict[str, Value] = {"appid": appid, "said": f"{errcode} {errmsg}".rstrip()}
    if domain_of(appid) == "wecom":
        return _advise_of_wecom(appid, errcode, errmsg, values)
    if errcode in _NOT_ALLOWED_HERE:
        ip = ip_of(errmsg)
        return ("errcode_40164", {**values, "ip": ip}) if ip else ("errcode_40164_unnamed", values)
    if errcode in ADVISED:
        return f"errcode_{errcode}", values
    return ("errcode_person" if verdict_on(appid, errcode) is Verdict.PERSON else "errcode_unknown"), values


def _advise_of_wecom(appid: str, errcode: int, errmsg: str, values: dict[str, Value]) -> tuple[str, dict[str, Value]]:
    values["corpid"] = corpid_of(appid) or appid
    if errcode == _NOT_TRUSTED:
        ip = ip_of(errmsg)
        return ("wecom_60020", {**values, "ip": ip}) if ip else ("wecom_60020_unnamed", values)
    if errcode in ADVISED_OF_WECOM:
        return f"wecom_{errcode}", values
    return ("wecom_person" if verdict_on(appid, errcode) is Verdict.PERSON else "wecom_unknown"), values


def verdict_on(appid: str, errcode: int) -> Verdict:
    """Return the verdict on a mint that was refused where an account like this asks for its token."""
    return verdict(*_token_route_of(appid), errcode)


def _token_route_of(appid: str) -> tuple[Domain, str]:
    route = GETTOKEN if domain_of(appid) == "wecom" else TOKEN
    return route.domain, route.name


def action_on(appid: str, errcode: int) -> Action:
    """Return what is to be done about an errcode of a token route."""
    domain, endpoint = _token_route_of(appid)
    meaning = meaning_of(domain, errcode, endpoint)
    if meaning is not None:
        return meaning.action
    return Action.FIX_CONFIG if verdict_on(appid, errcode) is Verdict.PERSON else Action.RETRY_LATER


def build_error(appid: str, refused: Refused) -> PlatformError:
    """Return the error to raise where a mint was asked for directly, and refused."""
    code, values = advise(appid, refused.errcode, refused.errmsg)
    named: dict[str, Any] = values
    return _ERRORS[verdict_on(appid, refused.errcode)](code, refused.errcode, refused.errmsg, refused.rid, **named)


def explain_trouble(
    state: str,
    lang: Language,
    appid: str,
    errcode: int | None = None,
    errmsg: str = "",
    values: Mapping[str, Value] | None = None,
) -> str:
    """Return the text for a slot that is not well: the platform's refusal in words, or else what the state means.

    `values` are those that the text of the state names besides the appid; a `base_url` among them is named where it
    was not reached. It is for administrators.
    """
    if errcode is None:
        named = {**(values or {}), "appid": appid}
        where = "_at" if state in UNREACHED and "base_url" in named else ""
        return render(f"trouble_{state}{where}", lang, **named) + (f" [{errmsg}]" if errmsg else "")
    code, values = advise(appid, errcode, errmsg)
    if state == "refused" and is_refused_token(
        errcode, domain_of(appid)
    ):  # on a token route it is the secret, and wants a person
        code = "errcode_token_refused"
    return render(code, lang, **values)


def explain_error(error: ZhongkongError, lang: Language) -> str:
    """Return the text for an error; where no credential could be had, the cause follows."""
    wait = {} if error.retry_after is None else {"retry_after": max(1, ceil(error.retry_after))}
    if not isinstance(error, CredentialUnavailable):
        return render(error.code, lang, **error.values, **wait)
    text = render(error.text, lang, **error.values, **wait)
    return f"{text} {_explain_state(error.cause, lang, error.appid, error.values)}"


def explain_event(code: str, lang: Language, appid: str, values: Mapping[str, Value]) -> str:
    """Return the text for an event; what failed is followed by its cause."""
    values = {"kind": "access_token", **values}  # events of before there was another one do not say
    text = render(f"event_{code}", lang, **{**values, "appid": appid})
    if code == "sink_failing":
        return f"{text} {render(str(values['cause']), lang, **values)}"
    return f"{text} {_explain_state(str(values['state']), lang, appid, values)}" if code == "mint_failed" else text


def _explain_state(state: str, lang: Language, appid: str, values: Mapping[str, Value]) -> str:
    errcode, errmsg = values.get("errcode"), str(values.get("errmsg", ""))
    return explain_trouble(state, lang, appid, errcode if isinstance(errcode, int) else None, errmsg, values)
