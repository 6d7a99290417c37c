"""The sandbox's platform pushes to a hub: two programs that share no line agree on all three modes."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.scenario.hub.house import APPID, House
from tests.scenario.hub.programs import Says
from tests.scenario.hub.pushing import HANDLER, KEY, REPLY, TOKEN, set_up, told
from zhongkong.core.model import Secret
from zhongkong.core.ports import Delivered
from zhongkong.sandbox.app import build_sandbox
from zhongkong.sandbox.clock import Clock
from zhongkong.sandbox.posting import Fetched
from zhongkong.sandbox.pushes import NOTICE

URL = f"http://hub.test/callback/{APPID}"
PERSON = "oPERSON0000000000000000000000"


class Console:
    """The sandbox's control API, beside a hub in the same virtual time."""

    def __init__(self, house: House, appid: str = APPID) -> None:
        self.house = house
        self.appid = appid
        self.cuts = 0
        """How many answers are still to be lost on the way."""
        self.app = build_sandbox(house.world, Clock(house.clock.wall), fetch=self._fetch)

    async def _fetch(self, method: str, url: str, content_type: str, body: bytes, patience: float) -> Fetched:
        began = self.house.clock.boot()
        path = url.removeprefix("http://hub.test")
        answer = await self.house.calling(method, path, content=body, headers={"content-type": content_type})
        if self.cuts or self.house.clock.boot() - began > patience:
            self.cuts -= 1
            return Fetched(None, why="timeout")
        return Fetched(answer.status_code, answer.content)

    def ask(self, method: str, route: str, json: Any = None) -> httpx.Response:
        """Return the answer to a control request."""
        return self.house.call(method, f"/sandbox/v1/accounts/{self.appid}{route}", app=self.app, json=json)

    def say(self, content: str = "hello") -> Any:
        """Have the person write, and return what came of it."""
        return self.ask("POST", f"/followers/{PERSON}/say", {"content": content}).json()

    def pushed(self) -> Any:
        """Return all pushes and what came of them."""
        return self.ask("GET", "/pushes").json()["pushes"]


@pytest.fixture
def console(house: House) -> Console:
    """A platform whose account pushes to the house."""
    set_up(house, handler=Secret(HANDLER))
    house.programs.says[HANDLER] = [Says(Delivered(200, REPLY))]
    house.world.add_follower(APPID, "小明", house.clock.wall(), openid=PERSON)
    return Console(house)


def configure(console: Console, mode: str = "plaintext", data_format: str = "xml", **given: str) -> httpx.Response:
    """Return the answer to saving the configuration."""
    body = {"url": URL, "token": TOKEN, "encoding_aes_key": KEY, "mode": mode, "data_format": data_format, **given}
    return console.ask("PUT", "/callback", body)


@pytest.mark.parametrize("mode", ["plaintext", "compatible", "safe"])
def test_a_person_writes_and_reads_the_reply(console: Console, mode: str) -> None:
    """The configuration is checked, the message pushed, the reply passed back: encrypted where it must be."""
    assert configure(console, mode).status_code == 200
    done = console.say("你好")
    assert (done["reply"], done["notice"]) == ({"MsgType": "text", "Content": "hi"}, None)
    assert [one["status"] for one in done["attempts"]] == [200]
    assert len(console.house.programs.got) == 1
    assert told(console.house, "push_refused") == []


@pytest.mark.parametrize("mode", ["plaintext", "compatible", "safe"])
def test_pushes_in_json_are_taken_too(console: Console, mode: str) -> None:
    """Mini programs may choose."""
    console.house.programs.says[HANDLER] = [Says(Delivered(200, b"success"))]
    assert configure(console, mode, "json").status_code == 200
    done = console.say("你好")
    assert (done["reply"], done["notice"], len(console.house.programs.got)) == (None, None, 1)


def test_an_event_is_pushed_and_seen_in_the_list(console: Console) -> None:
    """Nested parts and all."""
    configure(console, "safe")
    event = {"MsgType": "event", "Event": "scancode_push", "EventKey": "k", "ScanCodeInfo": {"ScanType": "qrcode"}}
    done = console.ask("POST", "/pushes", {"message": event}).json()
    assert done["notice"] is None
    assert done["message"]["FromUserName"] == PERSON
    assert console.ask("GET", "/pushes").json()["pushes"] == [done]


def test_a_lost_answer_is_repeated_and_delivered_once(console: Console) -> None:
    """The handler hears it once; the person gets his reply all the same."""
    configure(console, "safe")
    console.cuts = 2
    done = console.say()
    assert [one["status"] for one in done["attempts"]] == [None, None, 200]
    assert done["reply"]["Content"] == "hi"
    assert len(console.house.programs.got) == 1


@pytest.mark.parametrize(
    ("switches", "attempts"), [({}, 4), ({"push_retries": 2}, 3), ({"push_repeats_signed": "same"}, 4)]
)
def test_the_platform_gives_up_after_its_retries(console: Console, switches: dict[str, Any], attempts: int) -> None:
    """How many there are nobody knows: a switch. The person reads the notice."""
    console.house.call("PATCH", "/sandbox/v1/switches", app=console.app, json=switches)
    configure(console)
    console.cuts = 9
    done = console.say()
    assert (len(done["attempts"]), done["notice"], done["reply"]) == (attempts, NOTICE, None)
    urls = {one["url"] for one in done["attempts"]}
    assert len(urls) == (1 if "push_repeats_signed" in switches else attempts)
    assert len(console.house.programs.got) == 1


def test_a_handler_that_never_answers_shows_the_person_nothing(console: Console) -> None:
    """The hub says success in its place, within the platform's five seconds."""
    configure(console)
    console.house.programs.says[HANDLER] = [Says(Delivered(200, REPLY), after=1000.0)]
    done = console.say()
    assert (len(done["attempts"]), done["reply"], done["notice"]) == (1, None, None)


def test_saving_is_refused_with_the_consoles_own_words(console: Console) -> None:
    """Another Token, a URL that does not answer, a URL that answers something else."""
    wrong = configure(console, token="anotherToken")
    assert (wrong.status_code, wrong.json()["error"].split(" ")[0]) == (400, "token验证失败")
    assert configure(console, url="http://hub.test/docs").json()["error"].startswith("token验证失败")
    console.cuts = 1
    assert configure(console).json()["error"].startswith("请求URL超时")
    assert configure(console, mode="safe", encoding_aes_key="").status_code == 400
    assert console.ask("GET", "/callback").json() == {"callback": None}
    assert "has no callback" in console.say()["error"]


def test_the_configuration_is_shown_kept_and_removed(console: Console) -> None:
    """It is a test account's: tomorrow it is there again."""
    configure(console, "safe")
    shown = console.ask("GET", "/callback").json()["callback"]
    assert (shown["url"], shown["mode"]) == (URL, "safe")
    world = console.house.world
    snapshot = world.snapshot()
    world.reset()
    world.restore(snapshot)
    assert console.say()["reply"]["Content"] == "hi"
    assert console.ask("DELETE", "/callback").status_code == 204
    assert console.ask("GET", "/callback").json() == {"callback": None}
