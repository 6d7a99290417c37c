"""A token that was refused behind a follower is looked at by its leader, and the leader's word decides."""

from __future__ import annotations

import pytest

from tests.scenario.follow.estate import REJECT, Estate, Hub
from tests.scenario.hub.house import MovableStore
from zhongkong.core.grants import Grant
from zhongkong.core.model import Mode, Trouble


class Two:
    """A leader and a follower with a reader's key, past the first minute."""

    def __init__(self, estate: Estate, mode: Mode = Mode.CLASSIC) -> None:
        self.leader = estate.add_leader(mode=mode)
        self.follower = estate.add_follower(self.leader)
        self.key = self.follower.add_key(Grant.READ)
        estate.turn(130.0)


def reject(hub: Hub, key: str, value: str, address: str = "203.0.113.5") -> tuple[int, dict[str, object]]:
    """Report a token once; return status and body."""
    answer = hub.call("POST", REJECT, key, json={"rejected": value}, address=address)
    return answer.status_code, answer.json()


@pytest.mark.parametrize("mode", [Mode.STABLE, Mode.CLASSIC])
def test_a_dead_token_is_replaced_through_the_follower(estate: Estate, mode: Mode) -> None:
    """One probe and one mint, both the leader's; the caller gets the successor in one answer."""
    two = Two(estate, mode)
    dead = two.follower.token()
    estate.revoke()
    mints, probes = len(two.leader.platform.mints), two.leader.platform.probes
    status, body = reject(two.follower, two.key, dead)
    assert (status, body["outcome"]) == (200, "refreshed")
    assert estate.is_alive(str(body["access_token"]))
    assert body["access_token"] == two.leader.token()
    assert two.leader.platform.probes == probes + 1
    assert len(two.leader.platform.mints) <= mints + 2  # stable: the same value came, so a second one is forced
    assert [kept for kept in two.follower.codes if kept in ("condemned", "foreign_mint")] == ["condemned"]


def test_a_crowd_behind_a_follower_costs_one_question_and_one_mint(estate: Estate) -> None:
    """Two hundred callers report the same dead token at once."""
    two = Two(estate)
    dead = two.follower.token()
    estate.revoke()
    mints = len(two.leader.platform.mints)
    calls = [
        estate.clock.begin(
            two.follower.calling("POST", REJECT, two.key, json={"rejected": dead}, address=f"203.0.113.{one}")
        )
        for one in range(200)
    ]
    estate.turn(5.0)
    answers = [call.result() for call in calls]
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.json()["access_token"] for answer in answers} == {two.leader.token()}
    assert len(estate.asked(two.leader, "POST")) == 1
    assert len(two.leader.platform.mints) == mints + 1


def test_a_good_token_stays(estate: Estate) -> None:
    """The leader found it alive: nothing is minted, and its word holds a while here too."""
    two = Two(estate)
    good, mints = two.follower.token(), len(two.leader.platform.mints)
    for _ in range(5):
        status, body = reject(two.follower, two.key, good)
        assert (status, body["outcome"], body["access_token"]) == (200, "still_valid", good)
    assert len(estate.asked(two.leader, "POST")) == 1
    assert len(two.leader.platform.mints) == mints
    estate.turn(600.0)
    assert two.follower.record.condemned == ""
    assert len(estate.asked(two.leader, "POST")) == 1  # the second look at 310 s is the leader's own
    assert two.leader.platform.probes == 2


def test_what_the_leader_replaced_meanwhile_is_fetched_at_once(estate: Estate) -> None:
    """Somebody else reported it over there: here it is old, and the caller need not wait for our next question."""
    two = Two(estate)
    old = two.follower.token()
    estate.revoke()
    assert reject(two.leader, two.leader.add_key(Grant.READ), old)[1]["outcome"] == "refreshed"
    assert two.follower.token() == old
    status, body = reject(two.follower, two.key, old)
    assert (status, body["outcome"], body["access_token"]) == (200, "refreshed", two.leader.token())
    assert estate.is_alive(str(body["access_token"]))


def test_a_token_of_before_is_answered_here(estate: Estate) -> None:
    """The leader need not be asked about what the follower itself has replaced."""
    two = Two(estate)
    old = two.follower.token()
    estate.revoke()
    reject(two.follower, two.key, old)
    asked = len(estate.asked(two.leader, "POST"))
    assert reject(two.follower, two.key, old)[1]["outcome"] == "already_newer"
    assert len(estate.asked(two.leader, "POST")) == asked


def test_a_value_that_is_not_ours_makes_nobody_a_stranger(estate: Estate) -> None:
    """It may be the leader's next one, which a business server read over there a moment ago."""
    two = Two(estate)
    for number in range(5):
        assert reject(two.follower, two.key, f"{number:0>64}")[1]["outcome"] == "already_newer"
        estate.turn(90.0)
    assert not {"foreign_token", "contested"} & set(two.follower.codes)


def test_who_rejects_good_tokens_behind_a_follower_makes_no_other_wait(estate: Estate) -> None:
    """The leader is told who complains: its patience with one of our callers is none with all of us."""
    two = Two(estate)
    for _ in range(40):
        reject(two.follower, two.key, two.follower.token(), address="203.0.113.66")
        estate.turn(61.0)
    reject(two.follower, two.key, two.follower.token(), address="203.0.113.66")
    estate.turn(20.0)
    dead = two.follower.token()
    estate.revoke()
    status, body = reject(two.follower, two.key, dead, address="203.0.113.7")
    assert (status, body["outcome"]) == (200, "refreshed")
    assert estate.is_alive(str(body["access_token"]))


def test_two_who_insist_behind_a_follower_are_two_to_the_leader(estate: Estate) -> None:
    """Its rule for nodes that disagree holds for them: replaced unprobed, once."""
    two = Two(estate)
    value = two.follower.token()
    for _ in range(4):
        for address in ("203.0.113.6", "203.0.113.7"):
            reject(two.follower, two.key, value, address=address)
            estate.turn(11.0)
    assert "replaced_unprobed" in two.leader.codes
    assert "replaced_unprobed" not in two.follower.codes
    estate.turn(65.0)
    assert two.follower.token() == two.leader.token() != value


def test_without_its_leader_a_reject_is_an_error_that_says_when_to_come_again(estate: Estate) -> None:
    """Nothing is condemned on a caller's word."""
    two = Two(estate)
    value = two.follower.token()
    two.leader.is_gone = True
    answer = two.follower.call("POST", REJECT, two.key, json={"rejected": value})
    assert answer.status_code == 503
    assert answer.json()["cause"] == "leader_away"
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert two.follower.token() == value


def test_a_leaders_replica_that_is_behind_hands_out_nothing_older(estate: Estate) -> None:
    """The follower says which generation it has seen, so what another replica replaced does not come back."""
    two = Two(estate)
    dead = two.follower.token()
    replica = two.leader.reads_come_to = two.leader.add_replica()
    estate.revoke()
    status, body = reject(two.follower, two.key, dead)
    assert (status, body["outcome"], body["access_token"]) == (200, "refreshed", two.leader.token())
    assert replica.token() == two.leader.token()


def test_a_leaders_replica_without_its_store_does_not_bring_the_former_token_back(estate: Estate) -> None:
    """It is asked for the generation that was seen, has it not, and says so; the token at hand goes on."""
    two = Two(estate, Mode.CLASSIC)
    reader = estate.seat_reader(two.follower, two.key)
    replica = two.leader.add_replica()
    old = two.follower.token()
    estate.revoke()
    reject(two.follower, two.key, old)
    two.leader.reads_come_to = replica
    replica.store = replica.keeper._store = MovableStore(estate.clock.wall)  # noqa: SLF001
    replica.store.is_away = True
    estate.turn(600.0)
    assert two.follower.token() == two.leader.token() != old
    assert two.follower.record.generation == 2
    assert two.follower.record.retry.trouble == Trouble("leader_unwell", errmsg="store_unavailable")
    assert reader.failed == []


def test_a_follower_does_not_force(estate: Estate) -> None:
    """Its key over there only reads; the answer says where to go."""
    two = Two(estate)
    answer = two.follower.call("POST", REJECT, two.follower.add_key(Grant.FORCE, Grant.READ), json={"force": True})
    assert (answer.status_code, answer.json()["code"]) == (409, "force_at_leader")
