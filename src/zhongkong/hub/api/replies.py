"""The one shape of errors (RFC 9457), and the one table from errors to HTTP statuses."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from math import ceil
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from zhongkong.errors import (
    CredentialUnavailable,
    PlatformError,
    RequestRefused,
    StoreError,
    StoreUnavailable,
    WrongSeal,
    ZhongkongError,
)
from zhongkong.keeper.upkeep import describe_bug
from zhongkong.messages import Language, choose_language, render
from zhongkong.wechat.advice import action_on, explain_error, verdict_on
from zhongkong.wechat.errcodes import Verdict

logger = logging.getLogger("zhongkong.hub")

STATUS_OF_CODE: Mapping[str, HTTPStatus] = {
    "key_missing": HTTPStatus.UNAUTHORIZED,
    "key_unknown": HTTPStatus.UNAUTHORIZED,
    "key_expired": HTTPStatus.UNAUTHORIZED,
    "key_not_from_here": HTTPStatus.FORBIDDEN,
    "key_too_often": HTTPStatus.TOO_MANY_REQUESTS,
    "grant_missing": HTTPStatus.FORBIDDEN,
    "account_not_granted": HTTPStatus.FORBIDDEN,
    "account_unknown": HTTPStatus.NOT_FOUND,
    "account_exists": HTTPStatus.CONFLICT,
    "account_declared": HTTPStatus.CONFLICT,
    "secret_not_tried": HTTPStatus.SERVICE_UNAVAILABLE,
    "account_not_tried": HTTPStatus.SERVICE_UNAVAILABLE,
    "leader_not_tried": HTTPStatus.SERVICE_UNAVAILABLE,
    "leader_refused": HTTPStatus.UNPROCESSABLE_ENTITY,
    "force_at_leader": HTTPStatus.CONFLICT,
    "kind_unfit": HTTPStatus.NOT_FOUND,
    "key_not_found": HTTPStatus.NOT_FOUND,
    "request_invalid": HTTPStatus.BAD_REQUEST,
    "callback_token_wanted": HTTPStatus.BAD_REQUEST,
    "callback_token_invalid": HTTPStatus.BAD_REQUEST,
    "callback_token_is_access_token": HTTPStatus.BAD_REQUEST,
    "callback_token_is_secret": HTTPStatus.BAD_REQUEST,
    "encoding_aes_key_invalid": HTTPStatus.BAD_REQUEST,
    "callback_target_invalid": HTTPStatus.BAD_REQUEST,
    "verify_file_name": HTTPStatus.BAD_REQUEST,
    "verify_file_body": HTTPStatus.BAD_REQUEST,
    "verify_file_taken": HTTPStatus.CONFLICT,
    "page_url_invalid": HTTPStatus.BAD_REQUEST,
    "page_url_cut": HTTPStatus.BAD_REQUEST,
    "body_not_json": HTTPStatus.BAD_REQUEST,
    "body_too_long": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "body_too_slow": HTTPStatus.REQUEST_TIMEOUT,
    "route_unknown": HTTPStatus.NOT_FOUND,
    "method_not_allowed": HTTPStatus.METHOD_NOT_ALLOWED,
    "internal_error": HTTPStatus.INTERNAL_SERVER_ERROR,
}
"""What follows from the code alone; the platform's refusals and a credential that is missing are judged below."""

OWN_LIMITS = frozenset({"budget", "too_early", "too_soon", "contested"})
"""Causes that callers bring about by asking too often: 429, not 503."""

SHOWN = ("appid", "kind", "cause", "errcode", "errmsg", "rid", "ip", "field", "wanted", "grant", "address", "key")
"""The values of an error that become members of its problem. Paths and owners of the hub's own files do not."""


def status_of(error: ZhongkongError) -> HTTPStatus:
    """Return the HTTP status for an error."""
    if isinstance(error, CredentialUnavailable):
        return HTTPStatus.TOO_MANY_REQUESTS if error.cause in OWN_LIMITS else HTTPStatus.SERVICE_UNAVAILABLE
    if isinstance(error, PlatformError):
        is_final = verdict_on(appid_of(error), error.errcode) is Verdict.PERSON
        return HTTPStatus.UNPROCESSABLE_ENTITY if is_final else HTTPStatus.SERVICE_UNAVAILABLE
    if isinstance(error, StoreError):
        return HTTPStatus.SERVICE_UNAVAILABLE
    return STATUS_OF_CODE.get(error.code, HTTPStatus.INTERNAL_SERVER_ERROR)


def language_of(request: Request) -> Language:
    """Return the language to answer in: `?lang=`, else Accept-Language, else Chinese."""
    return choose_language(request.query_params.get("lang"), request.headers.get("accept-language"))


def reply(value: object, status: int = HTTPStatus.OK, headers: Mapping[str, str] | None = None) -> Response:
    """Return `value` as compact JSON in raw UTF-8. Nobody keeps it unless a header says so."""
    return Response(
        json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False),
        status,
        {"Cache-Control": "no-store", **(headers or {})},
        "application/json",
    )


def build_problem(error: ZhongkongError, lang: Language) -> dict[str, Any]:
    """Return the problem document of an error."""
    status = status_of(error)
    problem: dict[str, Any] = {
        "type": f"/docs#{error.code}",
        "title": render(f"title_{status.value}", lang),
        "status": status.value,
        "detail": _detail(error, lang),
        "code": error.code,
    }
    problem.update({name: error.values[name] for name in SHOWN if error.values.get(name) not in (None, "")})
    errcode = error.values.get("errcode")
    if isinstance(errcode, int):
        problem["action"] = action_on(appid_of(error), errcode).value
    return problem


def appid_of(error: ZhongkongError) -> str:
    """Return whom an error is about, if it says so."""
    return str(error.values.get("appid", ""))


def reply_problem(request: Request, error: ZhongkongError) -> Response:
    """Return an error as its problem document, in the reader's language."""
    lang = language_of(request)
    problem = build_problem(error, lang)
    headers = {"Content-Language": {"zh": "zh-CN", "en": "en"}[lang], "Cache-Control": "no-store"}
    if error.retry_after is not None or isinstance(error, StoreUnavailable):
        headers["Retry-After"] = str(max(1, ceil(error.retry_after or 0)))
    if problem["status"] == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Bearer realm="zhongkong"'
    body = json.dumps(problem, ensure_ascii=False, separators=(",", ":"))
    return Response(body, problem["status"], headers, "application/problem+json")


async def on_error(request: Request, error: Exception) -> Response:
    """Answer an error of ours."""
    assert isinstance(error, ZhongkongError)  # noqa: S101 (narrows a type: registered for these alone)
    if status_of(error) >= HTTPStatus.INTERNAL_SERVER_ERROR and isinstance(error, StoreError):
        logger.warning("store: %s", error)
    return reply_problem(request, error)


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Answer what the framework refuses: no such route, or another method."""
    assert isinstance(error, HTTPException)  # noqa: S101 (narrows a type: registered for these alone)
    known = error.status_code == HTTPStatus.METHOD_NOT_ALLOWED
    answer = reply_problem(request, RequestRefused("method_not_allowed") if known else RequestRefused("route_unknown"))
    answer.headers.update(error.headers or {})
    return answer


async def on_bug(request: Request, error: Exception) -> Response:
    """Answer a bug of ours, and log where it happened; of what it says, nothing that looks like a secret."""
    logger.error("%s", describe_bug(error))
    return reply_problem(request, ZhongkongError("internal_error"))


def _detail(error: ZhongkongError, lang: Language) -> str:
    """Return the text; what only the hub's own people can mend they find in its log."""
    if isinstance(error, StoreError) and not isinstance(error, StoreUnavailable | WrongSeal):
        return render("store_needs_person", lang)
    return explain_error(error, lang)


async def on_disconnect(_request: Request, _error: Exception) -> Response:
    """Answer a client who left in the middle of his own request: nobody reads it."""
    return Response(status_code=HTTPStatus.BAD_REQUEST)


EXCEPTION_HANDLERS: Mapping[type[Exception], Callable[[Request, Exception], Awaitable[Response]]] = {
    ZhongkongError: on_error,
    HTTPException: on_http_exception,
    ClientDisconnect: on_disconnect,
    Exception: on_bug,
}
"""Which function answers what is raised while a request is served."""
