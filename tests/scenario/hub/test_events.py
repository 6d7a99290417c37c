"""The audit log over HTTP: page by page, and live."""

from __future__ import annotations

import pytest

from tests.scenario.hub.house import APPID, OTHER, House
from zhongkong.core.grants import Grant
from zhongkong.core.model import Event
from zhongkong.testing.fake_clock import START

PATH = "/v1/events"


def tell(house: House, *events: Event) -> None:
    """Append events."""
    house.clock.run(house.store.tell(list(events)))


def test_events_are_read_with_their_texts(house: House, admin: str) -> None:
    """A person reads the text, a program the code and the values."""
    house.add_account()
    (event,) = house.call("GET", PATH, admin).json()["events"]
    assert list(event) == ["id", "at", "code", "appid", "values", "text"]
    assert (event["code"], event["appid"], event["values"]["generation"]) == ("minted", APPID, 1)
    assert event["at"] == pytest.approx(START, abs=2)
    assert "取得第 1 代 access_token" in event["text"]
    (english,) = house.call("GET", f"{PATH}?lang=en", admin).json()["events"]
    assert "token of generation 1 minted" in english["text"]


def test_pages_follow_one_another(house: House, admin: str) -> None:
    """`next` of one page is `after` of the next; none is lost, none comes twice."""
    tell(house, *(Event("contested", f"wx{index}") for index in range(25)))
    after, seen = 0, []
    while page := house.call("GET", PATH, admin, params={"after": after, "limit": 10}).json()["events"]:
        seen += [one["appid"] for one in page]
        after = page[-1]["id"]
    assert seen == [f"wx{index}" for index in range(25)]


def test_without_a_beginning_the_newest_come(house: House, admin: str) -> None:
    """Oldest of them first, as in every page."""
    tell(house, *(Event("contested", f"wx{index}") for index in range(5)))
    body = house.call("GET", PATH, admin, params={"limit": 2}).json()
    assert ([one["appid"] for one in body["events"]], body["next"]) == (["wx3", "wx4"], 5)


def test_an_empty_page_keeps_the_place(house: House, admin: str) -> None:
    """Who has read all asks again with the same number."""
    assert house.call("GET", PATH, admin, params={"after": 7}).json() == {"events": [], "next": 7}


def test_a_readers_key_sees_its_own_accounts(house: House) -> None:
    """Not those of other teams, and not what administrators do."""
    tell(
        house,
        Event("contested", APPID),
        Event("contested", OTHER),
        Event("key_revoked", "", {"key": "a", "name": "b", "by": "c"}),
    )
    mine = house.add_key(Grant.READ, appids=(APPID,))
    all_accounts = house.add_key(Grant.READ)
    body = house.call("GET", PATH, mine, params={"after": 0}).json()
    assert ([one["appid"] for one in body["events"]], body["next"]) == ([APPID], 3)
    assert len(house.call("GET", PATH, all_accounts).json()["events"]) == 2
    assert len(house.call("GET", PATH, house.add_key(Grant.ADMIN)).json()["events"]) == 3


def test_one_accounts_events_can_be_asked_for(house: House, admin: str) -> None:
    """By those who may see them."""
    tell(house, Event("contested", APPID), Event("contested", OTHER))
    assert [one["appid"] for one in house.call("GET", PATH, admin, params={"appid": OTHER}).json()["events"]] == [OTHER]
    mine = house.add_key(Grant.READ, appids=(APPID,))
    assert house.call("GET", PATH, mine, params={"appid": OTHER}).status_code == 403


@pytest.mark.parametrize("query", ["after=-1", "after=x", "limit=0", "limit=1001", "limit=1e3"])
def test_a_page_that_cannot_be_is_refused(house: House, admin: str, query: str) -> None:
    """Instead of being read as something else."""
    assert house.call("GET", f"{PATH}?{query}", admin).json()["code"] == "request_invalid"


def test_an_event_of_a_newer_version_is_shown_by_its_code(house: House, admin: str) -> None:
    """During an upgrade two versions share a log."""
    tell(house, Event("of_the_future", APPID))
    assert house.call("GET", PATH, admin).json()["events"][0]["text"] == "of_the_future"


def test_a_stream_tells_events_as_they_come(house: House, admin: str) -> None:
    """From now on, if the caller does not say from when."""
    tell(house, Event("contested", OTHER))
    house.clock.turn(1.5)
    stream = house.follow(PATH, admin)
    assert stream.status == 200
    assert stream.events == []
    house.add_account()
    house.clock.turn(2.0)
    assert [(one["code"], one["appid"]) for one in stream.events] == [("minted", APPID)]
    assert f"id: {stream.events[0]['id']}\nevent: minted\ndata: ".encode() in stream.received
    stream.leave()


def test_a_stream_goes_on_where_it_was_cut(house: House, admin: str) -> None:
    """A browser sends the last id that it saw."""
    tell(house, *(Event("contested", f"wx{index}") for index in range(150)))
    stream = house.follow(PATH, admin, {"last-event-id": "3"})
    house.clock.turn(1.0)
    assert [one["id"] for one in stream.events] == list(range(4, 151))
    stream.leave()


def test_a_stream_can_begin_at_the_beginning(house: House, admin: str) -> None:
    """And be of one account."""
    tell(house, Event("contested", APPID), Event("contested", OTHER), Event("contested", APPID))
    stream = house.follow(f"{PATH}?after=0&appid={APPID}", admin)
    assert [one["id"] for one in stream.events] == [1, 3]
    stream.leave()


@pytest.mark.parametrize("last", ["x", "-1", "9" * 30])
def test_a_stream_from_nowhere_is_refused(house: House, admin: str, last: str) -> None:
    """Before it begins, so that the client sees a status."""
    assert house.follow(PATH, admin, {"last-event-id": last}).status == 400


def test_a_quiet_stream_gives_signs_of_life(house: House, admin: str) -> None:
    """Proxies close what is silent."""
    stream = house.follow(PATH, admin)
    house.clock.turn(50.0)
    assert stream.received.splitlines().count(b":") == 3
    stream.leave()


def test_a_stream_survives_the_stores_absence(house: House, admin: str) -> None:
    """It goes on when the store is back, and nothing is lost."""
    stream = house.follow(PATH, admin)
    house.store.is_away = True
    house.clock.turn(10.0)
    house.store.is_away = False
    tell(house, Event("contested", APPID))
    house.clock.turn(3.0)
    assert [one["code"] for one in stream.events] == ["contested"]
    stream.leave()


def test_what_a_stream_could_not_read_it_reads_when_the_store_is_back(house: House, admin: str) -> None:
    """Also when nothing new happens that would remind it."""
    tell(house, Event("contested", APPID))
    house.clock.turn(1.5)
    house.store.is_away = True
    stream = house.follow(PATH, admin, {"last-event-id": "0"})
    house.clock.turn(5.0)
    assert (stream.status, stream.events) == (200, [])
    house.store.is_away = False
    house.clock.turn(1.5)
    assert [one["code"] for one in stream.events] == ["contested"]
    stream.leave()


def test_a_stream_ends_when_the_hub_does(house: House, admin: str) -> None:
    """Properly, so that the client connects to another replica."""
    stream = house.follow(PATH, admin)
    house.draining.set()
    house.clock.turn(1.5)
    assert stream.ended


def test_a_stream_ends_with_its_key(house: House, admin: str, reader: str) -> None:
    """A revoked key hears nothing more."""
    stream = house.follow(PATH, reader)
    house.clock.turn(40.0)
    assert not stream.ended
    house.call("DELETE", f"/v1/keys/{reader[3:11]}", admin)
    house.clock.turn(1.5)
    assert stream.ended


def test_who_leaves_a_stream_leaves_nothing_behind(house: House, admin: str) -> None:
    """A browser tab that is closed is no task of ours any more."""
    stream = house.follow(PATH, admin)
    stream.leave()
    assert stream.task.done()
