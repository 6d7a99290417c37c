"""The gateway: calls as SDKs send them to the platform, sent on with the real token and healed where it was refused."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import NamedTuple, Self
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from zhongkong.core.grants import Key
from zhongkong.core.model import Account, AccountKind, Kind, Mode, Slot
from zhongkong.core.ports import Answering, Call, Upstream
from zhongkong.errors import PlatformUnreachable, ZhongkongError
from zhongkong.hub.door import CALLER, Caller, Network, find_address
from zhongkong.hub.gateway import saying
from zhongkong.hub.gateway.bodies import Body, BodyTooLong, ClientGone, read_body
from zhongkong.hub.gateway.desk import Client, Desk, Note, is_forced, refuse_followed, unavailable, words_of
from zhongkong.hub.gateway.healing import Healer
from zhongkong.hub.gateway.judging import JUDGED_LONGEST, is_judged, is_text, is_tokens, read_refusal
from zhongkong.hub.gateway.leaving import WhileThere
from zhongkong.hub.gateway.rewriting import (
    Headers,
    Query,
    build_target,
    headers_to_client,
    headers_to_platform,
    read_members,
    with_member,
    without,
)
from zhongkong.hub.gateway.troubles import Troubles
from zhongkong.hub.gateway.virtual import PREFIX
from zhongkong.hub.telemetry import Telemetry
from zhongkong.keeper.keeper import Keeper
from zhongkong.keeper.upkeep import describe_bug
from zhongkong.wechat.answers import Refused
from zhongkong.wechat.endpoints import GETTOKEN, PLATFORM_URL, WECOM_HOST, domain_of, is_platform_host, ticket_kind
from zhongkong.wechat.errcodes import is_refused_token
from zhongkong.wechat.paths import Carries, Path, find_path, is_platform_path

logger = logging.getLogger("zhongkong.hub")

LITTLE = 65_536
"""Bytes of a call that carries a secret in its body, which is rewritten whole, or whose sender is not known."""
BODILESS = frozenset({204, 304})
JSON = b"application/json; encoding=utf-8"
NAMING = ("grant_type", "appid", "secret", "appsecret", "corpid", "corpsecret")
"""What a call names its caller by."""


class Limits(NamedTuple):
    """What clients may ask of the gateway."""

    body: int = 67_108_864
    """Bytes of a call's body."""
    in_flight: int = 256
    """Calls that one key may have under way on this replica."""
    trusted_proxies: tuple[Network, ...] = ()


class _Asked(NamedTuple):
    """A call as it came."""

    method: str
    path: str
    where: Path
    query: Query
    headers: Headers
    fields: dict[bytes, bytes]
    """The headers by name; of several the first."""
    address: str
    at_wecom: bool
    """It was sent to WeCom: under /qyapi, which the path does not show any more, or by its host's name."""

    def header(self, name: bytes) -> str:
        """Return a header's value, or the empty text."""
        return self.fields.get(name, b"").decode("latin-1")


@dataclass(slots=True)
class _Reply:
    """The way back to the client."""

    send: Send
    started: bool = False

    async def whole(self, body: bytes, status: int = 200, headers: Sequence[tuple[bytes, bytes]] = ()) -> None:
        """Answer with a whole body."""
        kept = [(name, value) for name, value in headers if name != b"content-length"]
        kept = kept or [(b"content-type", JSON)]
        await self.start(status, [*kept, (b"content-length", str(len(body)).encode())])
        await self.send({"type": "http.response.body", "body": body})

    async def start(self, status: int, headers: Sequence[tuple[bytes, bytes]]) -> None:
        """Begin to answer."""
        self.started = True
        await self.send({"type": "http.response.start", "status": status, "headers": list(headers)})

    async def stream(self, first: Sequence[bytes], rest: Answering) -> None:
        """Answer with a body as it comes."""
        for piece in first:
            await self.send({"type": "http.response.body", "body": piece, "more_body": True})
        while piece := await rest.read():
            await self.send({"type": "http.response.body", "body": piece, "more_body": True})
        await self.send({"type": "http.response.body", "body": b""})


class Gateway:
    """An ASGI application that answers at the platform's paths; everything else goes to the one behind it."""

    def __init__(
        self,
        app: ASGIApp,
        desk: Desk,
        keeper: Keeper,
        upstream: Upstream,
        troubles: Troubles,
        telemetry: Telemetry,
        limits: Limits,
    ) -> None:
        self._app = app
        self._desk = desk
        self._keeper = keeper
        self._upstream = upstream
        self._troubles = troubles
        self._telemetry = telemetry
        self._healer = Healer(keeper)
        self._limits = limits
        self._under_way: dict[str, int] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a call of an SDK's, or hand the request on."""
        if scope["type"] != "http" or not _is_platforms(scope):
            await self._app(scope, receive, send)
            return
        reply = _Reply(send)
        try:
            await self._serve(scope, receive, reply)
        except saying.Refusal as refusal:
            if refusal.errcode != saying.LATER:  # that is a call which failed, and was counted so
                self._telemetry.gateway_called("", caller.key.id if (caller := scope.get(CALLER)) else "", "refused")
            await reply.whole(refusal.body)
        except BodyTooLong as error:
            await reply.whole(saying.too_long(error.limit).body)
        except (ClientGone, PlatformUnreachable):
            pass  # in the middle of an answer: the connection ends, as the platform's did
        except ZhongkongError as error:
            await reply.whole(unavailable(error).body)
        except Exception as error:  # noqa: BLE001 (a bug of ours is nothing that an SDK knows how to read)
            logger.error("%s", describe_bug(error))  # noqa: TRY400 (a traceback may show a token)
            if not reply.started:
                await reply.whole(saying.later("internal error").body)

    async def _serve(self, scope: Scope, receive: Receive, reply: _Reply) -> None:
        asked = self._read(scope)

        def note(key: Key) -> None:
            scope[CALLER] = Caller(key, asked.address)

        match asked.where.carries:
            case Carries.TOKEN:
                await self._send_with_token(note, asked, receive, reply)
            case Carries.MINT:
                await reply.whole(await self._mint(note, asked, receive))
            case Carries.SECRET:
                await self._send_with_secret(note, asked, receive, reply)
            case Carries.PERSON:
                self._desk.by_header_or_network(asked.header(b"authorization"), asked.path, asked.address, note)
                await self._send_untouched(asked, receive, reply)
            case Carries.NOTHING:
                await self._send_untouched(asked, receive, reply)
            case Carries.TICKET:
                await reply.whole(await self._ticket(note, asked))

    def _read(self, scope: Scope) -> _Asked:
        path, headers = scope["path"], scope["headers"]
        raw_path = scope.get("raw_path") or path.encode()
        is_below = path.startswith("/qyapi/")
        path = path.removeprefix("/qyapi") if is_below else path
        where = find_path(path) if raw_path == scope["path"].encode() else None
        if where is None:
            raise saying.wrong_path()
        client, fields = scope.get("client"), dict(reversed(headers))
        forwarded = (
            [value.decode("latin-1") for name, value in headers if name == b"x-forwarded-for"]
            if b"x-forwarded-for" in fields
            else []
        )
        address = find_address(client[0] if client else "", forwarded, self._limits.trusted_proxies)
        at_wecom = is_below or fields.get(b"host", b"").partition(b":")[0].lower() == WECOM_HOST.encode()
        return _Asked(scope["method"], path, where, Query(scope["query_string"]), headers, fields, address, at_wecom)

    # --- token routes

    async def _mint(self, note: Note, asked: _Asked, receive: Receive) -> bytes:
        path = asked.path.rstrip("/")
        if path == "/cgi-bin/stable_token" and asked.method != "POST":
            raise saying.Refusal(43002, "require POST method")
        if path not in ("/cgi-bin/token", "/cgi-bin/stable_token", GETTOKEN.path):
            raise saying.Refusal(40013, "invalid appid")
        body = await self._body(asked, receive, LITTLE)
        members = _members(asked, body)
        if path == GETTOKEN.path:
            client = self._desk.by_corp(members.get("corpid", ""), members.get("corpsecret", ""), asked.address, note)
            self._telemetry.gateway_called(client.account.appid, client.key.id, "token")
            return self._desk.repeat_at_wecom(client)
        if members.get("grant_type") != "client_credential":
            raise saying.wrong_grant_type()
        client = self._desk.by_secret(members.get("appid", ""), members.get("secret", ""), None, asked.address, note)
        self._telemetry.gateway_called(client.account.appid, client.key.id, "token")
        if path == "/cgi-bin/token":
            return self._desk.grant(client)
        return await self._desk.repeat(client, force=is_forced(body.whole or b""))

    async def _ticket(self, note: Note, asked: _Asked) -> bytes:
        """Answer `ticket/getticket`, and WeCom's two paths, from what is kept, with its remaining life.

        Source: 获取 ticket; JS-SDK 使用权限签名算法 (企业微信).
        """
        client, _ = self._by_token(note, asked)
        name = next(iter(asked.query.values(("type",))), "")
        kind = ticket_kind(domain_of(client.account.appid), asked.path.rstrip("/"), name)
        if kind is None:
            raise saying.Refusal(40097, "invalid args")
        self._telemetry.gateway_called(client.account.appid, client.key.id, "ticket")
        handed = await self._keeper.credential(Slot(client.account.appid, Kind(kind)))
        return saying.write({"errcode": 0, "errmsg": "ok", "ticket": handed.value, "expires_in": handed.expires_in})

    # --- calls that are sent on

    async def _send_with_token(self, note: Note, asked: _Asked, receive: Receive, reply: _Reply) -> None:
        client, virtual = self._by_token(note, asked)
        refuse_followed(client.account)
        with self._counting(client) as counted:
            body = await self._body(asked, receive, self._limits.body)
            try:
                with WhileThere(receive):
                    counted.outcome = await self._converse(asked, client, body, reply, virtual)
            finally:
                body.close()

    def _by_token(self, note: Note, asked: _Asked) -> tuple[Client, str]:
        """Return who shows a virtual token, and the token."""
        shown = asked.query.values(asked.where.names)
        if not shown:
            raise saying.missing("access_token")
        if len(set(shown)) > 1:
            raise saying.unknown_token("the call shows two access_tokens", at_wecom=asked.at_wecom)
        client = self._desk.by_token(shown[0], asked.path, asked.address, note, at_wecom=asked.at_wecom)
        return client, shown[0]

    async def _converse(self, asked: _Asked, client: Client, body: Body, reply: _Reply, virtual: str) -> str:
        """Send the call with the real token, once more where it was refused; return what came of it."""
        slot = Slot(client.account.appid)
        headers = headers_to_platform(asked.headers)
        handed = self._keeper.peek(slot) or await self._keeper.credential(slot)

        def call(real: str) -> Call:
            target = build_target(asked.path, asked.query.with_value(asked.where.names, real))
            return _call(asked, _base_url(client.account, asked.where), target, headers, body)

        refused = await self._try(call(handed.value), client, asked, reply, (handed.value, virtual))
        if refused is None:
            return "passed"
        if not is_refused_token(refused.errcode, domain_of(slot.appid)):
            raise self._unhealed(client, asked, refused, "wrong_secret")
        caller = Caller(client.key, asked.address).name
        try:
            real = await self._healer.heal(slot, handed, caller)
        except ZhongkongError as error:
            raise self._unhealed(client, asked, refused, error.code, words_of(error)) from error
        if real is None:
            raise self._unhealed(client, asked, refused, "still_valid")
        refused = await self._try(call(real), client, asked, reply, (real, virtual))
        if refused is None:
            return "healed"
        raise self._unhealed(client, asked, refused, "refused_again")

    async def _try(
        self, call: Call, client: Client | None, asked: _Asked, reply: _Reply, names: tuple[str, str] = ("", "")
    ) -> Refused | None:
        """Send the call and pass its answer on; or return why its token was refused, and nothing is passed on."""
        try:
            async with self._upstream.send(call) as answer:
                refused, held, is_whole = await _judge(answer)
                if refused is not None and is_tokens(refused) and asked.where.carries is Carries.TOKEN:
                    return refused
                if refused is not None and not is_tokens(refused) and client is not None:
                    self._troubles.quota_spent(client.account.appid, asked.path, refused)
                # Passed on as it came, byte for byte; a real token that it names is named as the client knows it.
                headers = headers_to_client(answer.headers, *names)
                if is_whole and asked.method != "HEAD":
                    await reply.whole(without(b"".join(held), *names), answer.status, headers)
                else:
                    await reply.start(answer.status, headers)
                    await reply.stream(held, answer)
        except PlatformUnreachable as error:
            if reply.started:
                raise
            raise self._unreachable(client, asked, error) from error
        return None

    async def _send_with_secret(self, note: Note, asked: _Asked, receive: Receive, reply: _Reply) -> None:
        """Send a call that shows an appid with its secret, and mints nothing, with the real secret in each place."""
        names = asked.where.names
        body = await self._body(asked, receive, LITTLE)
        members = _members(asked, body)
        secret = next((members[name] for name in names if name in members), "")
        client = self._desk.by_secret(members.get("appid", ""), secret, asked.path, asked.address, note)
        refuse_followed(client.account)
        real = client.account.secret.reveal()
        target = build_target(asked.path, asked.query.with_value(names, real))
        body = Body(with_member(body.whole or b"", names, real))
        call = _call(asked, _base_url(client.account, asked.where), target, headers_to_platform(asked.headers), body)
        with self._counting(client) as counted, WhileThere(receive):
            await self._try(call, client, asked, reply, (real, secret))
            counted.outcome = "passed"

    async def _send_untouched(self, asked: _Asked, receive: Receive, reply: _Reply) -> None:
        with self._counting(None) as counted:
            body = await self._body(asked, receive, LITTLE)
            target = build_target(asked.path, asked.query.without_virtual())
            call = _call(asked, self._common_base_url(asked.where), target, headers_to_platform(asked.headers), body)
            with WhileThere(receive):
                await self._try(call, None, asked, reply)
                counted.outcome = "passed"

    async def _body(self, asked: _Asked, receive: Receive, limit: int) -> Body:
        announced = asked.header(b"content-length")
        if not announced and b"transfer-encoding" not in asked.fields:
            return Body()
        if announced.isdecimal() and int(announced) > limit:
            raise BodyTooLong(limit)
        try:
            return await read_body(receive, limit)
        except TimeoutError:
            raise saying.later("the rest of the call did not come") from None

    def _common_base_url(self, where: Path) -> str:
        """Return where calls go that show no account: to where the accounts here live, which is one platform."""
        known = self._keeper.known
        urls = (_base_url(one, where) for one in known.accounts() if _lives_at_wechat(one))
        return next(urls, f"https://{where.host}" if where.host else PLATFORM_URL)

    # --- what is told of it

    def _counting(self, client: Client | None) -> _Count:
        appid, key_id = _names_of(client)
        tell = partial(self._telemetry.gateway_called, appid, key_id)
        return _Count(self._under_way, self._limits.in_flight, key_id, tell)

    def _unhealed(self, client: Client, asked: _Asked, refused: Refused, why: str, words: str = "") -> saying.Refusal:
        request = self._troubles.unhealed(client.account.appid, client.key.id, asked.path, refused, why)
        said = [str(refused.errcode), f"rid: {refused.rid}" if refused.rid else "", words or why, f"request: {request}"]
        return saying.later(", ".join(one for one in said if one))

    def _unreachable(self, client: Client | None, asked: _Asked, error: PlatformUnreachable) -> saying.Refusal:
        appid, key_id = _names_of(client)
        request = self._troubles.unreachable(appid, key_id, asked.path, error.why)
        return saying.later(f"the platform cannot be reached ({error.why}), request: {request}")


class _Count:
    """Counts what one key has under way, and what came of it; calls that show no key are counted as one key's."""

    def __init__(self, under_way: dict[str, int], most: int, key_id: str, tell: Callable[[str], None]) -> None:
        self.outcome = "failed"
        self._under_way = under_way
        self._most = most
        self._key_id = key_id
        self._tell = tell

    def __enter__(self) -> Self:
        running = self._under_way.get(self._key_id, 0)
        if running >= self._most:
            raise saying.too_often(1)
        self._under_way[self._key_id] = running + 1
        return self

    def __exit__(self, *_: object) -> None:
        self._under_way[self._key_id] -= 1
        if not self._under_way[self._key_id]:
            del self._under_way[self._key_id]
        self._tell(self.outcome)


def _names_of(client: Client | None) -> tuple[str, str]:
    return (client.account.appid, client.key.id) if client else ("", "")


def _is_platforms(scope: Scope) -> bool:
    return is_platform_path(scope["path"]) or PREFIX.encode() in scope["query_string"]


def _members(asked: _Asked, body: Body) -> dict[str, str]:
    """Return what a call says of who calls, in its query and its body.

    Raises: Refusal: it says two things; which of them the platform would read is not known here.
    """
    members = read_members(body.whole or b"")
    for name in NAMING:
        said = {*asked.query.values((name,)), *([members[name]] if name in members else [])}
        if len(said) > 1:
            raise saying.Refusal(40035, "invalid parameter")
        members.update((name, value) for value in said)
    return members


def _lives_at_wechat(account: Account) -> bool:
    return account.mode is not Mode.FOLLOW and account.kind is not AccountKind.WECOM


def _base_url(account: Account, where: Path) -> str:
    is_elsewhere = where.host and is_platform_host(account.base_url)
    return f"https://{where.host}" if is_elsewhere else account.base_url


def _call(asked: _Asked, base_url: str, target: str, headers: list[tuple[str, str]], body: Body) -> Call:
    whole = body.whole
    return Call(
        asked.method,
        base_url,
        _path_of(base_url) + target,
        headers,
        body.length,
        body.chunks if whole is None else whole,
    )


@lru_cache(maxsize=1024)
def _path_of(base_url: str) -> str:
    """Return what stands before every path at this base URL."""
    return urlsplit(base_url).path


async def _judge(answer: Answering) -> tuple[Refused | None, list[bytes], bool]:
    """Return the refusal in an answer, what was read of its body, and whether that was all."""
    content_type = next((value for name, value in answer.headers if name.lower() == b"content-type"), b"").decode(
        "latin-1"
    )
    if not is_text(content_type) or answer.status in BODILESS:
        return None, [], False
    held, length = [], 0
    while piece := await answer.read():
        held.append(piece)
        length += len(piece)
        if length > JUDGED_LONGEST:
            return None, held, False
    refused = read_refusal(b"".join(held)) if is_judged(answer.status, content_type) else None
    return refused, held, True
