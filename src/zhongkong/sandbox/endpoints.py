"""The platform's paths: what arrived over HTTP, read as the platform reads it, and handed to the world."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias
from urllib.parse import parse_qsl

from zhongkong.sandbox.answers import Body
from zhongkong.sandbox.calls import CALLS
from zhongkong.sandbox.fields import parse_json
from zhongkong.sandbox.quotas import STABLE_TOKEN_PATH, TOKEN_PATH
from zhongkong.sandbox.world import CLEAR_QUOTA_V2_PATH, World

Values: TypeAlias = Mapping[str, Any]
FORM_TYPE = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One call as it arrived. `posted` is the JSON object in its body, whatever the body was labelled; else None."""

    method: str
    path: str
    ip: str
    query: Values
    form: Values
    posted: Values | None
    empty: bool

    @property
    def access_token(self) -> str | None:
        """The token in the query, the one place where the platform looks for it."""
        return self.query.get("access_token")

    @property
    def force_refresh(self) -> bool:
        """Whether a stable token is asked for by force; only a JSON true counts."""
        return self.path == STABLE_TOKEN_PATH and (self.posted or {}).get("force_refresh") is True


def parse_asked(*, method: str, path: str, query: bytes, content_type: str, body: bytes, ip: str) -> Asked:
    """Return the call; nothing in it can be wrong here, the platform judges it."""
    is_form = content_type.partition(";")[0].strip().lower() == FORM_TYPE
    return Asked(
        method=method,
        path=path,
        ip=ip,
        query=_pairs(query),
        form=_pairs(body) if is_form else {},
        posted=_object(body),
        empty=not body.strip(),
    )


def caller_of(world: World, asked: Asked) -> str | None:
    """Return the appid whose token the call bears, or that it names; None when it does neither."""
    account = world.account_of(asked.access_token or "")
    return account.appid if account else _text({**(asked.posted or {}), **asked.form, **asked.query}, "appid")


def answer(world: World, asked: Asked, now: float) -> Body:
    """Return the platform's body for the call. What it cannot read of a body it refuses: 44002 empty, 47001 else."""
    with_secret = _WITH_SECRET.get(asked.path)
    if with_secret is not None:
        return with_secret(world, asked, now)
    row = CALLS.get(asked.path)
    if row is None:
        return world.refusal(40066, now, asked.path)
    if asked.method != row.method:
        return _wrong_method(world, asked, now, 43001 if row.method == "GET" else 43002)
    if row.method == "POST" and asked.posted is None:
        return world.refusal_of(asked.access_token, now, asked.path) or _unreadable(world, asked, now)
    params = asked.query if row.method == "GET" else asked.posted
    return world.call(asked.path, access_token=asked.access_token, params=params, now=now)


def _token(world: World, asked: Asked, now: float) -> Body:
    """Classic: values from the query; a form, as some clients post it, does too."""
    if asked.method not in ("GET", "POST"):
        return _wrong_method(world, asked, now, 43001)
    values = {**asked.form, **asked.query}
    return world.token(
        appid=_text(values, "appid"),
        secret=_text(values, "secret"),
        grant_type=_text(values, "grant_type"),
        ip=asked.ip,
        now=now,
    )


def _stable_token(world: World, asked: Asked, now: float) -> Body:
    """Stable: JSON by POST and nothing else."""
    if asked.method != "POST":
        return _wrong_method(world, asked, now, 43002)
    if asked.posted is None:
        return _unreadable(world, asked, now)
    return world.stable_token(
        appid=_text(asked.posted, "appid"),
        secret=_text(asked.posted, "secret"),
        grant_type=_text(asked.posted, "grant_type"),
        force_refresh=asked.force_refresh,
        ip=asked.ip,
        now=now,
    )


def _clear_quota_v2(world: World, asked: Asked, now: float) -> Body:
    """Listed as a body, shown as a query in the platform's own example: both are taken."""
    if asked.method != "POST":
        return _wrong_method(world, asked, now, 43002)
    values = {**(asked.posted or {}), **asked.form, **asked.query}
    return world.clear_quota_v2(
        appid=_text(values, "appid"), appsecret=_text(values, "appsecret"), ip=asked.ip, now=now
    )


_WITH_SECRET: dict[str, Callable[[World, Asked, float], Body]] = {
    TOKEN_PATH: _token,
    STABLE_TOKEN_PATH: _stable_token,
    CLEAR_QUOTA_V2_PATH: _clear_quota_v2,
}


def _wrong_method(world: World, asked: Asked, now: float, errcode: int) -> Body:
    return world.refusal(errcode, now, asked.path)


def _unreadable(world: World, asked: Asked, now: float) -> Body:
    return world.refusal(44002 if asked.empty else 47001, now, asked.path)


def _pairs(encoded: bytes) -> dict[str, str]:
    text = encoded.decode("utf-8", "replace")
    return dict(reversed(parse_qsl(text, keep_blank_values=True)))  # of a name given twice the first counts


def _object(body: bytes) -> Values | None:
    try:
        value = parse_json(body)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _text(values: Values, name: str) -> str | None:
    value = values.get(name)
    return value if isinstance(value, str) else None
