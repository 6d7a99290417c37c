"""The hub under trial, in this process, on the machine's own clock; and who hands it tokens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from random import Random

from tests.fuzz.tries import BODY_MOST, Shown
from zhongkong.adapters.clock import MachineClock
from zhongkong.adapters.courier import HttpCourier
from zhongkong.adapters.stores.memory import MemoryStore
from zhongkong.core.grants import Grant, create_key
from zhongkong.core.model import Account, AccountKind, Kind, Mode, Outcome, Secret, Slot
from zhongkong.core.ports import Order, Upstream
from zhongkong.hub.admin import Admin
from zhongkong.hub.api.hot import HotReads
from zhongkong.hub.app import GatewayParts, Parts, build_app
from zhongkong.hub.gateway.gateway import Gateway, Limits
from zhongkong.hub.gateway.virtual import Signer
from zhongkong.hub.keys import Keyring
from zhongkong.hub.logs import AccessLog
from zhongkong.hub.tail import Tail
from zhongkong.hub.telemetry import Telemetry
from zhongkong.keeper.keeper import Keeper
from zhongkong.wechat.answers import Granted
from zhongkong.wechat.errcodes import ProbeVerdict

HEART = "Hk3TgB9yDc5FjW6nQx"
"""In every real token."""
SECRET_HEART = "c4e1b7f09a5d832661f2"
"""In every AppSecret."""
SIGNING_KEY = b"the signing key of the hub, 7Gh2"
NOBODYS_KEY = b"another key than the hub signs with"


class Minting:
    """The platform as the keeper sees it: the last token of an account is good, and no other one."""

    def __init__(self) -> None:
        self._current: dict[str, str] = {}
        self._made = 0

    def rotate(self, appid: str) -> None:
        """End the account's token behind the hub's back."""
        self._current[appid] = ""

    def is_current(self, appid: str, value: str) -> bool:
        """Say whether the platform takes the token."""
        return bool(value) and self._current.get(appid) == value

    async def mint(self, order: Order) -> Outcome:
        """Hand out another token."""
        self._made += 1
        if order.kind is not Kind.ACCESS_TOKEN:
            return Granted(f"ticket_{self._made}", 7200)
        self._current[order.account.appid] = value = f"83_{HEART}+/=%{self._made}~"
        return Granted(value, 7200)

    async def probe(
        self, account: Account, value: str, _caller: str = "", _kind: Kind = Kind.ACCESS_TOKEN
    ) -> ProbeVerdict:
        """Say what a look at the platform would."""
        return ProbeVerdict.ALIVE if self.is_current(account.appid, value) else ProbeVerdict.DEAD


class Hub:
    """One keeper and one store; an application for each way to the platform."""

    def __init__(self, random: Random) -> None:
        self.minting = Minting()
        self.accounts: list[Shown] = []
        self._random = random
        self._clock = MachineClock()
        self._store = MemoryStore(self._clock.wall)
        self._keeper = Keeper(self._store, self.minting, self._clock, random=random)
        self._keyring = Keyring(self._store, self._clock, self._keeper.known.told_now)
        self._tail = Tail(self._store)
        self._draining = asyncio.Event()

    def build(self, upstream: Upstream) -> tuple[HotReads, Gateway]:
        """Return an application that sends calls on with `upstream`, and its gateway."""
        parts = Parts(
            courier=HttpCourier(self._clock),
            clock=self._clock,
            store=self._store,
            keeper=self._keeper,
            keyring=self._keyring,
            admin=Admin(self._store, self.minting, self._keeper, random=self._random),
            tail=self._tail,
            telemetry=Telemetry(),
            draining=self._draining,
            gateway=GatewayParts(upstream, SIGNING_KEY, Limits(body=BODY_MOST, in_flight=10_000)),
        )
        app = build_app(parts)
        assert isinstance(app.app, AccessLog)
        assert isinstance(app.app.app, Gateway)
        return app, app.app.app

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Have everything run that a hub has running."""
        async with AsyncExitStack() as stack:
            for run in (self._keeper.run, self._keyring.run, self._tail.run):
                task = asyncio.create_task(run())
                stack.callback(task.cancel)
            yield

    async def open_account(self, appid: str, base_url: str) -> Shown:
        """Have an account kept, and return what its clients may show."""
        account = Account(
            appid, AccountKind.OFFICIAL, Secret(SECRET_HEART + appid[-12:]), base_url=base_url, mode=Mode.CLASSIC
        )
        await self._store.put_account(account)
        texts = {name: await self._make_key(appid, name) for name in ("good", "revoked", "ungranted")}
        now, signer, forger = self._clock.wall(), Signer(SIGNING_KEY), Signer(NOBODYS_KEY)
        (key_id, key), (revoked, _), (ungranted, _) = texts.values()
        made = {
            "good": signer.make(key_id, appid, now, b"good"),
            "other": signer.make(key_id, appid, now, b"othe"),
            "expired": signer.make(key_id, appid, now - 8000, b"expi"),
            "forged": forger.make(key_id, appid, now, b"forg"),
            "revoked": signer.make(revoked, appid, now, b"revo"),
            "ungranted": signer.make(ungranted, appid, now, b"ungr"),
        }
        await self._store.remove_key(revoked)
        shown = Shown(
            appid, base_url, {name: token.encode() for name, (token, _) in made.items()} | {"key": key.encode()}
        )
        self.accounts.append(shown)
        return shown

    async def wait_until_kept(self) -> None:
        """Return when every account has a token, and all keys are known."""
        await self._keyring.refresh()
        for shown in self.accounts:
            while self._keeper.known.account(shown.appid) is None:  # noqa: ASYNC110 (nobody tells us)
                await asyncio.sleep(0.05)
            await self._keeper.credential(Slot(shown.appid), 30.0)

    async def _make_key(self, appid: str, name: str) -> tuple[str, str]:
        grants = [Grant.READ] if name == "ungranted" else [Grant.GATEWAY]
        key, text = create_key(self._random, self._clock.wall(), name=name, grants=grants, appids=[appid])
        await self._store.put_key(key)
        return key.id, text.reveal()
