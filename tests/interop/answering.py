"""Message servers of SDKs behind the hub: what people write is pushed through it, and they read the SDK's reply."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.chaos.programs import Asked
from tests.interop.program import run_program
from tests.interop.scene import Account, Central, Scene
from tests.interop.sdks import SDK

MODES = ("plaintext", "compatible", "safe")
TOKEN = "callbackToken1"
KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
SAID: tuple[tuple[str, dict[str, str] | None], ...] = (
    ("你好 😀 <b>&", {"MsgType": "text", "Content": "收到 你好 😀 <b>&"}),
    ("图文", {"MsgType": "news", "ArticleCount": "1"}),
    ("无言", None),
)
"""What a person writes, and what he reads then."""
EVENT = {"MsgType": "event", "Event": "CLICK", "EventKey": "k"}


@dataclass
class Conversation:
    """What a message server did in one mode, without a hub and behind it."""

    sdk: SDK
    mode: str
    right: int = 0
    wrong: list[str] = field(default_factory=list)

    def expect(self, right: object, wrong: str) -> None:
        """Count what is right, and note what is wrong."""
        if right:
            self.right += 1
        else:
            self.wrong.append(f"{self.sdk.name}, {self.mode}: {wrong}")

    def __str__(self) -> str:
        """Tell it in a line."""
        return f"{self.sdk.name} {self.sdk.version} answers pushes, {self.mode}: {self.right} right"


async def converse(scene: Scene, sdk: SDK, mode: str) -> Conversation:
    """Have a person write to the SDK's message server: first pushed to it straight, then through the hub."""
    conversation = Conversation(sdk, mode)
    try:
        await _converse(scene, conversation)
    except (aiohttp.ClientError, OSError, EOFError, ValueError, Asked) as error:
        conversation.expect(None, f"the trial itself failed: {error!r}")
    return conversation


async def _converse(scene: Scene, conversation: Conversation) -> None:
    sdk, mode, hub = conversation.sdk, conversation.mode, scene.hub
    assert hub is not None
    account = await scene.platform.open_account(f"wx-{sdk.name}-{mode}", sdk.kind)
    await hub.keep(account, scene.platform.url, scene.mode)
    home = scene.directory / "answering" / f"{sdk.name} {mode}"
    home.mkdir(parents=True)
    given = {"TOKEN": TOKEN, "ENCODING_AES_KEY": KEY}
    async with run_program(sdk, hub.url, account, "", home, given) as running:
        listens = await running.do("listen")
        if not listens.ok:
            conversation.expect(None, f"it does not listen: {listens}")
            return
        server = f"http://127.0.0.1:{listens.detail}/wechat"
        await hub.bring_pushes(account, TOKEN, KEY, server)
        for url in (server, f"{hub.url}/callback/{account.appid}"):
            await _write_to(scene, account, url, conversation)
    await _expect_no_trouble(hub, account, conversation)


async def _write_to(scene: Scene, account: Account, url: str, conversation: Conversation) -> None:
    callback = {"url": url, "token": TOKEN, "encoding_aes_key": KEY, "mode": conversation.mode}
    await scene.platform.configure(account, callback)
    for content, reply in SAID:
        _judge(conversation, content, reply, await scene.platform.say(account, content))
    _judge(conversation, "the event", None, await scene.platform.push(account, EVENT))


def _judge(conversation: Conversation, said: str, reply: dict[str, str] | None, done: dict[str, Any]) -> None:
    read = None if done["reply"] is None else {name: done["reply"].get(name) for name in reply or done["reply"]}
    statuses = [attempt["status"] for attempt in done["attempts"]]
    conversation.expect(read == reply and statuses == [200], f"to {said} he read {read}, {done['notice']}: {statuses}")


async def _expect_no_trouble(hub: Central, account: Account, conversation: Conversation) -> None:
    troubles = [code for code in await hub.event_codes(account) if code.startswith("push_")]
    conversation.expect(not troubles, f"events: {troubles}")
