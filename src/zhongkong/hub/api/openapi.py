"""The description of the HTTP interface (OpenAPI 3.1), written by hand; a test holds it and the routes together."""

from __future__ import annotations

from typing import Any

from zhongkong.core.grants import Grant
from zhongkong.core.model import ACCOUNT_MODES, AccountKind, Kind, Mode
from zhongkong.version import __version__

JSON = "application/json"
_STRING = {"type": "string"}
_WHOLE = {"type": "integer"}
_TIME = {"type": "integer", "description": "Unix seconds, on the store's clock."}


def build_openapi() -> dict[str, Any]:
    """Return the OpenAPI document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "zhongkong",
            "version": __version__,
            "summary": "The central control server for WeChat access tokens (微信中控服务器).",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{"key": []}],
        "paths": _PATHS,
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "zk_<id>_<secret>"}},
            "schemas": _SCHEMAS,
        },
    }


def _object(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": required, "properties": properties}


def _list_of(name: str, of: str) -> dict[str, Any]:
    return _object([name], **{name: {"type": "array", "items": _ref(of)}})


def _ref(schema: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{schema}"}


def _content(schema: dict[str, Any], kind: str = JSON) -> dict[str, Any]:
    return {"content": {kind: {"schema": schema}}}


def _answer(meaning: str, schema: dict[str, Any] | None = None, kind: str = JSON) -> dict[str, Any]:
    return {"description": meaning, **(_content(schema, kind) if schema else {})}


def _problems(*statuses: int) -> dict[str, Any]:
    return {str(status): _answer(_MEANINGS[status], _ref("Problem"), "application/problem+json") for status in statuses}


def _in_path(name: str, meaning: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": _STRING, "description": meaning}


def _in_query(name: str, schema: dict[str, Any], meaning: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": schema, "description": meaning}


def _operation(
    zh: str,
    en: str,
    answers: dict[str, Any],
    problems: tuple[int, ...],
    *,
    grant: str = "",
    parameters: list[dict[str, Any]] | None = None,
    body: dict[str, Any] | None = None,
) -> dict[str, Any]:
    operation: dict[str, Any] = {"summary": en, "x-summary-zh": zh, "responses": {**answers, **_problems(*problems)}}
    if grant:
        operation["x-grant"] = grant
    else:
        operation["security"] = []
    if parameters:
        operation["parameters"] = parameters
    if body:
        operation["requestBody"] = {"required": True, **_content(body)}
    return operation


_MEANINGS = {
    400: "The request is not understood; `field` and `wanted` say why.",
    401: "No key, an unknown or an expired one.",
    403: "The key may not do this, or not for this account, or not from here.",
    404: "There is no such account, key or route.",
    409: "It is there already, or it is declared in the settings.",
    413: "The body is longer than 64 KiB.",
    422: "The platform refused, and a person must act: see errcode, errmsg, rid and action.",
    429: "Too often; Retry-After says when.",
    503: "There is no credential, or the store is away; Retry-After says when to ask again.",
}
_APPID = _in_path("appid", "The account.")
_COMMON = (401, 403, 429, 503)

_CREDENTIAL = _object(
    ["appid", "kind", "expires_in", "expires_at", "refresh_in", "generation"],
    appid=_STRING,
    kind={"type": "string", "enum": [kind.value for kind in Kind], "description": "Its value is under this name."},
    **{kind.value: _STRING for kind in Kind},
    expires_in={**_WHOLE, "description": "Seconds for which it may be used without asking again; 0 when doubtful."},
    expires_at=_TIME,
    refresh_in={**_WHOLE, "description": "Seconds after which to ask again, with If-None-Match."},
    generation={**_WHOLE, "description": "Counts the credentials of this account and kind; never falls."},
    stale={"type": "boolean", "description": "The store was not reached lately; this is what memory holds."},
    doubtful={"type": "boolean", "description": "It may have been replaced by a request whose answer nobody saw."},
)
_SLOT = _object(
    ["state", "serving"],
    state={
        "type": "string",
        "description": "well, starting, resting, refreshing, doubtful, contested, blocked, quota, …",
    },
    serving={"type": "boolean", "description": "There is something to hand out."},
    detail={**_STRING, "description": "Why it is not well, and who does what."},
    errcode=_WHOLE,
    errmsg=_STRING,
    rid=_STRING,
    action=_STRING,
    next_try_at=_TIME,
    generation=_WHOLE,
    mode=_STRING,
    minted_at=_TIME,
    expires_at=_TIME,
)
_ACCOUNT_FIELDS = {
    "kind": {"type": "string", "enum": [kind.value for kind in AccountKind]},
    "name": {"type": "string", "maxLength": 64},
    "mode": {"type": "string", "enum": [mode.value for mode in ACCOUNT_MODES]},
    "on_contest": {"type": "string", "enum": [mode.value for mode in ACCOUNT_MODES if mode is not Mode.FOLLOW]},
    "base_url": {
        "type": "string",
        "description": "https://host[:port]: the platform's own, a sandbox, or with mode follow another hub.",
    },
    "is_test": {"type": "boolean", "description": "A test account (接口测试号) has smaller quotas."},
}
_SECRET = {
    "type": "string",
    "writeOnly": True,
    "description": "AppSecret; with mode follow a key of that hub. Never returned.",
}
_CALLBACK_FIELDS = {
    "token": {"type": "string", "writeOnly": True, "description": "3 to 32 letters or digits."},
    "make_token": {"type": "boolean"},
    "encoding_aes_key": {"type": "string", "writeOnly": True, "description": "43 characters of base64."},
    "make_encoding_aes_key": {"type": "boolean"},
    "handler": {"type": "string", "description": "URL of the program that answers; empty: nobody does."},
    "listeners": {"type": "array", "items": _STRING, "description": "URLs of programs that only listen; all of them."},
    "verify_files": {"type": "object", "description": "MP_verify_….txt, WW_verify_….txt and their bodies, to add."},
}
_KEY_FIELDS = {
    "name": {"type": "string", "maxLength": 64},
    "grants": {"type": "array", "items": {"type": "string", "enum": [grant.value for grant in Grant]}},
    "appids": {"type": "array", "items": _STRING, "description": 'Appids, or ["*"].'},
    "networks": {"type": "array", "items": _STRING, "description": "CIDR; empty for everywhere."},
    "rate": {**_WHOLE, "description": "Requests a minute on each replica; 0 for no limit."},
    "paths": {
        "type": "array",
        "items": _STRING,
        "description": "Patterns of calls through the gateway; empty: all.",
    },
}
_CALLER = {**_STRING, "maxLength": 128, "description": "Who saw it refused, if one key serves several."}
_SCHEMAS: dict[str, Any] = {
    "Credential": _CREDENTIAL,
    "Rejected": {
        "allOf": [
            _ref("Credential"),
            _object(["outcome"], outcome={"type": "string", "enum": ["refreshed", "already_newer", "still_valid"]}),
        ]
    },
    "JsapiConfig": _object(
        ["timestamp", "nonceStr", "signature"],
        appId={**_STRING, "description": "Of an account of WeCom: its corpid."},
        corpid={**_STRING, "description": "In place of appId where it is signed for wx.agentConfig."},
        timestamp=_TIME,
        nonceStr=_STRING,
        signature={**_STRING, "description": "sha1, hex."},
    ),
    "Account": _object(
        ["appid", "kind", "mode", "base_url", "credentials"],
        appid=_STRING,
        **_ACCOUNT_FIELDS,
        declared={"type": "boolean", "description": "It stands in the settings and is changed there."},
        revision=_WHOLE,
        credentials={
            **_object(["access_token"], **{kind.value: _SLOT for kind in Kind}),
            "description": "Of tickets those that were ever asked for.",
        },
    ),
    "Callback": _object(
        ["appid", "path", "url", "token", "encoding_aes_key", "handler", "listeners", "verify_files"],
        appid=_STRING,
        path=_STRING,
        url={**_STRING, "description": "What to paste into the platform's page; empty without public_url."},
        token={"type": "boolean", "description": "There is one."},
        encoding_aes_key={"type": "boolean", "description": "There is one."},
        handler={**_STRING, "description": "Where the program is that answers, without its login; `?…` for a query."},
        listeners={"type": "array", "items": _STRING},
        verify_files={"type": "array", "items": _STRING},
        made={"type": "object", "description": "token, encoding_aes_key: what was made by this request."},
    ),
    "Key": _object(
        ["id", "name", "grants", "appids"],
        id=_STRING,
        **_KEY_FIELDS,
        created_at=_TIME,
        expires_at={"type": ["integer", "null"]},
        last_used_at={"type": ["integer", "null"]},
    ),
    "NewKey": {"allOf": [_ref("Key"), _object(["key"], key={**_STRING, "description": "Shown this once."})]},
    "Event": _object(
        ["id", "at", "code", "appid", "values", "text"],
        id=_WHOLE,
        at={"type": "number"},
        code=_STRING,
        appid=_STRING,
        values={"type": "object"},
        text=_STRING,
    ),
    "Problem": _object(
        ["type", "title", "status", "detail", "code"],
        type=_STRING,
        title=_STRING,
        status=_WHOLE,
        detail={**_STRING, "description": "What happened and who does what, in the language asked for."},
        code={**_STRING, "description": "Stable; decide by it, not by the text."},
        appid=_STRING,
        errcode={**_WHOLE, "description": "Where the platform spoke, as are errmsg, rid and action."},
        errmsg=_STRING,
        rid=_STRING,
        action=_STRING,
    ),
}


def _of_kind(kind: Kind) -> dict[str, Any]:
    """Return the paths of one kind of credential."""
    name, path = kind.value, f"/v1/accounts/{{appid}}/{kind.value}"
    return {
        path: {
            "get": _operation(
                f"取 {name}",
                f"The {name} of an account",
                {
                    "200": {
                        "description": "ETag and Cache-Control say how long it may be kept.",
                        "content": {JSON: {"schema": _ref("Credential")}, "text/plain": {"schema": _STRING}},
                    },
                    "304": _answer("You have it."),
                },
                (400, *_COMMON, 404),
                grant="read",
                parameters=[
                    _APPID,
                    _in_query(
                        "wait", {"type": "integer", "minimum": 0, "maximum": 60}, "With If-None-Match: wait for news."
                    ),
                    {"name": "If-None-Match", "in": "header", "schema": _STRING, "description": "The last ETag."},
                ],
            ),
        },
        f"{path}/reject": {
            "post": _operation(
                f"上报被拒的 {name}，取可用的",
                f"Report that the platform refused a {name}, and get the one to use",
                {"200": _answer("Repeat your call unless the outcome is still_valid.", _ref("Rejected"))},
                (400, *_COMMON, 404, 413),
                grant="read (force: force)",
                parameters=[_APPID],
                body={
                    "oneOf": [
                        _object(["rejected"], rejected={**_STRING, "description": "What was refused."}, caller=_CALLER),
                        _object(
                            ["rejected_sha256"],
                            rejected_sha256={**_STRING, "description": "Its sha-256, hex."},
                            caller=_CALLER,
                        ),
                        _object(["generation"], generation=_WHOLE, caller=_CALLER),
                        _object(["force"], force={"const": True, "description": "Replace it, refused or not."}),
                    ]
                },
            ),
        },
    }


_PATHS: dict[str, Any] = {
    **{path: operations for kind in Kind for path, operations in _of_kind(kind).items()},
    "/v1/accounts/{appid}/jsapi_config": {
        "get": _operation(
            "给页面签名（wx.config 的参数）",
            "Sign a page for wx.config",
            {"200": _answer("Good for this page's URL; made anew at each request.", _ref("JsapiConfig"))},
            (400, *_COMMON, 404),
            grant="read",
            parameters=[
                _APPID,
                {
                    **_in_query(
                        "url", {"type": "string", "format": "uri"}, "The page's address, percent-encoded once."
                    ),
                    "required": True,
                },
                _in_query(
                    "type", {**_STRING, "enum": ["agent_config"]}, "Of an account of WeCom: sign for wx.agentConfig."
                ),
            ],
        ),
    },
    "/v1/accounts": {
        "get": _operation(
            "所有账号",
            "All accounts",
            {
                "200": _answer(
                    "Secrets are not in it.",
                    _object(
                        ["accounts", "unreadable"],
                        accounts={"type": "array", "items": _ref("Account")},
                        unreadable={
                            "type": "array",
                            "items": {"type": "object"},
                            "description": "Accounts that this hub's seal does not open: appid, state, detail.",
                        },
                    ),
                )
            },
            _COMMON,
            grant="admin",
        ),
        "post": _operation(
            "添加账号，立即取令牌",
            "Add an account and mint at once",
            {"201": _answer("Added; its state says what the platform answered.", _ref("Account"))},
            (400, *_COMMON, 409, 413, 422),
            grant="admin",
            body=_object(["appid", "secret"], appid=_STRING, secret=_SECRET, **_ACCOUNT_FIELDS),
        ),
    },
    "/v1/accounts/{appid}": {
        "get": _operation(
            "一个账号",
            "One account",
            {"200": _answer("It.", _ref("Account"))},
            (*_COMMON, 404),
            grant="admin",
            parameters=[_APPID],
        ),
        "patch": _operation(
            "修改账号；空请求表示立即重试",
            "Change an account; an empty change tries now what waits",
            {
                "200": _answer(
                    "Changed, and tried.",
                    {
                        "allOf": [
                            _ref("Account"),
                            _object(
                                ["changed"],
                                changed={
                                    "type": "array",
                                    "items": _STRING,
                                    "description": "The fields that are others than before.",
                                },
                            ),
                        ]
                    },
                )
            },
            (400, *_COMMON, 404, 409, 413, 422),
            grant="admin",
            parameters=[_APPID],
            body=_object([], secret=_SECRET, **_ACCOUNT_FIELDS),
        ),
        "delete": _operation(
            "删除账号",
            "Remove an account",
            {"204": _answer("Gone.")},
            (*_COMMON, 404, 409),
            grant="admin",
            parameters=[_APPID],
        ),
    },
    "/v1/accounts/{appid}/callback": {
        "get": _operation(
            "账号的回调设置",
            "How an account is pushed to",
            {"200": _answer("Token and key are not in it; of programs only the place is.", _ref("Callback"))},
            (*_COMMON, 404),
            grant="admin",
            parameters=[_APPID],
        ),
        "patch": _operation(
            "修改回调设置",
            "Change how an account is pushed to",
            {"200": _answer("What was made for it is in `made`, this once.", _ref("Callback"))},
            (400, *_COMMON, 404, 409, 413),
            grant="admin",
            parameters=[_APPID],
            body=_object([], **_CALLBACK_FIELDS),
        ),
    },
    "/v1/accounts/{appid}/callback/verify": {
        "post": _operation(
            "像平台那样访问自己的公网地址",
            "Ask the public address as the platform would",
            {
                "200": _answer(
                    "What was found.",
                    _object(
                        ["appid", "url", "ok", "step", "detail"],
                        appid=_STRING,
                        url=_STRING,
                        ok={"type": "boolean"},
                        step={**_STRING, "description": "well, or the step that fails."},
                        detail=_STRING,
                    ),
                )
            },
            (400, *_COMMON, 404, 413),
            grant="admin",
            parameters=[_APPID],
            body=_object([], url={**_STRING, "description": "In place of the setting public_url."}),
        ),
    },
    "/callback/{appid}": {
        "get": _operation(
            "平台检查 URL",
            "The platform's check of the URL",
            {"200": _answer("echostr.", _STRING, "text/plain"), "403": _answer("Refused; the audit log says why.")},
            (),
            parameters=[_APPID],
        ),
        "post": _operation(
            "平台推送",
            "What the platform pushes",
            {
                "200": _answer("The handler's answer, or success.", _STRING, "text/xml"),
                "403": _answer("Refused; the audit log says at which step."),
            },
            (),
            parameters=[_APPID],
        ),
    },
    **{
        f"/{kind}_verify_{{rest}}.txt": {
            "get": _operation(
                "域名校验文件",
                "A file that proves whose the domain is",
                {"200": _answer("As it was stored.", _STRING, "text/plain")},
                (404,),
                parameters=[_in_path("rest", "The rest of its name.")],
            ),
        }
        for kind in ("MP", "WW")
    },
    "/v1/keys": {
        "get": _operation(
            "所有 key",
            "All keys",
            {"200": _answer("Only hashes are kept.", _list_of("keys", "Key"))},
            _COMMON,
            grant="admin",
        ),
        "post": _operation(
            "生成 key（只显示这一次）",
            "Make a key, shown this once",
            {"201": _answer("Keep `key` now.", _ref("NewKey"))},
            (400, *_COMMON, 413),
            grant="admin",
            body=_object(
                ["name", "appids"],
                **_KEY_FIELDS,
                expires_in={**_WHOLE, "description": "Seconds; without it the key does not expire."},
            ),
        ),
    },
    "/v1/keys/{id}": {
        "delete": _operation(
            "吊销 key",
            "Revoke a key",
            {"204": _answer("Refused everywhere within 2 s.")},
            (*_COMMON, 404),
            grant="admin",
            parameters=[_in_path("id", "The key's id.")],
        ),
    },
    "/v1/keys/{id}/rotate": {
        "post": _operation(
            "换一把同样的 key，有效期重新算起，旧的再用一段时间",
            "Make a twin, given as long as the old one was; that goes on for a while",
            {"201": _answer("Keep `key` now.", _ref("NewKey"))},
            (400, *_COMMON, 404, 413),
            grant="admin",
            parameters=[_in_path("id", "The key's id.")],
            body=_object([], overlap={**_WHOLE, "description": "Seconds; a day if not said."}),
        ),
    },
    "/v1/whoami": {
        "get": _operation(
            "这把 key 能做什么",
            "What this key may do",
            {"200": _answer("It, and your address.", _ref("Key"))},
            _COMMON,
            grant="any",
        ),
    },
    "/v1/events": {
        "get": _operation(
            "事件（审计日志）；也可用 SSE 跟随",
            "The audit log; Accept: text/event-stream follows it",
            {
                "200": {
                    "description": "Ask again with after=next.",
                    "content": {
                        JSON: {"schema": _object(["events", "next"], events=_list_of("events", "Event"), next=_WHOLE)},
                        "text/event-stream": {"schema": _STRING},
                    },
                }
            },
            (400, *_COMMON),
            grant="read",
            parameters=[
                _in_query("after", _WHOLE, "Events after this id; without it the newest."),
                _in_query("limit", {"type": "integer", "minimum": 1, "maximum": 1000}, "At most so many; 100."),
                _in_query("appid", _STRING, "Of this account only."),
                {"name": "Last-Event-ID", "in": "header", "schema": _STRING, "description": "Where a stream was cut."},
            ],
        ),
    },
    "/healthz": {
        "get": _operation(
            "进程是否在运行", "Whether the process serves", {"200": _answer("It does.", {"type": "object"})}, ()
        ),
    },
    "/readyz": {
        "get": _operation(
            "能否服务，哪些账号有问题、为什么",
            "Whether it can serve, and which accounts are not well",
            {
                "200": _answer("It can.", {"type": "object"}),
                "503": _answer("The store was not read yet, or nothing can be handed out.", {"type": "object"}),
            },
            (),
        ),
    },
    "/metrics": {
        "get": _operation(
            "Prometheus 指标",
            "Measures for Prometheus",
            {"200": _answer("Text format 0.0.4.", _STRING, "text/plain")},
            _COMMON,
            grant='read, appids ["*"]',
        ),
    },
}
