"""Attaches an account to an HTTP client: each call bears its token, and is made again once if that was refused."""

from __future__ import annotations

import inspect
import logging
from collections.abc import AsyncGenerator, Callable, Collection, Generator, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit, urlunsplit

import httpx

from zhongkong.client.bodies import Recorded, alook, keep_body, look, look_at
from zhongkong.client.flow import Fetch, Send, Sent, call_with_token
from zhongkong.client.places import keep_tokens_out_of_logs, takes_token, token_in, with_token
from zhongkong.client.source import AsyncSource, Source
from zhongkong.client.thread import SourceClosed
from zhongkong.errors import ZhongkongError
from zhongkong.wechat.endpoints import WECOM_HOST, Domain, domain_of
from zhongkong.wechat.errcodes import is_refused_token

if TYPE_CHECKING:
    from requests import PreparedRequest, Response

logger = logging.getLogger("zhongkong.client")


class WeChatAuth(httpx.Auth):
    """The `auth` of an httpx client, of either kind, and of requests: adds `access_token` to the query.

    A call that is answered with 40001, 40014 or 42001 is reported, and made once more if there is another token. The
    token goes to the platform's hosts over HTTPS, to this machine itself, and to `hosts` (`name` or `name:port`); what
    goes elsewhere, after a redirect too, passes as it is. `docs/client.md` says what is looked into and repeated.
    """

    def __init__(self, source: Source | AsyncSource, appid: str, *, hosts: Collection[str] = ()) -> None:
        """Take a source of `connect` for threads, one of `connect_async` for coroutines."""
        self._source = source
        self._appid = appid
        self._hosts = frozenset(host.lower() for host in ([hosts] if isinstance(hosts, str) else hosts))
        keep_tokens_out_of_logs()

    def __repr__(self) -> str:
        return f"<WeChatAuth {self._appid}>"

    # --- httpx

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Yield the request as it is to be sent."""
        source = self._for_threads()
        if not self._takes(str(request.url)):
            yield request
            return
        flow = call_with_token()
        came: Any = None
        with suppress(StopIteration):
            while True:
                step = flow.send(came)
                if isinstance(step, Send):
                    response = yield _bearing(request, step.token)
                    errcode = look(response) if _is_ours(request, response, step.token) else None
                    came = Sent(self._is_refusal(errcode, request.url.host), _is_repeatable(request))
                elif isinstance(step, Fetch):
                    came = source.access_token(self._appid)
                else:
                    came = None
                    with self._noting_failure():
                        came = source.reject(self._appid, step.token)

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Yield the same to a client for coroutines."""
        source = self._for_coroutines()
        if not self._takes(str(request.url)):
            yield request
            return
        flow = call_with_token()
        came: Any = None
        with suppress(StopIteration):
            while True:
                step = flow.send(came)
                if isinstance(step, Send):
                    response = yield _bearing(request, step.token)
                    errcode = await alook(response) if _is_ours(request, response, step.token) else None
                    came = Sent(self._is_refusal(errcode, request.url.host), _is_repeatable(request))
                elif isinstance(step, Fetch):
                    came = await source.access_token(self._appid)
                else:
                    came = None
                    with self._noting_failure():
                        came = await source.reject(self._appid, step.token)

    def _is_refusal(self, errcode: int | None, host: str) -> bool:
        """Say whether a business call was refused for its token; what the code means depends on whose words it is."""
        domain: Domain = "wecom" if host == WECOM_HOST else domain_of(self._appid)
        return errcode is not None and is_refused_token(errcode, domain)

    # --- requests

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Return the request as it is to be sent, with a hook that sees its answer."""
        source, url = self._for_threads(), request.url or ""
        if self._takes(url):
            token = source.access_token(self._appid)
            request.url = _bear(url, token)
            repair = partial(self._repair, request.url, token, keep_body(request))
            request.register_hook("response", repair)  # type: ignore[no-untyped-call]
        return request

    def _repair(self, url: str, token: str, is_ready: Callable[[], bool], answer: Response, **given: Any) -> Response:
        """Return the answer, or that to the same call with a better token."""
        if answer.request.url != url:
            return answer  # a redirect led elsewhere
        source, flow = self._for_threads(), call_with_token()
        next(flow)
        flow.send(token)  # it was fetched and sent: here is what came of it
        errcode = look_at(answer, is_streamed=bool(given.get("stream")))
        is_refused = self._is_refusal(errcode, urlsplit(url).hostname or "")
        came: Any = Sent(is_refused, is_refused and is_ready())
        with suppress(StopIteration):
            while True:
                step = flow.send(came)
                if isinstance(step, Send):
                    return _repeat(answer, _bear(url, step.token), **given)
                came = None
                with self._noting_failure():
                    came = source.reject(self._appid, token)
        return answer

    # --- both

    def _takes(self, url: str) -> bool:
        place = urlsplit(url)
        return takes_token(place.scheme, place.hostname or "", place.port, place.path, self._hosts)

    def _for_threads(self) -> Source:
        if inspect.iscoroutinefunction(self._source.access_token):
            message = "this WeChatAuth has a source for coroutines: give it one of zhongkong.connect"
            raise TypeError(message)
        return cast("Source", self._source)

    def _for_coroutines(self) -> AsyncSource:
        if not inspect.iscoroutinefunction(self._source.access_token):
            message = "this WeChatAuth has a source for threads: give it one of zhongkong.connect_async"
            raise TypeError(message)
        return cast("AsyncSource", self._source)

    @contextmanager
    def _noting_failure(self) -> Iterator[None]:
        """Log why a report came to nothing: its caller gets the platform's answer as it is."""
        try:
            yield
        except (ZhongkongError, SourceClosed) as error:
            logger.warning("a refused access_token of %s could not be replaced: %s", self._appid, error)


def _bear(url: str, token: str) -> str:
    place = urlsplit(url)
    return urlunsplit(place._replace(query=with_token(place.query, token)))


def _bearing(request: httpx.Request, token: str) -> httpx.Request:
    """Return the request with this token, and a body that can go out once more."""
    request.url = request.url.copy_with(query=with_token(request.url.query.decode("ascii"), token).encode("ascii"))
    if not isinstance(request.stream, httpx.ByteStream | Recorded):
        request.stream = Recorded(request.stream)
    return request


def _is_ours(request: httpx.Request, response: httpx.Response, token: str) -> bool:
    """Say whether this is the answer to the call that bore the token; a redirect may have led elsewhere."""
    answered = response.request.url
    return answered.host == request.url.host and token_in(answered.query.decode("ascii")) == token


def _is_repeatable(request: httpx.Request) -> bool:
    return not isinstance(request.stream, Recorded) or request.stream.is_whole


def _repeat(refused: Response, url: str, **given: Any) -> Response:
    """Make the call again over the same connection; what was refused becomes its history."""
    refused.close()
    request = refused.request.copy()
    request.url = url
    response: Response = refused.connection.send(request, **given)
    response.history.append(refused)
    return response
