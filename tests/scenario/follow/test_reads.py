"""Who reads from a hub that follows gets what its leader has, promised no further."""

from __future__ import annotations

import pytest

from tests.scenario.follow.estate import READ, SLOT, Estate
from tests.scenario.hub.house import APPID
from zhongkong.core.grants import Grant
from zhongkong.core.issuing import ISSUING
from zhongkong.core.model import Mode

HOURS = 7


def test_a_follower_hands_on_its_leaders_token_and_asks_the_platform_nothing(estate: Estate) -> None:
    """Same reads, no AppSecret."""
    leader = estate.add_leader()
    follower = estate.add_follower(leader)
    mints = len(leader.platform.mints)
    there = leader.call("GET", READ, leader.add_key(Grant.READ)).json()
    here = follower.call("GET", READ, follower.add_key(Grant.READ)).json()
    assert here["access_token"] == there["access_token"]
    assert there["expires_in"] - 2 <= here["expires_in"] <= there["expires_in"]
    assert len(leader.platform.mints) == mints
    assert follower.platform.mints == []
    assert (
        follower.call("GET", READ, follower.add_key(Grant.READ), headers={"Accept": "text/plain"}).text
        == leader.token()
    )


def test_three_environments_share_an_appid_and_no_secret(estate: Estate) -> None:
    """One hub, one key per environment: each can be taken away without the others noticing."""
    hub = estate.add_leader()
    made = {name: hub.make_key(Grant.READ, name=name, appids=(APPID,)) for name in ("dev", "test", "prod")}
    read = {name: hub.call("GET", READ, text).json()["access_token"] for name, (_, text) in made.items()}
    assert set(read.values()) == {hub.token()}
    admin = hub.add_key(Grant.ADMIN)
    assert hub.call("DELETE", f"/v1/keys/{made['dev'][0].id}", admin).status_code == 204
    estate.turn(2.0)
    assert hub.call("GET", READ, made["dev"][1]).status_code == 401
    assert hub.call("GET", READ, made["prod"][1]).json()["access_token"] == read["prod"]
    for name in ("test", "prod"):  # and where the network is cut, each environment has a hub of its own
        cut_off = estate.add_follower(hub, f"hub-of-{name}", made[name][1])
        assert cut_off.token() == hub.token()
    assert len({one.token() for one in estate.hubs.values()}) == 1
    assert len(estate.world.issued(APPID)) == 1


@pytest.mark.parametrize("mode", [Mode.STABLE, Mode.CLASSIC])
def test_through_hours_of_rotations_no_reader_of_a_follower_is_refused(estate: Estate, mode: Mode) -> None:
    """Nor fails to read, nor sees a generation fall; and what the follower asks stays far within its budget."""
    leader = estate.add_leader(mode=mode)
    follower = estate.add_follower(leader)
    readers = [estate.seat_reader(follower, follower.add_key(Grant.READ), every) for every in (4.0, 7.0)]
    estate.turn(HOURS * 3600.0)
    for reader in readers:
        assert reader.used > HOURS * 3600.0 / 8
        assert (reader.refused, reader.failed, reader.marks) == ([], [], set())
        assert reader.generations == sorted(reader.generations)
    assert readers[0].generations[-1] == leader.record.generation >= 4
    asks = len(estate.asked(leader))
    assert HOURS * 58 < asks < ISSUING[Mode.FOLLOW].daily_budget * HOURS / 24 / 2
    assert not {"foreign_mint", "mint_failed", "contested"} & set(follower.codes)


def test_what_a_follower_announces_is_never_more_than_its_leader_did(estate: Estate) -> None:
    """Looked at every 17 s through a rotation, whatever the latency of the line."""
    leader = estate.add_leader(mode=Mode.CLASSIC)
    estate.latency = 0.7
    follower = estate.add_follower(leader)
    for _ in range(500):
        estate.turn(17.0)
        there, here = leader.keeper.peek(SLOT), follower.keeper.peek(SLOT)
        assert there is not None
        assert here is not None
        issued = next(one for one in estate.world.issued(APPID) if one.value == here.value)
        assert here.expires_at <= issued.expires_at
        if here.value == there.value:
            assert here.expires_in <= there.expires_in
        else:  # the leader has rotated since: an overlap is left, and the follower hears of it in time
            assert estate.clock.wall() + here.expires_in <= leader.record.changed_at + 300.0
    assert leader.record.generation > 1


def test_a_rotation_reaches_the_last_reader_of_a_chain_before_the_former_token_ends(estate: Estate) -> None:
    """Two followers behind each other, and a reader who asks as late as he may: a minute is left for his call."""
    leader = estate.add_leader(mode=Mode.CLASSIC)
    middle = estate.add_follower(leader, "middle")
    last = estate.add_follower(middle, "last")
    reader = estate.seat_reader(last, last.add_key(Grant.READ), every=1.0)
    slowest = 0.0
    for _ in range(5):
        former = leader.record.generation
        estate.turn(leader.record.refresh_at - estate.clock.wall() - 1.0)
        while leader.record.generation == former:
            estate.turn(1.0)
        rotated_at = estate.clock.boot()
        while reader.generations[-1] == former:
            estate.turn(1.0)
        slowest = max(slowest, estate.clock.boot() - rotated_at)
    assert (reader.refused, reader.failed) == ([], [])
    assert reader.generations == sorted(reader.generations)
    assert 10.0 < slowest < 300.0 - 60.0


def test_a_follower_of_short_lived_tokens_keeps_up(estate: Estate) -> None:
    """A demo's tokens live a minute: spans shrink with them."""
    estate.world.account(APPID).expires_in = 60
    leader = estate.add_leader(mode=Mode.CLASSIC)
    follower = estate.add_follower(leader)
    reader = estate.seat_reader(follower, follower.add_key(Grant.READ), every=0.5)
    estate.turn(1800.0)
    assert (reader.refused, reader.failed) == ([], [])
    assert reader.generations[-1] >= leader.record.generation - 1 > 20
