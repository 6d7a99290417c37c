"""Both modes of issuing: what is handed out, what it ends, and when each token dies."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.sandbox.caller import APPID, SECRET, START, Caller, build_caller
from zhongkong.sandbox.switches import Switches
from zhongkong.sandbox.tokens import window_of
from zhongkong.sandbox.world import World

DAY = 86_400


@pytest.mark.parametrize(
    ("life", "window"), [(7200, 300), (86_400, 300), (3600, 150), (1200, 50), (60, 2.5), (48, 2), (10, 2), (3, 1.5)]
)
def test_the_overlap_is_the_platforms_300_at_7200_and_shrinks_with_life(life: int, window: float) -> None:
    """A token of a few seconds has to rotate like a real one, or a demo shows something else than production."""
    assert window_of(life) == window


def test_a_token_looks_like_the_platforms(caller: Caller) -> None:
    """Columns and parsers sized by what people recorded must fit."""
    token = caller.classic(START)["access_token"]
    assert re.fullmatch(r"83_[A-Za-z0-9_-]{133}", token)


@pytest.mark.parametrize("length", [32, 157, 512, 2048])
def test_a_token_is_as_long_as_the_account_says(length: int) -> None:
    """The platform reserves the right to make them longer."""
    caller = build_caller(token_length=length)
    assert len(caller.classic(START)["access_token"]) == len(caller.stable(START)["access_token"]) == length


def test_a_success_is_a_token_and_its_life_and_nothing_else(caller: Caller) -> None:
    """The platform's token answers carry no errcode; a client that demands one must fail here too."""
    assert caller.classic(START).keys() == caller.stable(START).keys() == {"access_token", "expires_in"}


def test_the_same_seed_gives_the_same_tokens_and_rids() -> None:
    """A simulation is replayed by its seed."""
    one, twin, other = (build_caller(seed=seed) for seed in (7, 7, 8))
    for now in (START, START + 1):
        assert one.classic(now) == twin.classic(now) != other.classic(now)
        assert one.classic(now, secret="x") == twin.classic(now, secret="x") != other.classic(now, secret="x")


class TestClassic:
    """GET /cgi-bin/token."""

    def test_each_call_makes_a_new_token_of_full_life(self, caller: Caller) -> None:
        """That is why there has to be one place that asks."""
        bodies = [caller.classic(START + 2 * i) for i in range(5)]
        assert len({body["access_token"] for body in bodies}) == 5
        assert {body["expires_in"] for body in bodies} == {7200}

    def test_the_former_token_lives_for_the_overlap_and_not_an_instant_longer(self, caller: Caller) -> None:
        """Old and new both work for five minutes around a refresh."""
        former = caller.classic(START)["access_token"]
        caller.classic(START + 1000)
        assert caller.world.is_alive(former, START + 1299.999)
        assert not caller.world.is_alive(former, START + 1300)

    def test_the_former_token_does_not_outlive_its_own_life(self, caller: Caller) -> None:
        """An overlap is no extension; it died of age, so it is 42001 and not 40001."""
        former = caller.classic(START)["access_token"]
        caller.classic(START + 7100)
        assert caller.world.dies_at(former) == START + 7200
        assert caller.probe(former, START + 7199) == 0
        assert caller.probe(former, START + 7200) == 42001

    def test_a_third_fetch_within_the_overlap_ends_the_oldest_at_once(self, caller: Caller) -> None:
        """Two slots: current and one before it. Two hubs that fight blind each other so."""
        first, second, third = (caller.classic(START + i)["access_token"] for i in (0, 10, 20))
        assert [caller.world.is_alive(token, START + 20) for token in (first, second, third)] == [False, True, True]
        assert caller.world.dies_at(first) == START + 20
        assert caller.probe(first, START + 20) == 40001

    def test_by_switch_each_replaced_token_lives_its_own_overlap_out(self) -> None:
        """Some developers measured that; nobody knows."""
        caller = build_caller(switches=Switches(classic_third_fetch="all_overlap"))
        tokens = [caller.classic(START + i)["access_token"] for i in (0, 10, 20)]
        assert [caller.world.dies_at(token) for token in tokens] == [START + 310, START + 320, START + 7220]

    def test_a_token_that_was_replaced_stays_replaced_when_its_life_would_be_over(self, caller: Caller) -> None:
        """A death is final: its answer does not change afterwards."""
        former = caller.classic(START)["access_token"]
        caller.classic(START + 10)
        assert caller.probe(former, START + 400) == caller.probe(former, START + 9000) == 40001

    def test_by_switch_a_replaced_token_is_42001(self) -> None:
        """One page of the platform says 42001 for both; a token that was revoked is 40001 all the same."""
        caller = build_caller(switches=Switches(replaced_token="42001"))
        former, current = (caller.classic(START + i)["access_token"] for i in (0, 1))
        caller.world.revoke(current, START + 2)
        assert (caller.probe(former, START + 301), caller.probe(current, START + 301)) == (42001, 40001)

    def test_who_ended_a_token_is_known(self, caller: Caller) -> None:
        """An oracle has to tell the hub's own mints from a stranger's."""
        first = caller.classic(START, ip="9.9.9.9")["access_token"]
        caller.classic(START + 1, ip="8.8.8.8")
        issued = caller.world.find(first)
        assert issued is not None
        assert (issued.ip, issued.end, issued.ended_by) == ("9.9.9.9", "replaced", "8.8.8.8")


class TestStable:
    """POST /cgi-bin/stable_token in normal mode."""

    def test_repeats_one_token_with_the_whole_seconds_that_remain(self, caller: Caller) -> None:
        """Whoever computes its end as now + 7200 is wrong."""
        first = caller.stable(START)
        assert first["expires_in"] == 7200
        assert caller.stable(START + 1000.25) == first | {"expires_in": 6199}

    def test_is_the_same_until_just_before_its_last_window(self, caller: Caller) -> None:
        """So 300 or more is what the platform ever announces."""
        token = caller.stable(START)["access_token"]
        assert caller.stable(START + 6899.5) == {"access_token": token, "expires_in": 300}
        renewed = caller.stable(START + 6900)
        assert renewed["access_token"] != token
        assert renewed["expires_in"] == 7200

    def test_renewal_in_the_window_leaves_the_former_its_rest(self, caller: Caller) -> None:
        """Old and new both work for the five minutes."""
        former = caller.stable(START)["access_token"]
        current = caller.stable(START + 7000)["access_token"]
        assert caller.world.is_alive(former, START + 7199)
        assert caller.probe(former, START + 7200) == 42001
        assert caller.world.dies_at(current) == START + 14_200

    def test_is_isolated_from_classic_in_both_directions(self, caller: Caller) -> None:
        """That is why a hub in stable mode breaks no older system with the same secret."""
        stable = caller.stable(START)["access_token"]
        classic = [caller.classic(START + i)["access_token"] for i in range(10)][-1]
        assert caller.world.dies_at(stable) == START + 7200
        for i in range(4):
            caller.stable(START + 100 + 60 * i, force_refresh=True)
        assert caller.world.dies_at(classic) == START + 9 + 7200

    def test_a_token_never_asked_for_again_simply_ages(self, caller: Caller) -> None:
        """After it a normal call begins anew."""
        token = caller.stable(START)["access_token"]
        assert caller.stable(START + 9000)["access_token"] != token

    def test_a_revoked_token_is_not_repeated(self, caller: Caller) -> None:
        """It is repeated while it is valid."""
        token = caller.stable(START)["access_token"]
        assert caller.world.revoke(token, START + 5)
        assert caller.stable(START + 5)["access_token"] != token

    def test_by_switch_a_revoked_token_is_repeated_until_it_is_forced(self) -> None:
        """A hub that only ever asks in normal mode would stay blind here."""
        caller = build_caller(switches=Switches(revoked_stable="same"))
        first = caller.stable(START)
        caller.world.revoke(first["access_token"], START + 5)
        assert caller.stable(START + 10) == first | {"expires_in": 7190}
        assert caller.probe(first["access_token"], START + 10) == 40001
        assert caller.stable(START + 11, force_refresh=True)["access_token"] != first["access_token"]

    @pytest.mark.parametrize("life", [2, 3, 5, 60])
    def test_a_short_life_never_announces_nothing(self, life: int) -> None:
        """A client takes 0 for a broken answer; the shortest life still has a whole second to give."""
        caller = build_caller(expires_in=life)
        assert all(caller.stable(START + i / 16)["expires_in"] >= 1 for i in range(life * 40))


class TestForce:
    """POST /cgi-bin/stable_token with force_refresh."""

    def test_gives_a_new_token_and_leaves_the_former_its_overlap(self, caller: Caller) -> None:
        """One forced refresh alone does not stop a leaked token."""
        former = caller.stable(START)["access_token"]
        forced = caller.stable(START + 100, force_refresh=True)
        assert forced["access_token"] != former
        assert forced["expires_in"] == 7200
        assert caller.world.dies_at(former) == START + 400

    def test_two_of_them_kill_a_leaked_token_at_once(self, caller: Caller) -> None:
        """The platform's own drill for a leak."""
        leaked = caller.stable(START)["access_token"]
        caller.stable(START + 100, force_refresh=True)
        caller.stable(START + 130, force_refresh=True)
        assert caller.world.dies_at(leaked) == START + 130

    def test_within_30_seconds_of_the_last_nothing_is_refreshed(self, caller: Caller) -> None:
        """No error: the current token comes back with what remains."""
        forced = caller.stable(START, force_refresh=True)
        assert caller.stable(START + 29.9, force_refresh=True) == forced | {"expires_in": 7170}
        assert caller.stable(START + 30, force_refresh=True)["access_token"] != forced["access_token"]

    def test_one_that_came_too_early_does_not_put_off_the_next(self, caller: Caller) -> None:
        """The gap counts from the last that refreshed, else an impatient caller would wait for ever."""
        forced = caller.stable(START, force_refresh=True)
        for i in range(1, 30):
            caller.stable(START + i, force_refresh=True)
        assert caller.stable(START + 30, force_refresh=True)["access_token"] != forced["access_token"]

    def test_twenty_a_day_and_then_the_current_one(self, caller: Caller) -> None:
        """A storm of forced refreshes ends there."""
        bodies = [caller.stable(START + 60 * i, force_refresh=True) for i in range(21)]
        assert len({body["access_token"] for body in bodies}) == 20
        assert bodies[20]["access_token"] == bodies[19]["access_token"]
        assert caller.world.account(APPID).stable.forced == 20

    def test_the_day_is_shanghais(self, caller: Caller) -> None:
        """Midnight there is 16:00 UTC."""
        midnight = START - (START + 8 * 3600) % DAY + DAY
        for i in range(20):
            caller.stable(midnight - 1200 + 60 * i, force_refresh=True)
        last = caller.stable(midnight - 0.1, force_refresh=True)["access_token"]
        assert caller.stable(midnight, force_refresh=True)["access_token"] != last

    def test_by_switch_the_21st_is_refused(self) -> None:
        """It is not documented; 45009 is likely."""
        caller = build_caller(switches=Switches(force_over_quota="45009"))
        bodies = [caller.stable(START + 60 * i, force_refresh=True) for i in range(21)]
        assert bodies[20]["errcode"] == 45009
        assert "access_token" in caller.stable(START + 3000)

    def test_the_gap_is_a_switch(self) -> None:
        """A test of many forced refreshes must not need hours."""
        caller = build_caller(switches=Switches(force_gap_seconds=1))
        assert caller.stable(START, force_refresh=True) != caller.stable(START + 1, force_refresh=True)


class TestPeople:
    """What the account's owner does."""

    def test_a_reset_secret_refuses_the_old_one_and_leaves_the_tokens(self, caller: Caller) -> None:
        """A hub with the old secret lives on what it has."""
        token = caller.classic(START)["access_token"]
        fresh = caller.world.reset_secret(APPID, START + 1)
        assert caller.classic(START + 2)["errcode"] == 40125
        assert caller.world.is_alive(token, START + 2)
        assert caller.classic(START + 2, secret=fresh)["expires_in"] == 7200

    def test_by_switch_a_reset_ends_the_tokens(self) -> None:
        """Nobody wrote down whether it does."""
        caller = build_caller(switches=Switches(reset_ends_tokens=True))
        tokens = [caller.classic(START)["access_token"], caller.stable(START)["access_token"]]
        caller.world.reset_secret(APPID, START + 1)
        assert [caller.probe(token, START + 1) for token in tokens] == [40001, 40001]

    def test_revoke_all_ends_every_living_token_and_only_those(self, caller: Caller) -> None:
        """What was dead keeps its own death."""
        former, current = (caller.classic(START + 400 * i)["access_token"] for i in range(2))
        stable = caller.stable(START)["access_token"]
        caller.world.revoke_all(APPID, START + 1000)
        assert [caller.world.dies_at(token) for token in (former, current, stable)] == [
            START + 700,
            START + 1000,
            START + 1000,
        ]

    def test_a_changed_life_is_that_of_tokens_to_come(self, caller: Caller) -> None:
        """What was announced stays true."""
        token = caller.stable(START)["access_token"]
        caller.world.account(APPID).set_expires_in(60)
        assert caller.world.dies_at(token) == START + 7200
        assert caller.stable(START + 1)["access_token"] == token
        assert caller.classic(START + 1)["expires_in"] == 60

    @pytest.mark.parametrize("wrong", [{"expires_in": 1}, {"expires_in": 86_401}, {"token_length": 31}, {"kind": "x"}])
    def test_an_account_that_cannot_be_is_not_added(self, wrong: dict[str, int]) -> None:
        """A life of one second leaves nothing to announce; a refused account must leave nothing behind."""
        world = World()
        with pytest.raises(ValueError, match=r"expires_in|token_length|kind"):
            world.add_account("wx1", "s", **wrong)  # type: ignore[arg-type]
        assert not world.accounts

    def test_an_appid_is_added_once_and_asked_for_by_name(self, world: World) -> None:
        """Silently replacing an account would lose its tokens."""
        with pytest.raises(ValueError, match=APPID):
            world.add_account(APPID, "other")
        with pytest.raises(LookupError, match="wxnobody"):
            world.account("wxnobody")

    def test_a_removed_account_takes_its_tokens_along(self, caller: Caller) -> None:
        """They would belong to nobody."""
        token = caller.stable(START)["access_token"]
        caller.world.remove_account(APPID)
        assert (caller.probe(token, START), caller.stable(START)["errcode"]) == (40001, 40013)

    def test_reset_forgets_everything_and_repeats_nothing(self, caller: Caller) -> None:
        """A token of before must not come true again."""
        before = caller.stable(START)["access_token"]
        caller.world.reset()
        caller.world.add_account(APPID, SECRET)
        assert caller.stable(START)["access_token"] != before
        assert caller.world.find(before) is None

    def test_no_repr_shows_a_secret_or_a_token(self, caller: Caller) -> None:
        """A failing test prints them into logs that are kept."""
        token = caller.classic(START)["access_token"]
        shown = repr(caller.world.account(APPID)) + repr(caller.world.find(token))
        assert token not in shown
        assert caller.world.account(APPID).secret not in shown


@given(life=st.integers(2, 86_400), rounds=st.integers(100, 300))
def test_the_memory_of_a_world_does_not_grow(life: int, rounds: int) -> None:
    """Years of simulation have to fit; what is forgotten is dead and 40001 like any unknown string."""
    caller = build_caller(expires_in=life)
    caller.world.account(APPID).set_quota("/cgi-bin/token", 10**9)
    first = caller.classic(START)["access_token"]
    for i in range(1, rounds):
        caller.classic(START + i * life)
        caller.stable(START + i * life)
    assert len(caller.world.issued(APPID)) == 128
    assert caller.world.account(APPID).classic.made == rounds
    assert not caller.world.is_alive(first, START)
    assert caller.world.dies_at(first) is None
    assert caller.probe(first, START + rounds * life) == 40001


def test_a_living_token_is_never_forgotten() -> None:
    """However many newer ones there are."""
    caller = build_caller(switches=Switches(classic_third_fetch="all_overlap"))
    tokens = [caller.classic(START + i)["access_token"] for i in range(200)]
    assert all(caller.world.is_alive(token, START + 199) for token in tokens)
    caller.classic(START + 1000)
    assert len(caller.world.issued(APPID)) == 64
