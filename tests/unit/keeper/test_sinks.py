"""The runner of a sink in virtual time: when it writes, what it writes, how it waits, and what it tells."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from random import Random
from typing import Any

import pytest

from tests.scenario.hub.house import APPID, OTHER, House
from zhongkong.core.command import Step
from zhongkong.core.model import Account, Kind, Mode, NotSent, Record, Slot, hash_value
from zhongkong.core.sinks import Entry, Placed, Placing
from zhongkong.errors import SinkError, SinkRefused, SinkUnavailable, StoreUnavailable
from zhongkong.keeper.sinks import AGAIN, AT_ONCE, LONGEST_WAIT, SinkKeeper

SLOT = Slot(APPID)
AWAY = SinkUnavailable("sink_away", place="redis:6379", why="Connection refused")
REFUSED = SinkRefused("sink_redis_refused", place="redis:6379", why="ERR")


class PlaySink:
    """A place in memory. `fails_with` is what writes bring instead; `delay` is how long each takes."""

    name = "old"

    def __init__(self) -> None:
        self.held: dict[str, Entry] = {}
        self.writes: list[tuple[float, Entry]] = []
        self.tries: list[float] = []
        self.insisted: list[bool] = []
        self.removed: list[str] = []
        self.stranger = ""
        self.ahead = 0
        self.fails_with: SinkError | None = None
        self.refuses: set[str] = set()
        self.delay = 0.01
        self.at_once = 0
        self.busiest = 0

    def takes(self, slot: Slot) -> bool:
        """Take all but one account."""
        return slot.appid != "wxnotours"

    async def write(self, entry: Entry, *, insist: bool = False) -> Placed:
        """Hold it."""
        self.at_once += 1
        self.busiest = max(self.busiest, self.at_once)
        now = asyncio.get_running_loop().time()
        self.tries.append(now)
        try:
            await asyncio.sleep(self.delay)
        finally:
            self.at_once -= 1
        if self.fails_with is not None:
            raise self.fails_with
        if entry.account.appid in self.refuses:
            raise REFUSED
        self.insisted.append(insist)
        if entry.generation < self.ahead and not insist:
            return Placed(Placing.OLDER)
        was = self.held.get(entry.account.appid)
        self.held[entry.account.appid] = entry
        self.writes.append((now, entry))
        is_kept = was is not None and was.generation == entry.generation
        return Placed(Placing.KEPT if is_kept else Placing.WRITTEN, self.stranger)

    async def remove(self, account: Account, kind: Kind, generation: int) -> bool:
        """Let go of what is held of the account."""
        assert kind is Kind.ACCESS_TOKEN
        if self.fails_with is not None:
            raise self.fails_with
        held = self.held.get(account.appid)
        self.removed.append(account.appid)
        if held is None or held.generation > generation:
            return False
        del self.held[account.appid]
        return True

    async def close(self) -> None:
        """There is nothing."""


@dataclass(frozen=True)
class Condemn:
    """What a probe's proof does to a record."""

    slot: Slot

    def apply(self, record: Record, now: float) -> Step[None]:
        """Have the credential be dead by proof."""
        assert now
        return Step(replace(record, condemned="rejected", refresh_at=now), None)


@dataclass(frozen=True)
class Touch:
    """A change of the record that changes nothing about its credential."""

    slot: Slot

    def apply(self, record: Record, now: float) -> Step[None]:
        """Count one more ask."""
        assert now
        return Step(replace(record, asks=record.asks + 1), None)


class Scene:
    """A house with one account, and a sink beside it."""

    def __init__(self) -> None:
        self.house = House()
        self.house.open()
        self.clock = self.house.clock
        self.sink = PlaySink()
        self.outcomes: Counter[str] = Counter()
        self.keeper = SinkKeeper(
            self.sink,
            self.house.store,
            self.house.keeper.known,
            self.clock,
            random=Random(3),
            observe=lambda _, outcome: self.outcomes.update([outcome]),
        )
        self.task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Have the runner run."""
        self.task = self.clock.begin(self.keeper.run())
        self.clock.turn(0.5)

    def close(self) -> None:
        """End it all."""
        if self.task is not None:
            self.task.cancel()
        self.house.close()

    def events(self, code: str) -> list[dict[str, Any]]:
        """Return what was told under this code."""
        kept = self.clock.run(self.house.store.events(limit=1000))
        return [{**one.event.values, "appid": one.event.appid} for one in kept if one.event.code == code]

    def write_times(self) -> list[float]:
        """Return when something was written."""
        return [at for at, _ in self.sink.writes]


@pytest.fixture(name="scene")
def _scene() -> Iterator[Scene]:
    scene = Scene()
    yield scene
    scene.close()


# --- when and what


def test_what_is_there_is_written_at_once_and_again_every_minute(scene: Scene) -> None:
    """So a place that lost everything holds it again within a minute, whatever happened to it."""
    scene.house.add_account()
    scene.begin()
    token = scene.house.token()
    assert scene.sink.held[APPID].value == token
    scene.sink.held.clear()
    scene.clock.turn(AGAIN + 1)
    assert scene.sink.held[APPID].value == token
    scene.clock.turn(600)
    times = scene.write_times()
    assert all(59 <= later - earlier <= 62 for earlier, later in pairwise(times[1:]))
    assert scene.outcomes == {"written": 2, "kept": len(times) - 2}


def test_a_new_credential_is_written_within_two_seconds_of_its_save(scene: Scene) -> None:
    """Old programs hold the former one until they look again."""
    scene.begin()
    scene.house.add_account()
    scene.clock.turn(120)
    first = scene.sink.held[APPID].generation
    scene.clock.run(scene.house.keeper.force(SLOT))
    scene.clock.turn(2)
    assert scene.sink.held[APPID].generation == first + 1
    assert scene.sink.held[APPID].value == scene.house.token()


@pytest.mark.parametrize("mode", [Mode.STABLE, Mode.CLASSIC])
def test_over_six_hours_the_sink_always_holds_what_the_platform_takes_and_for_no_longer(
    scene: Scene, mode: Mode
) -> None:
    """Whoever reads it may use it until it expires there; there is never nothing."""
    scene.house.add_account(mode=mode)
    scene.begin()
    for _ in range(6 * 60):
        scene.clock.turn(60)
        held, now = scene.sink.held[APPID], scene.clock.wall()
        assert scene.house.world.refusal_of(held.value, now) is None
        assert held.expires_at > now
    last = scene.sink.writes[-1][1]
    assert last.generation >= 3
    lived = [entry for _, entry in scene.sink.writes if entry.generation == last.generation - 1]
    assert max(entry.expires_at for entry in lived) <= lived[0].written_at + 7200


def test_what_is_written_is_the_stores_record_not_an_older_one_in_memory(scene: Scene) -> None:
    """This replica's polls fail; another one has renewed. The load for the write is what counts."""
    scene.house.add_account()
    scene.begin()
    record = scene.clock.run(scene.house.store.load(SLOT))
    assert record.credential is not None
    newer = replace(record.credential, generation=9, value="newer", sha256=hash_value("newer"))
    scene.house.store._records[SLOT] = replace(record, generation=9, credential=newer)  # noqa: SLF001 (behind its back)
    scene.clock.turn(AGAIN + 2)
    assert scene.sink.held[APPID].value == "newer"


def test_a_condemned_credential_is_never_written(scene: Scene) -> None:
    """What stands there stays until there is another: with nothing there, old programs would mint."""
    scene.house.add_account()
    scene.begin()
    token = scene.house.token()
    scene.house.world.revoke_all(APPID, scene.clock.wall())
    scene.house.platform.fails_with = NotSent("connect_failed")
    scene.clock.run(scene.house.store.apply([Condemn(SLOT)]))
    written = len(scene.sink.writes)
    scene.clock.turn(AGAIN * 3)
    assert scene.sink.writes[written:] == []
    assert scene.sink.held[APPID].value == token
    scene.house.platform.fails_with = None
    scene.clock.turn(120)
    assert scene.sink.held[APPID].value == scene.house.token() != token


def test_a_removed_account_is_taken_back(scene: Scene) -> None:
    """And nothing more is written of it, until it comes back with a later generation."""
    scene.house.add_account()
    scene.begin()
    generation = scene.sink.held[APPID].generation
    scene.clock.run(scene.house.store.remove_account(APPID))
    scene.clock.turn(3)
    assert scene.sink.held == {}
    assert scene.outcomes["removed"] == 1
    scene.clock.turn(600)
    assert scene.sink.removed == [APPID]
    scene.house.add_account()
    scene.clock.turn(3)
    assert scene.sink.held[APPID].generation > generation


def test_an_account_that_was_removed_while_no_hub_ran_is_taken_back_at_the_start(scene: Scene) -> None:
    """A file would lie there for ever."""
    scene.house.add_account()
    scene.begin()
    late = PlaySink()
    late.held = dict(scene.sink.held)
    scene.clock.run(scene.house.store.remove_account(APPID))
    scene.clock.turn(2)
    started = SinkKeeper(late, scene.house.store, scene.house.keeper.known, scene.clock)
    task = scene.clock.begin(started.run())
    scene.clock.turn(1)
    assert late.held == {}
    task.cancel()


def test_accounts_that_are_not_for_this_sink_are_left_alone(scene: Scene) -> None:
    """A sink may be for some accounts only."""
    scene.house.add_account("wxnotours")
    scene.begin()
    scene.clock.turn(120)
    assert scene.sink.tries == []


# --- failures


def test_a_sink_that_is_away_is_tried_ever_more_slowly_told_once_and_filled_when_it_is_back(scene: Scene) -> None:
    """One event for the cause, one when it is over; and the credential is there within half a minute."""
    scene.house.add_account()
    scene.house.add_account(OTHER)
    scene.sink.fails_with = AWAY
    scene.begin()
    scene.clock.turn(600)
    gaps = [later - earlier for earlier, later in pairwise(scene.sink.tries)]
    assert max(gaps[8:]) <= LONGEST_WAIT + 1
    assert min(gaps[8:]) >= LONGEST_WAIT / 2
    [told] = scene.events("sink_failing")
    assert told == {
        "sink": "old",
        "cause": "sink_away",
        "place": "redis:6379",
        "why": "Connection refused",
        "appid": "",
    }
    assert scene.events("sink_well") == []
    scene.sink.fails_with = None
    scene.clock.turn(LONGEST_WAIT + 1)
    assert set(scene.sink.held) == {APPID, OTHER}
    assert [one["cause"] for one in scene.events("sink_well")] == ["sink_away"]
    scene.sink.fails_with = AWAY
    scene.clock.turn(200)
    assert len(scene.events("sink_failing")) == 2


def test_one_failure_that_heals_is_no_event(scene: Scene) -> None:
    """A restart of Redis would otherwise be two events each time."""
    scene.house.add_account()
    scene.begin()
    scene.sink.fails_with = AWAY
    while scene.outcomes["failed"] == 0:
        scene.clock.turn(0.1)
    scene.sink.fails_with = None
    scene.clock.turn(5)
    assert scene.sink.held
    assert scene.events("sink_failing") == []


def test_what_is_refused_for_one_account_does_not_keep_the_others_waiting(scene: Scene) -> None:
    """A key of another type, a directory that is missing."""
    scene.house.add_account()
    scene.house.add_account(OTHER)
    scene.sink.refuses = {APPID}
    scene.begin()
    scene.clock.turn(300)
    [told] = scene.events("sink_failing")
    assert (told["appid"], told["cause"]) == (APPID, "sink_redis_refused")
    assert len([1 for _, entry in scene.sink.writes if entry.account.appid == OTHER]) >= 5
    scene.sink.refuses = set()
    scene.clock.turn(LONGEST_WAIT + 1)
    assert APPID in scene.sink.held


def test_who_waits_after_a_failure_waits_whatever_changes(scene: Scene) -> None:
    """A storm of rejects writes the record all the time, and must not become a storm at a place that refuses."""
    scene.house.add_account()
    scene.sink.refuses = {APPID}
    scene.begin()
    scene.clock.turn(120)
    tries = len(scene.sink.tries)
    for _ in range(30):
        scene.clock.run(scene.house.store.apply([Touch(SLOT)]))
        scene.clock.turn(1)
    assert len(scene.sink.tries) - tries <= 3


def test_while_nothing_gets_there_one_write_goes_ahead_of_all(scene: Scene) -> None:
    """A thousand accounts are not a thousand connections a second to a server that is down."""
    for number in range(40):
        scene.house.add_account(f"wx{number:04d}")
    scene.begin()
    assert scene.sink.busiest == AT_ONCE
    assert len(scene.sink.held) == 40
    scene.sink.fails_with = AWAY
    scene.clock.turn(AGAIN + 1)
    tries = len(scene.sink.tries)
    scene.clock.turn(60)
    assert len(scene.sink.tries) - tries <= 8
    scene.sink.fails_with = None
    scene.sink.held.clear()
    scene.sink.busiest = 0
    scene.clock.turn(LONGEST_WAIT + 3)
    assert len(scene.sink.held) == 40
    assert scene.sink.busiest == AT_ONCE


def test_a_sink_that_never_answers_is_given_up_and_holds_up_nobody_else(scene: Scene) -> None:
    """Each has a runner of its own; the keeper waits for none."""
    scene.house.add_account()
    other = PlaySink()
    others = SinkKeeper(other, scene.house.store, scene.house.keeper.known, scene.clock)
    scene.sink.delay = 1e6
    task = scene.clock.begin(others.run())
    scene.begin()
    scene.clock.turn(300)
    assert [one["cause"] for one in scene.events("sink_failing")] == ["sink_silent"]
    assert len(other.writes) >= 5
    scene.clock.run(scene.house.keeper.force(SLOT))
    scene.clock.turn(2)
    assert other.held[APPID].value == scene.house.token()
    task.cancel()


def test_without_the_store_nothing_is_written_and_the_sink_is_not_blamed(scene: Scene) -> None:
    """What stands there stands until it expires; when the store is back it is renewed within seconds."""
    scene.house.add_account()
    scene.begin()
    written = len(scene.sink.writes)
    scene.house.store.is_away = True
    scene.clock.turn(300)
    assert len(scene.sink.writes) == written
    scene.house.store.is_away = False
    scene.clock.turn(6)
    assert len(scene.sink.writes) > written
    assert scene.events("sink_failing") == []
    assert scene.outcomes["failed"] == 0


def test_events_that_the_store_did_not_take_are_told_later(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once for a cause means once in the audit log, not once into the void."""
    scene.house.add_account()
    tell = scene.house.store.tell

    async def refuse(_events: object) -> None:
        raise StoreUnavailable("store_unavailable")

    scene.sink.stranger = hash_value("foreign")
    monkeypatch.setattr(scene.house.store, "tell", refuse)
    scene.begin()
    scene.sink.stranger = ""
    monkeypatch.setattr(scene.house.store, "tell", tell)
    scene.clock.turn(AGAIN + 2)
    assert len(scene.events("sink_foreign_writer")) == 1


# --- strangers


def test_a_stranger_is_told_once_for_each_value(scene: Scene) -> None:
    """Who writes every two hours is told every two hours, not every minute."""
    scene.house.add_account()
    scene.sink.stranger = hash_value("foreign")
    scene.begin()
    scene.clock.turn(300)
    [told] = scene.events("sink_foreign_writer")
    assert told == {"sink": "old", "sha256": hash_value("foreign")[:16], "appid": APPID}
    scene.sink.stranger = hash_value("another")
    scene.clock.turn(300)
    assert len(scene.events("sink_foreign_writer")) == 2


def test_who_is_behind_for_a_minute_by_the_stores_own_word_insists(scene: Scene) -> None:
    """A store restored from a backup counts from there; a replica that raced is right again at its next load."""
    scene.house.add_account()
    scene.sink.ahead = 1000
    scene.begin()
    scene.clock.turn(30)
    assert scene.sink.held == {}
    assert not any(scene.sink.insisted)
    scene.clock.turn(AGAIN * 2)
    assert scene.sink.held[APPID].value == scene.house.token()
    assert scene.outcomes["older"] >= 1
