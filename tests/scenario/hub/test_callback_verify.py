"""A hub that knocks at its own door from outside."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.scenario.hub.house import APPID, House
from tests.scenario.hub.programs import Says
from tests.scenario.hub.pushing import HANDLER, set_up, told
from zhongkong.core.callbacks import Callback
from zhongkong.core.model import Seconds, Secret
from zhongkong.core.ports import Delivered, Undelivered

PATH = f"/v1/accounts/{APPID}/callback/verify"
OUTSIDE = f"https://wx.example.com/callback/{APPID}"


class Outside:
    """A courier that leads back to the house, through whatever stands in front of it."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.eats = False

    async def look(self, url: Secret, _until: Seconds) -> Delivered | Undelivered:
        """Get."""
        return self._read(await self.house.calling("GET", self._path(url)))

    async def bring(self, url: Secret, content_type: str, body: bytes, _until: Seconds) -> Delivered | Undelivered:
        """Post."""
        content = b"" if self.eats else body
        headers = {"content-type": content_type}
        return self._read(await self.house.calling("POST", self._path(url), content=content, headers=headers))

    @staticmethod
    def _path(url: Secret) -> str:
        return url.reveal().removeprefix("https://wx.example.com")

    @staticmethod
    def _read(answer: httpx.Response) -> Delivered:
        return Delivered(answer.status_code, answer.content, answer.headers.get("zhongkong-refused", ""))


@pytest.fixture
def outside(house: House, monkeypatch: pytest.MonkeyPatch) -> Outside:
    """The way round by the public address."""
    outside = Outside(house)
    monkeypatch.setattr(house.programs, "look", outside.look)
    monkeypatch.setattr(house.programs, "bring", outside.bring)
    return outside


def verify(house: House, key: str, **fields: Any) -> Any:
    """Return what is found."""
    answer = house.call("POST", PATH, key, json=fields, headers={"accept-language": "en"})
    assert answer.status_code == 200
    return answer.json()


def test_a_callback_that_is_well_is_said_to_be(house: House, admin: str, outside: Outside) -> None:
    """Check, plaintext and safe mode went all the way, and no program heard of it."""
    set_up(house, handler=Secret(HANDLER))
    found = verify(house, admin)
    assert (found["ok"], found["step"], found["url"]) == (True, "well", OUTSIDE)
    assert outside.house.programs.got == []
    assert told(house, "push_refused") == []


def test_an_eaten_body_is_found(house: House, admin: str, outside: Outside) -> None:
    """The check of the URL alone would have said that all is well."""
    set_up(house)
    outside.eats = True
    assert verify(house, admin)["step"] == "body_eaten"


def test_another_hub_behind_the_address_is_found(house: House, admin: str, outside: Outside) -> None:
    """The name leads to an older hub, over another store."""
    set_up(house)
    other = House(house.clock)
    other.open()
    other.add_account()
    other.clock.run(other.store.put_callback(Callback(APPID, Secret("anotherToken"))))
    outside.house = other
    found = verify(house, admin)
    assert (found["ok"], found["step"]) == (False, "refused_token")
    assert "another Token" in found["detail"]
    for task in other._tasks:  # noqa: SLF001 (the clock is the first house's to close)
        task.cancel()


@pytest.mark.parametrize(
    ("says", "step"),
    [
        (Says(Undelivered("name_unknown", was_sent=False)), "dns"),
        (Says(Delivered(404, b"")), "path"),
        (Says(Delivered(200, b"late"), after=60.0), "silent"),
    ],
)
def test_what_keeps_the_platform_away_is_named(house: House, admin: str, says: Says, step: str) -> None:
    """In words that say what to do."""
    set_up(house)
    house.programs.says[OUTSIDE] = [says]
    assert verify(house, admin)["step"] == step


def test_another_address_can_be_tried_before_it_is_set(house: House, admin: str) -> None:
    """And a port that the platform never comes to is not even tried."""
    set_up(house)
    assert verify(house, admin, url="https://wx.example.com:8600")["step"] == "port"
    assert house.programs.got == []


def test_there_must_be_a_token_first(house: House, admin: str) -> None:
    """Else there is nothing to sign with."""
    house.add_account()
    answer = house.call("POST", PATH, admin, json={})
    assert (answer.status_code, answer.json()["code"]) == (400, "callback_token_wanted")
