"""How pushes are brought on: once, within the platform's time, to one who answers and to others who listen."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from tests.scenario.hub.house import APPID, House, MovableStore
from tests.scenario.hub.programs import AWAY, NOTHING, Says
from tests.scenario.hub.pushing import HANDLER, LISTENER, REPLY, Pusher, set_up, text, told
from zhongkong.core.callbacks import Push, Taken
from zhongkong.core.model import Secret
from zhongkong.core.ports import Delivered, Undelivered

SUCCESS = b"success"
BROKEN = Says(Delivered(502, b"<html>bad gateway</html>"))


def robot(house: House, *says: Says, listeners: tuple[str, ...] = ()) -> Pusher:
    """Set up an account with a handler that says so."""
    house.programs.says[HANDLER] = list(says) or [Says(Delivered(200, REPLY))]
    return set_up(house, handler=Secret(HANDLER), listeners=tuple(map(Secret, listeners)))


def test_without_a_handler_the_platform_is_told_success(house: House) -> None:
    """Else people would read that the account is out of order."""
    assert set_up(house).push(text()).content == SUCCESS


def test_a_repetition_gets_the_first_ones_answer_and_is_not_delivered_again(house: House) -> None:
    """On another replica, signed anew, and in another form of writing."""
    pusher = robot(house, listeners=(LISTENER,))
    assert pusher.push(text()).content == REPLY
    twin = House(house.clock, house.world, house.store)
    twin.open()
    words, body = pusher.encrypted(text().replace("><", ">\n<"))
    pusher.house = twin
    assert pusher.push(body, words).content == REPLY
    assert (len(house.programs.got), twin.programs.got) == (2, [])
    for task in twin._tasks:  # noqa: SLF001 (the clock is the other house's to close)
        task.cancel()


def test_a_storm_of_repetitions_on_two_replicas_is_one_delivery_each(house: House) -> None:
    """Twenty messages, ten times each, in any order: everybody is told the same, and programs hear each once."""
    pusher = robot(house, Says(Delivered(200, REPLY), after=0.5), listeners=(LISTENER,))
    twin = House(house.clock, house.world, house.store)
    twin.open()
    twin.programs.says[HANDLER] = [Says(Delivered(200, REPLY), after=0.5)]
    asked = [(replica, msgid) for msgid in range(20) for replica in (house, twin) for _ in range(5)]
    Random(3).shuffle(asked)

    async def storm() -> set[bytes]:
        path = f"/callback/{APPID}"
        calls = [one.calling("POST", path, params=pusher.words(), content=text("hi", msgid)) for one, msgid in asked]
        return {answer.content for answer in await asyncio.gather(*calls)}

    assert house.clock.run(storm()) == {REPLY}
    house.clock.turn(1)
    got = [*house.programs.got, *twin.programs.got]
    for place in (HANDLER, LISTENER):
        bodies = [one.body for one in got if one.place == place]
        assert (len(bodies), len(set(bodies))) == (20, 20)
    for task in twin._tasks:  # noqa: SLF001 (the clock is the other house's to close)
        task.cancel()


def test_a_repetition_while_the_first_is_under_way_waits_for_its_answer(house: House) -> None:
    """The platform cut the first connection, and asks again while the handler still thinks."""
    pusher = robot(house, Says(Delivered(200, REPLY), after=3.0))

    async def both() -> list[bytes]:
        answers = [house.calling("POST", f"/callback/{APPID}", params=pusher.words(), content=text()) for _ in range(2)]
        return [one.content for one in await asyncio.gather(*answers)]

    assert house.clock.run(both()) == [REPLY, REPLY]
    assert len(house.programs.got) == 1


@pytest.mark.parametrize("late", [4.4, 60.0])
def test_a_late_handler_costs_its_answer_and_no_more(house: House, late: float) -> None:
    """Within 4.5 s the platform is told success; the audit log says who was late."""
    pusher = robot(house, Says(Delivered(200, REPLY), after=late))
    began = house.clock.boot()
    assert pusher.push(text()).content == SUCCESS
    assert house.clock.boot() - began <= 4.5
    (event,) = told(house, "push_undelivered")
    assert event.values["why"] == "timeout"


def test_a_handler_in_time_is_heard(house: House) -> None:
    """Just before its time is over."""
    assert robot(house, Says(Delivered(200, REPLY), after=4.2)).push(text()).content == REPLY


@pytest.mark.parametrize("fault", [AWAY, BROKEN, Says(Undelivered("cut", was_sent=True))])
def test_a_handler_is_tried_three_times_within_the_platforms_patience(house: House, fault: Says) -> None:
    """It may just be starting again."""
    assert robot(house, fault, fault, Says(Delivered(200, REPLY))).push(text()).content == REPLY
    assert len(house.programs.got) == 3
    assert told(house, "push_undelivered") == []


def test_a_handler_that_stays_away_is_an_event(house: House) -> None:
    """And the repetition is not delivered to it either: it was answered."""
    pusher = robot(house, AWAY)
    assert [pusher.push(text()).content for _ in range(2)] == [SUCCESS, SUCCESS]
    assert len(house.programs.got) == 3
    (event,) = told(house, "push_undelivered")
    place = "http://robot.internal"
    assert event.values == {"role": "handler", "place": place, "why": "connect_failed", "tries": 3, "times": 1}


def test_a_refusal_is_final(house: House) -> None:
    """It has another Token, or another path: the same once more is refused once more."""
    assert robot(house, Says(Delivered(403, b"no"))).push(text()).content == SUCCESS
    assert len(house.programs.got) == 1
    assert told(house, "push_undelivered")[0].values["why"] == "HTTP 403"


@pytest.mark.parametrize("answer", [b"<!DOCTYPE html><html></html>", b"ok", b"\xff\xfe", b"<xml>" + b" " * 40_000])
def test_an_answer_that_the_platform_would_not_take_is_replaced(house: House, answer: bytes) -> None:
    """The person would read that the account is out of order; its people read an event."""
    assert robot(house, Says(Delivered(200, answer))).push(text()).content == SUCCESS
    assert told(house, "push_answer_unfit")[0].values == {"place": "http://robot.internal", "times": 1}


@pytest.mark.parametrize("answer", [b"", b"success", b'{"MsgType":"text"}'])
def test_an_answer_that_it_takes_is_passed_on_as_it_is(house: House, answer: bytes) -> None:
    """Byte for byte."""
    assert robot(house, Says(Delivered(200, answer))).push(text()).content == answer


def test_listeners_hold_up_nobody_and_are_tried_three_times(house: House) -> None:
    """Their answers count for nothing."""
    pusher = robot(house, listeners=(LISTENER, "http://other.internal/"))
    house.programs.says[LISTENER] = [AWAY, Says(Delivered(200, REPLY), after=30.0), NOTHING]
    began = house.clock.boot()
    assert pusher.push(text()).content == REPLY
    assert house.clock.boot() == began
    house.clock.turn(20)
    assert [one.at - began for one in house.programs.at(LISTENER)] == pytest.approx([0.0, 1.0, 11.0])
    assert len(house.programs.at("http://other.internal/")) == 1
    assert told(house, "push_undelivered") == []


def test_a_listener_that_stays_away_is_an_event(house: House) -> None:
    """By its number, for several may be at one place."""
    pusher = robot(house, listeners=("http://other.internal/", LISTENER))
    house.programs.says[LISTENER] = [BROKEN]
    pusher.push(text())
    house.clock.turn(20)
    (event,) = told(house, "push_undelivered")
    assert (event.values["role"], event.values["why"], event.values["tries"]) == ("listener 2", "HTTP 502", 3)


def test_while_the_store_is_away_the_platform_is_answered(house: House) -> None:
    """From what was read last; a message that comes twice is better than one that does not come."""
    pusher = robot(house)
    assert pusher.push(text()).content == REPLY
    house.store.is_away = True
    assert pusher.push(text(msgid=2)).content == REPLY
    assert pusher.check("12345").content == b"12345"
    stranger = Pusher(house, "wxfedcba9876543210").push(text())
    assert stranger.status_code == 503
    house.store.is_away = False


class SlowStore(MovableStore):
    """A store that takes its time for pushes."""

    slowness = 0.0

    async def take_push(self, push: Push, fence: str) -> Taken:
        """Take a push, slowly."""
        await asyncio.sleep(self.slowness)
        return await super().take_push(push, fence)

    async def answer_push(self, push: Push, fence: str, answer: str) -> bool:
        """Keep an answer, slowly."""
        await asyncio.sleep(self.slowness)
        return await super().answer_push(push, fence, answer)


def test_a_store_that_stands_still_does_not_hold_up_the_answer() -> None:
    """The handler's word gets through all the same."""
    house = House()
    store = SlowStore(house.clock.wall)
    slow = House(house.clock, store=store)
    slow.open()
    pusher = robot(slow, Says(Delivered(200, REPLY), after=3.0))
    store.slowness = 1000.0
    began = house.clock.boot()
    assert pusher.push(text()).content == REPLY
    assert house.clock.boot() - began <= 4.5
    slow.close()


def test_at_the_end_of_the_hub_listeners_still_get_what_is_on_its_way(house: House) -> None:
    """For some seconds; then it is given up."""
    pusher = robot(house, listeners=(LISTENER,))
    house.programs.says[LISTENER] = [AWAY, NOTHING]
    pusher.push(text())
    house.clock.run(house.room.drain())
    assert len(house.programs.at(LISTENER)) == 2
