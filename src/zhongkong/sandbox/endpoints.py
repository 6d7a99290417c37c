"""The platform's paths: what arrived over HTTP, read as the platform reads it, and handed to the world."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, urlsplit

from zhongkong.sandbox.answers import Answer, Body, File
from zhongkong.sandbox.calls import CALLS
from zhongkong.sandbox.fields import parse_json
from zhongkong.sandbox.holdings import Media
from zhongkong.sandbox.media import MEDIA_GET_PATH, file_name
from zhongkong.sandbox.multipart import MULTIPART, Part, parse_files
from zhongkong.sandbox.pictures import PICTURE_TYPE, draw_png
from zhongkong.sandbox.qrcodes import SHOW_PATH
from zhongkong.sandbox.quotas import STABLE_TOKEN_PATH, TOKEN_PATH
from zhongkong.sandbox.sns import SNS
from zhongkong.sandbox.wecom import GETTOKEN_PATH, WECOM_CALLS
from zhongkong.sandbox.world import CLEAR_QUOTA_V2_PATH, World

Values: TypeAlias = Mapping[str, Any]
WECOM_HOST = "qyapi.weixin.qq.com"
WECOM_ALIAS = "/qyapi"
"""What stands before the paths of WeCom where one sandbox has one name."""
FORM_TYPE = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One call as it arrived. `posted` is the JSON object in its body, whatever the body was labelled; else None.

    `base_url` is how the caller reached the sandbox, without a slash at its end.
    """

    method: str
    path: str
    ip: str
    query: Values
    form: Values
    posted: Values | None
    empty: bool
    files: Mapping[str, Part] = field(default_factory=dict)
    base_url: str = ""
    at_wecom: bool = False
    """It was sent to WeCom: by its host's name, or under /qyapi, which the path does not show any more."""
    form_counts: bool = False
    """By switch: the access_token of a form is taken, and what stands beside it."""

    @property
    def values(self) -> Values:
        """The query, the one place where the platform looks for a token, and by switch the form that has one."""
        return {**self.form, **self.query} if self.is_by_form else self.query

    @property
    def is_by_form(self) -> bool:
        """Whether the token is in a form, and counts there."""
        return self.form_counts and "access_token" in self.form

    @property
    def access_token(self) -> str | None:
        """The token that the call bears."""
        return self.values.get("access_token")

    @property
    def force_refresh(self) -> bool:
        """Whether a stable token is asked for by force; only a JSON true counts."""
        return self.path == STABLE_TOKEN_PATH and (self.posted or {}).get("force_refresh") is True


def parse_asked(
    *,
    method: str,
    path: str,
    query: bytes,
    content_type: str,
    body: bytes,
    ip: str,
    base_url: str = "",
    form_counts: bool = False,
) -> Asked:
    """Return the call; nothing in it can be wrong here, the platform judges it."""
    label = content_type.partition(";")[0].strip().lower()
    below = path.removeprefix(WECOM_ALIAS) if path.startswith(f"{WECOM_ALIAS}/") else path
    return Asked(
        method=method,
        path=below,
        at_wecom=below != path or urlsplit(base_url).hostname == WECOM_HOST,
        ip=ip,
        query=_pairs(query),
        form=_pairs(body) if label == FORM_TYPE else {},
        posted=None if label == MULTIPART else _object(body),
        empty=not body.strip(),
        files=parse_files(content_type, body) if label == MULTIPART else {},
        base_url=base_url,
        form_counts=form_counts,
    )


def caller_of(world: World, asked: Asked) -> str | None:
    """Return the appid whose token the call bears, or that it names; None when it does neither."""
    if asked.path == GETTOKEN_PATH:
        account = world.application(_text(asked.query, "corpid"), _text(asked.query, "corpsecret"))
        return account.appid if account else _text(asked.query, "corpid")
    account = world.account_of(asked.access_token or "")
    return account.appid if account else _text({**(asked.posted or {}), **asked.form, **asked.query}, "appid")


def is_wecoms(world: World, asked: Asked) -> bool:
    """Say whether WeCom answers: some of its paths are the official accounts' too, so then the token decides."""
    account = world.account_of(asked.access_token or "")
    is_its_token = account is not None and account.kind == "wecom"
    return asked.at_wecom or asked.path == GETTOKEN_PATH or is_its_token


def refusal(world: World, errcode: int, asked: Asked, now: float, *, errmsg: str | None = None, **values: str) -> Body:
    """Return the body for `errcode`, in the words of whom the call was sent to."""
    if is_wecoms(world, asked):
        return world.wecom_refusal(errcode, now, asked.ip, errmsg=errmsg)
    return world.refusal(errcode, now, asked.path, errmsg=errmsg, **values)


def answer(world: World, asked: Asked, now: float) -> Answer:
    """Return what the platform says to the call. What it cannot read of a body it refuses: 44002 empty, 47001 else."""
    if is_wecoms(world, asked):
        return _answer_of_wecom(world, asked, now)
    besides = BESIDES.get(asked.path)
    if besides is not None:
        return besides(world, asked, now)
    row = CALLS.get(asked.path)
    if row is None:
        return world.refusal(40066, now, asked.path)
    if asked.method != row.method and not (row.method == "GET" and asked.is_by_form):
        return _wrong_method(world, asked, now, 43001 if row.method == "GET" else 43002)
    if row.takes_file:
        with_file = {**asked.query, "media": asked.files.get("media")}
        return world.call(asked.path, access_token=asked.access_token, params=with_file, now=now)
    if row.method == "POST" and asked.posted is None:
        return world.refusal_of(asked.access_token, now, asked.path) or _unreadable(world, asked, now)
    params = asked.values if row.method == "GET" else asked.posted
    return world.call(asked.path, access_token=asked.access_token, params=params, now=now)


def _answer_of_wecom(world: World, asked: Asked, now: float) -> Answer:
    token, ip = asked.access_token, asked.ip
    if asked.path == GETTOKEN_PATH:
        if asked.method != "GET":
            return _wrong_method(world, asked, now, 43001)
        secret = _text(asked.query, "corpsecret")
        return world.gettoken(corpid=_text(asked.query, "corpid"), corpsecret=secret, ip=ip, now=now)
    if asked.path == MEDIA_GET_PATH:
        found = world.wecom_media(access_token=token, params=asked.query, ip=ip, now=now)
        return File(found.content, found.content_type, file_name(found)) if isinstance(found, Media) else found
    row = WECOM_CALLS.get(asked.path)
    if row is not None and asked.method != row.method:
        return _wrong_method(world, asked, now, 43001 if row.method == "GET" else 43002)
    params: Values | None = asked.query
    if row is not None and row.method == "POST":
        params = {**asked.query, "media": asked.files.get("media")} if row.takes_file else asked.posted
    if params is None:
        return _unreadable(world, asked, now)
    return world.wecom_call(asked.path, access_token=token, params=params, ip=ip, now=now)


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


def _media_get(world: World, asked: Asked, now: float) -> Answer:
    """A file as it came; of a video only where it is to be had."""
    if asked.method != "GET" and not asked.is_by_form:
        return _wrong_method(world, asked, now, 43001)
    found = world.media(access_token=asked.access_token, params=asked.values, now=now)
    if not isinstance(found, Media):
        return found
    if found.type == "video":
        account = world.account_of(asked.access_token or "")
        appid = account.appid if account else ""
        return {"video_url": f"{asked.base_url}/sandbox/v1/accounts/{appid}/media/{found.media_id}"}
    return File(found.content, found.content_type, file_name(found))


def _showqrcode(world: World, asked: Asked, now: float) -> Answer:
    """The picture of a ticket, for anybody."""
    if asked.method != "GET":
        return _wrong_method(world, asked, now, 43001)
    qrcode = world.qrcode(_text(asked.query, "ticket"), now)
    if qrcode is None:
        return File(b"", "text/html", status=world.switches.unknown_qrcode_status)
    return File(draw_png(qrcode.url), PICTURE_TYPE)


def _sns(world: World, asked: Asked, now: float) -> Body:
    """Values from the query, or from a form."""
    if asked.method not in ("GET", "POST"):
        return _wrong_method(world, asked, now, 43001)
    return world.sns(asked.path, {**asked.form, **asked.query}, ip=asked.ip, now=now)


BESIDES: dict[str, Callable[[World, Asked, float], Answer]] = {
    TOKEN_PATH: _token,
    STABLE_TOKEN_PATH: _stable_token,
    CLEAR_QUOTA_V2_PATH: _clear_quota_v2,
    MEDIA_GET_PATH: _media_get,
    SHOW_PATH: _showqrcode,
    **dict.fromkeys(SNS, _sns),
}
"""The paths that are no rows of `calls.CALLS`: they take no access_token of the account's, or answer no JSON."""


def _wrong_method(world: World, asked: Asked, now: float, errcode: int) -> Body:
    return refusal(world, errcode, asked, now)


def _unreadable(world: World, asked: Asked, now: float) -> Body:
    return refusal(world, 44002 if asked.empty else 47001, asked, now)


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
