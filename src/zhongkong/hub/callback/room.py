"""The routes at which the platform knocks. It is answered within 5 s, whatever happens behind."""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus
from random import Random, SystemRandom
from typing import NamedTuple

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from zhongkong.core.callbacks import (
    REFUSED_STEP,
    Callback,
    Push,
    Standing,
    Taken,
    is_proof_name,
    receiver_of,
)
from zhongkong.core.model import Seconds
from zhongkong.core.ports import Clock, Courier, FullStore
from zhongkong.errors import StoreError
from zhongkong.hub.callback.checking import Message, Refusal, Step, Words, judge_echo, judge_push, read_words
from zhongkong.hub.callback.delivering import Delivery, Parcel
from zhongkong.hub.callback.telling import Telling
from zhongkong.hub.door import Network, find_address
from zhongkong.keeper.knowledge import Knowledge
from zhongkong.wechat.cipher import RANDOM_LENGTH, PushCipher
from zhongkong.wechat.endpoints import is_appid
from zhongkong.wechat.pushes import LONGEST, SUCCESS, Answer, build_encrypted

logger = logging.getLogger("zhongkong.hub")

ANSWER_WITHIN: Seconds = 4.5
"""From the head of a push to our answer. The platform waits 5 s, the way there and back included."""
STORE_WITHIN: Seconds = 1.0
"""What one call to the store may take; then it is done without: delivered, perhaps twice, is better than not."""
ANSWER_TAKES: Seconds = 0.2
"""What is left for our own part when the handler's time is over."""
LOOK_AGAIN: Seconds = 0.2
"""How often is looked whether who has a push has answered it."""
DRAIN: Seconds = 5.0
_TYPES = {b"<": "text/xml; charset=utf-8", b"{": "application/json; charset=utf-8"}


class _Unanswerable(Exception):
    """Neither store nor memory tells how the account is pushed to."""


class _Came(NamedTuple):
    """A push that is the platform's, and what it came with."""

    callback: Callback
    words: Words
    message: Message
    parcel: Parcel
    until: Seconds


class CallbackRoom:
    """The routes `/callback/{appid}`, and of the files that prove whose a domain is."""

    def __init__(
        self,
        store: FullStore,
        known: Knowledge,
        courier: Courier,
        clock: Clock,
        trusted_proxies: tuple[Network, ...] = (),
        *,
        random: Random | None = None,
    ) -> None:
        self._store = store
        self._known = known
        self._clock = clock
        self._trusted = trusted_proxies
        self._random = random or SystemRandom()
        self._telling = Telling(store, clock)
        self._delivery = Delivery(courier, clock, self._telling)
        self._keeping: set[asyncio.Task[None]] = set()
        self._callbacks: dict[str, Callback] = {}
        """As they were read last: for while the store is away."""

    def routes(self) -> list[BaseRoute]:
        """Return the routes."""
        return [
            Route("/callback/{appid}", self.check, methods=["GET"]),
            Route("/callback/{appid}", self.take, methods=["POST"]),
            Route("/MP_verify_{rest}.txt", self.prove, methods=["GET"]),
            Route("/WW_verify_{rest}.txt", self.prove, methods=["GET"]),
        ]

    async def drain(self) -> None:
        """Wait for what is on its way to listeners."""
        await self._delivery.drain(DRAIN)

    # --- what the platform asks

    async def check(self, request: Request) -> Response:
        """Answer the check of the URL with echostr, bare."""
        try:
            async with asyncio.timeout(ANSWER_WITHIN):
                callback, words = await self._begin(request)
                identity, answer = judge_echo(callback, words)
                await self._take(Push(callback.appid, identity, words.stamp), "")
        except Refusal as refusal:
            return self._refuse(request, refusal.step)
        except (_Unanswerable, TimeoutError):
            return _say(b"", HTTPStatus.SERVICE_UNAVAILABLE)
        return _say(answer)

    async def take(self, request: Request) -> Response:
        """Take a push, and answer what its handler says."""
        until = self._clock.boot() + ANSWER_WITHIN
        try:
            async with asyncio.timeout(ANSWER_WITHIN):
                body = await _read(request)
                callback, words = await self._begin(request)
                message = judge_push(callback, words, body)
        except Refusal as refusal:
            return self._refuse(request, refusal.step)
        except (_Unanswerable, TimeoutError):
            return _say(b"", HTTPStatus.SERVICE_UNAVAILABLE)
        if message.is_our_own:
            return _say(SUCCESS)
        content_type = request.headers.get("content-type", "text/xml")
        parcel = Parcel(request.scope["query_string"].decode("latin-1"), content_type, body)
        try:
            async with asyncio.timeout(until - self._clock.boot()):
                return _say(await self._answer(_Came(callback, words, message, parcel, until)))
        except Refusal as refusal:
            return self._refuse(request, refusal.step)
        except TimeoutError:
            return _say(SUCCESS)

    async def prove(self, request: Request) -> Response:
        """Answer with the file of that name, if a person stored it."""
        name = request.url.path.removeprefix("/")
        proof = await self._store.proof(name) if is_proof_name(name) else None
        if proof is None:
            raise HTTPException(HTTPStatus.NOT_FOUND)
        return _say(proof.body.encode())

    # --- how it is answered

    async def _begin(self, request: Request) -> tuple[Callback, Words]:
        """Return how the account is pushed to, and what the request is signed with."""
        callback = await self._find(request.path_params["appid"])
        try:
            now = self._known.told_now()
        except StoreError as error:
            raise _Unanswerable from error
        return callback, read_words(request.query_params.multi_items(), now)

    async def _find(self, appid: str) -> Callback:
        """Return how the account is pushed to, from memory while the store is away.

        What can be no appid is not asked for: databases refuse some characters, or overlook them.

        Raises: Refusal: APPID, TOKEN. _Unanswerable.
        """
        if not is_appid(appid):
            raise Refusal(Step.APPID)
        try:
            async with asyncio.timeout(STORE_WITHIN):
                callback = await self._store.callback(appid)
        except (StoreError, TimeoutError) as error:
            remembered = self._callbacks.get(appid)
            if remembered is None:
                logger.warning("callback: store: %s", error)
                raise _Unanswerable from error
            return remembered
        if callback is None:
            self._callbacks.pop(appid, None)
            raise Refusal(Step.APPID if self._known.account(appid) is None else Step.TOKEN)
        self._callbacks[appid] = callback
        return callback

    async def _take(self, push: Push, fence: str) -> Taken:
        """Return what the push is; while the store is away, one that was never here.

        Raises: Refusal: NONCE.
        """
        try:
            async with asyncio.timeout(STORE_WITHIN):
                taken = await self._store.take_push(push, fence)
        except (StoreError, TimeoutError) as error:
            logger.warning("callback: store: %s", error)
            return Taken(Standing.FIRST)
        if taken.standing is Standing.REPLAYED:
            raise Refusal(Step.NONCE)
        return taken

    async def _answer(self, came: _Came) -> bytes:
        """Return the answer to a push: of its handler, or what a former one was answered.

        Raises: Refusal: NONCE.
        """
        push = Push(came.callback.appid, came.message.identity, came.words.stamp)
        fence = f"{self._random.getrandbits(128):032x}"
        taken = await self._take(push, fence)
        while taken.standing is Standing.UNDER_WAY:
            await asyncio.sleep(LOOK_AGAIN)
            taken = await self._take(push, fence)
        if taken.standing is Standing.ANSWERED:
            return taken.answer.encode()
        self._delivery.tell_listeners(came.callback, came.parcel)
        said, kind = await self._delivery.ask_handler(came.callback, came.parcel, came.until - ANSWER_TAKES)
        answer = self._encrypted(came, said) if kind is Answer.PLAIN and came.message.is_encrypted else said
        keeping = asyncio.create_task(self._keep(push, fence, answer.decode()))
        self._keeping.add(keeping)
        keeping.add_done_callback(self._keeping.discard)
        await asyncio.wait([keeping], timeout=ANSWER_TAKES / 2)  # who asks again soon shall find it
        return answer

    async def _keep(self, push: Push, fence: str, answer: str) -> None:
        try:
            await self._store.answer_push(push, fence, answer)
        except StoreError as error:
            logger.warning("callback: store: %s", error)

    def _encrypted(self, came: _Came, said: bytes) -> bytes:
        """Return a reply that its handler gave in plain, as the platform wants it in safe mode."""
        callback = came.callback
        cipher = PushCipher(callback.encoding_aes_key.reveal(), receiver_of(callback.appid))
        encrypted = cipher.encrypt(said, self._random.randbytes(RANDOM_LENGTH))
        nonce, timestamp = f"{self._random.randrange(10**9):09d}", int(self._known.told_now())
        return build_encrypted(came.message.shape, callback.token.reveal(), encrypted, timestamp, nonce)

    def _refuse(self, request: Request, step: Step) -> Response:
        client = request.client
        address = find_address(client.host if client else "", request.headers.getlist("x-forwarded-for"), self._trusted)
        appid = request.path_params["appid"]
        self._telling.refused(appid, step, address, is_known=self._known.account(appid) is not None)
        return _say(b"refused", HTTPStatus.FORBIDDEN, {REFUSED_STEP: step.value})


async def _read(request: Request) -> bytes:
    """Return the body. Raises: Refusal: BODY."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LONGEST:
            raise Refusal(Step.BODY)
    return bytes(body)


def _say(body: bytes, status: HTTPStatus = HTTPStatus.OK, headers: dict[str, str] | None = None) -> Response:
    """Return an answer without anything around it."""
    kind = _TYPES.get(body.lstrip()[:1], "text/plain; charset=utf-8")
    kept = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", **(headers or {})}
    return Response(body, status, kept, kind)
