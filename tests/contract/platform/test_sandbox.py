"""The adapter against the sandbox over HTTP: what the platform's rules make of a call, told as the outcome it was.

The byte-level server knows how an answer may break; the sandbox knows what the platform answers, and keeps a journal of
what arrived. The two share no code with the adapter.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from tests.contract.platform.calls import MODES, platform
from tests.contract.platform.conftest import Run
from zhongkong.adapters.platform import AiohttpPlatform
from zhongkong.core.model import Account, AccountKind, Ambiguous, Mode, Outcome, Secret
from zhongkong.core.ports import Order
from zhongkong.sandbox.faults import Fault
from zhongkong.sandbox.journal import Entry
from zhongkong.sandbox.server import Running, open_sandbox
from zhongkong.wechat.answers import Granted, Refused, ip_of
from zhongkong.wechat.errcodes import ProbeVerdict, Verdict, verdict

SOON = 5.0
PATHS = {Mode.CLASSIC: "/cgi-bin/token", Mode.STABLE: "/cgi-bin/stable_token"}
PROBE_PATH = "/cgi-bin/get_api_domain_ip"


class Scene:
    """A sandbox that listens, its first account as a hub would know it, and the adapter."""

    def __init__(self, sandbox: Running) -> None:
        kept = sandbox.account
        assert kept is not None
        self.sandbox = sandbox
        self.there = kept
        self.account = Account(kept.appid, AccountKind.OFFICIAL, Secret(kept.secret), base_url=sandbox.url)

    async def mint(self, mode: Mode, *, force: bool = False, **changed: Any) -> Outcome:
        """Mint once, as the account, changed as told."""
        return await platform(SOON).mint(Order(replace(self.account, **changed), mode, force))

    async def token(self, mode: Mode) -> str:
        """Return a token that was granted."""
        outcome = await self.mint(mode)
        assert isinstance(outcome, Granted)
        return outcome.value

    async def probe(self, value: str) -> ProbeVerdict:
        """Probe once."""
        return await platform(SOON).probe(self.account, value)

    def now(self) -> float:
        """Return the sandbox's time."""
        return self.sandbox.clock.now()

    def calls(self, path: str) -> list[Entry]:
        """Return what arrived."""
        return list(self.sandbox.journal.read(path=path))


@asynccontextmanager
async def scene(**options: Any) -> AsyncIterator[Scene]:
    """Open a sandbox on a port of its own."""
    async with open_sandbox(port=0, seed=11, **options) as sandbox:
        yield Scene(sandbox)


# --- granted


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("life", [7200, 60])
def test_a_grant_is_the_token_that_was_issued_and_its_life(run: Run[Any], mode: Mode, life: int) -> None:
    """And the platform takes it."""

    async def story() -> None:
        async with scene(expires_in=life) as stage:
            outcome = await stage.mint(mode)
            (call,) = stage.calls(PATHS[mode])
            assert outcome == Granted(call.issued or "", life)
            assert await stage.probe(outcome.value) is ProbeVerdict.ALIVE

    run(story())


def test_each_classic_mint_brings_another_token_and_arrives_once(run: Run[Any]) -> None:
    """Two mints, two calls: the former lives on for its overlap, the one before it not at all."""

    async def story() -> None:
        async with scene() as stage:
            first, second, third = [await stage.token(Mode.CLASSIC) for _ in range(3)]
            assert len({first, second, third}) == len(stage.calls(PATHS[Mode.CLASSIC])) == 3
            proved = [await stage.probe(value) for value in (first, second, third)]
            assert proved == [ProbeVerdict.DEAD, ProbeVerdict.ALIVE, ProbeVerdict.ALIVE]

    run(story())


def test_a_stable_mint_repeats_the_token_with_what_is_left_of_it(run: Run[Any]) -> None:
    """Until its last 300 s; then another one comes, and the former lives to its end."""

    async def story() -> None:
        async with scene() as stage:
            first = await stage.token(Mode.STABLE)
            stage.sandbox.clock.turn(1000.0)
            again = await stage.mint(Mode.STABLE)
            assert isinstance(again, Granted)
            assert again.value == first
            assert 6195 <= again.expires_in <= 6200
            stage.sandbox.clock.turn(5910.0)
            assert await stage.token(Mode.STABLE) != first
            assert await stage.probe(first) is ProbeVerdict.ALIVE

    run(story())


def test_a_force_replaces_a_stable_token_and_a_second_one_too_soon_does_not(run: Run[Any]) -> None:
    """Within 30 s the platform gives the same again, and does not say so."""

    async def story() -> None:
        async with scene() as stage:
            first = await stage.token(Mode.STABLE)
            forced = await stage.mint(Mode.STABLE, force=True)
            again = await stage.mint(Mode.STABLE, force=True)
            stage.sandbox.clock.turn(31.0)
            later = await stage.mint(Mode.STABLE, force=True)
            assert isinstance(forced, Granted)
            assert isinstance(again, Granted)
            assert isinstance(later, Granted)
            assert (forced.value != first, again.value == forced.value, later.value != forced.value) == (True,) * 3
            assert [call.force_refresh for call in stage.calls(PATHS[Mode.STABLE])] == [False, True, True, True]

    run(story())


def test_stable_and_classic_tokens_leave_each_other_alone(run: Run[Any]) -> None:
    """What makes moving in harmless."""

    async def story() -> None:
        async with scene() as stage:
            stable = await stage.token(Mode.STABLE)
            for _ in range(3):
                await stage.token(Mode.CLASSIC)
            assert await stage.probe(stable) is ProbeVerdict.ALIVE

    run(story())


# --- refused


def _forget(stage: Scene) -> None:
    stage.sandbox.world.remove_account(stage.there.appid)


def _reset(stage: Scene) -> None:
    stage.sandbox.world.reset_secret(stage.there.appid, stage.now())


def _freeze(stage: Scene) -> None:
    stage.sandbox.world.freeze_secret(stage.there.appid, stage.now())
    stage.sandbox.clock.turn(601.0)  # it takes ten minutes to count


def _close(stage: Scene) -> None:
    stage.there.set_allow_list(["203.0.113.9"])


def _spend(stage: Scene) -> None:
    for path in PATHS.values():
        stage.there.set_quota(path, 0)


def _busy(stage: Scene) -> None:
    stage.sandbox.faults.add(Fault(path="/cgi-bin/*", answer="errcode", errcode=-1, acts=False))


REFUSALS: dict[str, tuple[Callable[[Scene], None], int, Verdict]] = {
    "an appid that is none": (_forget, 40013, Verdict.PERSON),
    "the secret was reset": (_reset, 40125, Verdict.PERSON),
    "the secret is frozen": (_freeze, 40243, Verdict.PERSON),
    "our address is not listed": (_close, 40164, Verdict.PERSON),
    "the day's calls are spent": (_spend, 45009, Verdict.QUOTA),
    "the platform is busy": (_busy, -1, Verdict.TRANSIENT),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", REFUSALS)
def test_a_refusal_is_told_with_its_code_words_and_rid(run: Run[Any], name: str, mode: Mode) -> None:
    """One call, no token, and the verdict that follows from the code is the right one."""
    befall, errcode, judged = REFUSALS[name]

    async def story() -> None:
        async with scene() as stage:
            befall(stage)
            outcome = await stage.mint(mode)
            assert isinstance(outcome, Refused)
            assert (outcome.errcode, verdict("mp", "token", outcome.errcode)) == (errcode, judged)
            assert outcome.errmsg
            assert outcome.rid
            assert outcome.rid in outcome.errmsg
            (call,) = stage.calls(PATHS[mode])
            assert (call.errcode, call.issued) == (errcode, None)

    run(story())


@pytest.mark.parametrize("mode", MODES)
def test_the_address_that_is_not_listed_is_named(run: Run[Any], mode: Mode) -> None:
    """A person copies it into the allow-list."""

    async def story() -> None:
        async with scene() as stage:
            _close(stage)
            outcome = await stage.mint(mode)
            assert isinstance(outcome, Refused)
            assert ip_of(outcome.errmsg) == "127.0.0.1"

    run(story())


# --- whatever goes wrong on the way


BROKEN: dict[str, tuple[dict[str, Any], str, bool]] = {
    "dropped before it acted": ({"answer": "drop", "acts": False}, "cut", False),
    "dropped after it acted": ({"answer": "drop"}, "cut", True),
    "cut in the body": ({"answer": "cut"}, "cut", True),
    "garbage": ({"answer": "garbage", "acts": False}, "not_json", False),
    "a gateway's page": ({"answer": "page", "acts": False}, "status_502", False),
    "a token in a 500": ({"status": 500}, "status_500", True),
    "too late": ({"answer_latency": 30.0}, "timeout", True),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_is_ambiguous_whether_the_platform_acted_or_not(run: Run[Any], name: str, mode: Mode) -> None:
    """Nobody can know, so nothing is sent again: the journal has one call."""
    fault, why, acted = BROKEN[name]

    async def story() -> None:
        async with scene() as stage:
            stage.sandbox.faults.add(Fault(path="/cgi-bin/*", **fault))
            adapter = platform(0.5)
            assert await adapter.mint(Order(stage.account, mode, force=False)) == Ambiguous(why)
            (call,) = stage.calls(PATHS[mode])
            assert (call.acted_at is not None, call.issued is not None) == (acted, acted)

    run(story())


# --- probes


async def _good(stage: Scene) -> str:
    return await stage.token(Mode.STABLE)


async def _revoked(stage: Scene) -> str:
    value = await stage.token(Mode.STABLE)
    stage.sandbox.world.revoke(value, stage.now())
    return value


async def _expired(stage: Scene) -> str:
    value = await stage.token(Mode.STABLE)
    stage.sandbox.clock.turn(7201.0)
    return value


async def _foreign(_stage: Scene) -> str:
    return "83_of-another-house"


async def _good_while(stage: Scene, **fault: Any) -> str:
    value = await stage.token(Mode.STABLE)
    stage.sandbox.faults.add(Fault(path=PROBE_PATH, **fault))
    return value


PROBES: dict[str, tuple[Callable[[Scene], Any], ProbeVerdict]] = {
    "a good one": (_good, ProbeVerdict.ALIVE),
    "a revoked one": (_revoked, ProbeVerdict.DEAD),
    "an expired one": (_expired, ProbeVerdict.DEAD),
    "one that was never issued": (_foreign, ProbeVerdict.DEAD),
    "a good one, over quota": (lambda stage: _good_while(stage, answer="errcode", errcode=45009), ProbeVerdict.ALIVE),
    "a good one, no permission": (
        lambda stage: _good_while(stage, answer="errcode", errcode=48001),
        ProbeVerdict.ALIVE,
    ),
    "the platform is busy": (lambda stage: _good_while(stage, answer="errcode", errcode=-1), ProbeVerdict.UNKNOWN),
    "a refusal in a 500": (
        lambda stage: _good_while(stage, answer="errcode", errcode=40001, status=500),
        ProbeVerdict.UNKNOWN,
    ),
    "silence": (lambda stage: _good_while(stage, answer="drop"), ProbeVerdict.UNKNOWN),
    "a page": (lambda stage: _good_while(stage, answer="page"), ProbeVerdict.UNKNOWN),
}


@pytest.mark.parametrize("name", PROBES)
def test_a_probe_tells_what_the_platform_knows_of_the_token(run: Run[Any], name: str) -> None:
    """By one call, which changes nothing: the token is what it was."""
    prepare, proved = PROBES[name]

    async def story() -> None:
        async with scene() as stage:
            value = await prepare(stage)
            before = stage.sandbox.world.is_alive(value, stage.now())
            assert await stage.probe(value) is proved
            assert [call.access_token for call in stage.calls(PROBE_PATH)] == [value]
            assert stage.sandbox.world.is_alive(value, stage.now()) is before

    run(story())


def test_a_crowd_of_mints_is_as_many_calls_and_leaves_no_connection_behind(run: Run[Any]) -> None:
    """Each has a connection of its own; one adapter serves them all."""

    async def story() -> None:
        async with scene() as stage:
            adapter: AiohttpPlatform = platform(SOON)
            order = Order(stage.account, Mode.STABLE, force=False)
            outcomes = await asyncio.gather(*(adapter.mint(order) for _ in range(50)))
            assert {outcome.value for outcome in outcomes if isinstance(outcome, Granted)} == {
                stage.there.stable.current.value if stage.there.stable.current else ""
            }
            assert len(stage.calls(PATHS[Mode.STABLE])) == 50

    run(story())
