"""The trials of one SDK: straight at the sandbox, at the hub, and at the hub while something is wrong."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.interop.program import PICTURE_NAME, Running, Told, run_program
from tests.interop.recorder import Recorder, open_recorder
from tests.interop.scene import Account, Central, Platform, Scene
from tests.interop.sdks import SDK
from tests.scenario.end_to_end.guises import find_secrets, read_files

PICTURE = b"\xff\xd8\xff\xe0" + Random(7).randbytes(300_000)
MOST_REQUESTS = 10
"""Made by an SDK for one call that cannot be done: more are a loop."""
WRONG_KEY = "zk_wrongkey_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
NEED_NO_PLATFORM = {"token", "showqrcode", "jsapi_ticket", "agent_ticket", "signature"}
"""Flows that a dead token does not hinder: the hub answers them itself, the SDK remembers, or no token goes along."""
NAMES = Path(__file__).with_name("names")
REFUSED = (40001, 40014)
PROBES_APART = 5.5
"""Seconds: the hub looks whether a token is dead at most every 5; no token dies so often, and some SDKs wait for 3."""
MESSAGE_FLOWS = ("template_message", "custom_message", "text_message")


@dataclass
class Trial:
    """What one SDK did at one place, and what was wrong with it."""

    sdk: SDK
    home: Path
    """Where the SDK's programs are at home, one folder for each visit."""
    recorders: dict[str, Recorder] = field(default_factory=dict)
    """What passed in each visit."""
    plain: list[Told] = field(default_factory=list)
    by_name: list[Told] = field(default_factory=list)
    """The same flows with no line changed: the platform's names lead to the hub."""
    revoked: list[Told] = field(default_factory=list)
    """The same flows again, the real token revoked before each."""
    healed: int = 0
    """How many of those flows the platform had refused, before the hub saw to it."""
    failures: dict[str, str] = field(default_factory=dict)
    """What a call ended with that could not be done, and after how many requests."""
    wrong: list[str] = field(default_factory=list)

    def expect(self, right: object, wrong: str) -> None:
        """Note what is wrong, unless it is right."""
        if not right:
            self.wrong.append(wrong)

    def judge(self, told: Iterable[Told], when: str) -> None:
        """Note each flow that did not go well."""
        self.wrong += [f"{when}: {one.flow}: {one}" for one in told if not one.ok]


async def try_directly(scene: Scene, sdk: SDK) -> Trial:
    """Do every flow at the sandbox itself: what fails here is not the hub's doing.

    And the token, which went by here, must be found: a search that finds nothing anywhere would prove nothing.
    """
    trial = Trial(sdk, home=scene.directory / "sandbox" / sdk.name)
    platform, account = scene.platform, await scene.platform.open_account(f"direct-{sdk.name}", sdk.kind)
    async with _visit(trial, "direct", platform.url, account, account.secret) as (running, recorder):
        trial.plain = [await running.do(flow) for flow in running.flows]
    trial.judge(trial.plain, "at the sandbox")
    for token in await platform.tokens(account.appid):
        trial.expect(_find([token], {"answers": recorder.received}), "the search does not find the access_token")
    trial.expect(_find([account.secret], {"requests": recorder.sent}), "the search does not find the secret")
    trial.expect(recorder.requests >= len(trial.plain) - 1, "the recorder does not see the requests")
    await _expect_messages(trial, platform, account, rounds=1)
    return trial


async def try_at_hub(scene: Scene, sdk: SDK) -> Trial:
    """Do every flow at the hub, do them again with the real token revoked before each, then let things go wrong."""
    hub, platform = scene.hub, scene.platform
    assert hub is not None
    trial = Trial(sdk, home=scene.directory / "hub" / sdk.name)
    account = await platform.open_account(f"wx-{sdk.name}", sdk.kind)
    await hub.keep(account, platform.url, scene.mode)
    key_id, key = await hub.make_key(sdk.name, account.appid)
    async with _visit(trial, "flows", hub.url, account, key) as (running, _):
        trial.plain = [await running.do(flow) for flow in running.flows]
        trial.judge(trial.plain, "plain")
        await _revoke_and_repeat(trial, platform, account, running)
    await _call_by_name(trial, hub, account, key)
    await _expect_messages(trial, platform, account, rounds=3)
    async with _visit(trial, "wrong key", hub.url, account, WRONG_KEY) as (running, recorder):
        await _fail(trial, running, recorder, "wrong key")
    secrets = [account.secret]
    if sdk.asks_platform:
        async with _visit(trial, "trouble", hub.url, account, key) as (running, recorder):
            secrets.append(await _make_trouble(trial, platform, hub, account, running, recorder))
    async with _visit(trial, "revoked key", hub.url, account, key) as (running, recorder):
        trial.judge([await running.do(sdk.asks)], "before its key was revoked")
        await hub.revoke_key(key_id, key)
        await _fail(trial, running, recorder, "revoked key")
    _expect_no_leaks(trial, [*secrets, *await platform.tokens(account.appid)])
    if trial.wrong:
        (trial.home / "calls.json").write_text(json.dumps(await platform.calls(account.appid), indent=1), "utf-8")
    return trial


async def _revoke_and_repeat(trial: Trial, platform: Platform, account: Account, running: Running) -> None:
    for flow in running.flows:
        await platform.revoke(account.appid)
        before = len(await platform.calls(account.appid))
        told = await running.do(flow)
        is_refused = any(call["errcode"] in REFUSED for call in (await platform.calls(account.appid))[before:])
        trial.revoked.append(told)
        trial.healed += told.ok and is_refused
        trial.expect(is_refused or flow in NEED_NO_PLATFORM, f"revoked: {flow}: nothing had to be healed")
        if is_refused:
            await asyncio.sleep(PROBES_APART)
    trial.judge(trial.revoked, "revoked")


async def _call_by_name(trial: Trial, hub: Central, account: Account, key: str) -> None:
    """Do every flow with the SDK's own host, whose name leads to the hub, by a certificate that its program trusts."""
    trust = {name: str(hub.authority) for name in ("REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")}
    led = {"PYTHONPATH": str(NAMES), "NODE_OPTIONS": f"--require={NAMES / 'names.cjs'}"}
    more = {"NAMES_PORT": str(hub.tls_port), **trust, **led}
    async with _run(trial, "by name", trial.sdk.host, account, key, more) as running:
        trial.by_name = [await running.do(flow) for flow in running.flows]
    trial.judge(trial.by_name, "by name")


async def _make_trouble(
    trial: Trial, platform: Platform, hub: Central, account: Account, running: Running, recorder: Recorder
) -> str:
    """Take the platform away, and reset the secret; what is right again must work again. Return the new secret."""
    async with platform.away(account.appid):
        await _fail(trial, running, recorder, "platform away")
    trial.judge([await running.do(trial.sdk.asks)], "when the platform is back")
    await asyncio.sleep(PROBES_APART)
    secret = await platform.reset_secret(account.appid)
    await _fail(trial, running, recorder, "secret reset")
    await hub.change_secret(account, secret)
    trial.judge([await running.do(trial.sdk.asks)], "when the hub has the new secret")
    return secret


async def _fail(trial: Trial, running: Running, recorder: Recorder, when: str) -> None:
    """Have the SDK do what cannot be done: it must end in an error of its own, and not ask for ever."""
    before = recorder.requests
    told = await running.do(trial.sdk.asks)
    requests = recorder.requests - before
    trial.failures[when] = f"{told.error or 'no error'} after {requests}"
    trial.expect(not told.ok and told.own, f"{when}: not the SDK's own error: {told}")
    trial.expect(0 < requests <= MOST_REQUESTS, f"{when}: {requests} requests")


async def _expect_messages(trial: Trial, platform: Platform, account: Account, *, rounds: int) -> None:
    """The platform must have got each message once in each round, letter by letter."""
    sending = [flow for flow in MESSAGE_FLOWS if flow in {told.flow for told in trial.plain}]
    messages = await platform.messages(account.appid)
    trial.expect(messages == ["你好，世界"] * len(sending) * rounds, f"messages that arrived: {messages}")


def _expect_no_leaks(trial: Trial, secrets: Iterable[str]) -> None:
    """Nothing of a secret may be in what the SDK was sent, nor in what it left in its home."""
    places = {f"what was sent to it, {name}": recorder.received for name, recorder in trial.recorders.items()}
    places |= {f"its file {name}": content for name, content in read_files(trial.home).items()}
    trial.wrong += dict.fromkeys(_find(secrets, places))


def _find(secrets: Iterable[str], places: dict[str, bytes]) -> list[str]:
    return find_secrets({f"secret {number}": secret.encode() for number, secret in enumerate(secrets)}, places)


@asynccontextmanager
async def _visit(
    trial: Trial, name: str, url: str, account: Account, key: str
) -> AsyncIterator[tuple[Running, Recorder]]:
    """Run the SDK's program through a recorder while the block runs."""
    async with open_recorder(url) as recorder:
        trial.recorders[name] = recorder
        async with _run(trial, name, recorder.url, account, key, {}) as running:
            yield running, recorder


@asynccontextmanager
async def _run(
    trial: Trial, name: str, url: str, account: Account, key: str, more: Mapping[str, str]
) -> AsyncIterator[Running]:
    """Run the SDK's program in a home of its own while the block runs."""
    home = trial.home / name
    home.mkdir(parents=True)
    (home / PICTURE_NAME).write_bytes(PICTURE)
    async with run_program(trial.sdk, url, account, key, home, more) as running:
        yield running
