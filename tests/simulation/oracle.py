"""The oracle: it knows the world's truth, and checks the invariants of docs/correctness.md after every step."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.simulation.surroundings import EPOCH, STORE_TIMEOUT
from tests.simulation.weather import PLATFORM_FAULTS, REPLICA_FAULTS, STORE_FAULTS, STORE_WEATHER, Fault
from zhongkong.core.claim import Claim, Claimed
from zhongkong.core.command import Applied, Command
from zhongkong.core.freshness import Freshness, judge_freshness, threats
from zhongkong.core.handing import Handed
from zhongkong.core.issuing import daily_budget, overlap_of
from zhongkong.core.model import DEADLINE, LANDING, LEASE, Mode, NotSent, Outcome, Record, Slot, hash_value
from zhongkong.core.ports import Order
from zhongkong.core.retry import FORCE_APART, FORCES_A_DAY, FORCES_A_DAY_BY_REJECT, shanghai_day
from zhongkong.core.rounds import hold_end, needs_mint
from zhongkong.core.save import Save
from zhongkong.errors import AccountUnknown, StoreError, ZhongkongError
from zhongkong.keeper.keeper import Rejected, RejectOutcome
from zhongkong.wechat.answers import Granted, Refused

if TYPE_CHECKING:
    from tests.simulation.universe import Replica, Universe

LONG_AGO = -1e9
STORY_KEPT = 300


class Violation(Exception):
    """An invariant does not hold. `rule` is its number in docs/correctness.md."""

    def __init__(self, rule: str, text: str) -> None:
        super().__init__(f"invariant {rule}: {text}")
        self.rule = rule


@dataclass(eq=False)
class Flight:
    """One request of ours for a credential, from its departure on. Instants are virtual seconds."""

    replica: Replica
    process: object
    slot: Slot
    order: Order
    ends: bool
    left: float
    answered: float | None = None
    outcome: Outcome | None = None
    saved: bool = False


@dataclass
class Watched:
    """What the oracle remembers of a slot."""

    flights: list[Flight] = field(default_factory=list)
    """Those of the present generation, and older ones that may still be under way."""
    gone_at: dict[str, float] = field(default_factory=dict)
    """When a value's replacement or condemnation was saved, by sha-256."""
    promised: dict[str, float] = field(default_factory=dict)
    """Until when a value was promised to somebody, by the value."""
    aside_at: float = LONG_AGO
    """The last reject, stranger, force or change of the account: promises made before it are off."""
    changed_at: float = LONG_AGO
    day: int = 0
    departures: int = 0
    rejects: int = 0
    forces: list[float] = field(default_factory=list)
    unwell_since: float | None = None


class Oracle:
    """Watches every step of a universe; the first violation ends the run."""

    def __init__(self, universe: Universe) -> None:
        self._universe = universe
        self._slots: defaultdict[Slot, Watched] = defaultdict(Watched)
        self._troubled_at = LONG_AGO
        """The last time anything was wrong with the platform, the store or a replica."""
        self._store_troubled_at = LONG_AGO
        self._stepped_at = LONG_AGO
        self._store_left_at = LONG_AGO
        self._platform_troubled_at = LONG_AGO
        self.violation: BaseException | None = None
        self.story: deque[str] = deque(maxlen=STORY_KEPT)
        self.mints = 0
        self.reads = 0

    # --- the story

    def note(self, what: object) -> None:
        """Remember what happened, for the story of a failure."""
        self.story.append(f"{self._universe.loop.time():14.3f}  {what}")
        if isinstance(what, Fault):
            self._trouble(what)

    def fail(self, rule: str, text: str) -> None:
        """Report a violation; the run ends after this step."""
        self.blame(Violation(rule, f"t={self._universe.loop.time():.3f} {text}"))

    def blame(self, error: BaseException) -> None:
        """Report whatever must not happen."""
        if self.violation is None:
            self.violation = error
            self.note(f"!!! {error}")
            self._universe.loop.stop()

    def raise_failures(self) -> None:
        """Raise what was found, an exception that nobody caught included."""
        failures = self._universe.loop.failures
        if self.violation is None and failures:
            error = failures[0].get("exception")
            self.violation = error if error is not None else RuntimeError(str(failures[0].get("message")))
        if self.violation is not None:
            raise self.violation
        if self._universe.plan.calm:
            self._judge_calm()
            if self.violation is not None:
                raise self.violation

    # --- weather

    def _trouble(self, fault: Fault) -> None:
        now = self._now()
        self._troubled_at = now
        if fault.kind == "store_away" and not self._universe.is_on("store_away"):
            self._store_left_at = now
        if fault.kind not in STORE_FAULTS + REPLICA_FAULTS:
            self._platform_troubled_at = now
        if fault.kind in STORE_FAULTS or fault.kind in STORE_WEATHER:
            self._store_troubled_at = now
        if fault.kind in ("stranger", "revoked", "storm", "secret_reset", "foreign_reject", "buggy_rejecter"):
            self._slots[self._universe.slots[fault.slot]].aside_at = now

    def cleared(self, fault: Fault) -> None:
        """The weather is over."""
        self._trouble(fault)
        self.note(f"over: {fault.kind}")

    def disturbed(self, replica: Replica, how: str) -> None:
        """A replica was killed, stopped or resumed."""
        replica.disturbed_at = self._troubled_at = self._now()
        self.note(f"{how}: replica {replica.index}")

    def store_stepped(self, seconds: float) -> None:
        """The store's clock stepped: what was promised and stamped before is off."""
        self._stepped_at = self._store_troubled_at = self._now()
        self.note(f"the store's clock stepped by {seconds}")
        for watched in self._slots.values():
            watched.aside_at = self._now()

    def changed(self, slot: Slot) -> None:
        """The account was changed."""
        watched = self._slots[slot]
        watched.aside_at = watched.changed_at = self._troubled_at = self._now()
        self.note(f"account changed: {slot.appid}")

    def store_wait(self) -> float:
        """Return how long a caller may be kept by the store alone."""
        if self._now() - self._store_troubled_at < 30.0 or self._universe.is_store_troubled:
            return 60.0
        return 0.0

    def _now(self) -> float:
        return self._universe.loop.time()

    # --- flights

    def departs(self, replica: Replica, order: Order, *, ends: bool) -> Flight:
        """A request leaves. Invariants 2 and 3."""
        now = self._now()
        slot = Slot(order.account.appid)
        watched = self._slots[slot]
        flight = Flight(replica, replica.process, slot, order, ends, now)
        if ends:
            self._judge_alone(watched, flight)
        watched.flights = [one for one in watched.flights if one.left > now - 600 or not one.saved]
        watched.flights.append(flight)
        self.mints += 1
        self._count(watched, flight)
        self.note(
            f"replica {replica.index} asks for {slot.appid[-4:]} ({order.mode}{' forced' if order.force else ''})"
        )
        return flight

    def _judge_alone(self, watched: Watched, flight: Flight) -> None:
        for other in watched.flights:
            is_under_way = other.answered is None and flight.left < other.left + DEADLINE
            if other.ends and is_under_way and not (self._is_excused(other) or self._is_excused(flight)):
                self.fail("2", f"two requests that end a token are under way for {flight.slot.appid}")

    def _is_excused(self, flight: Flight) -> bool:
        """Say whether the flight's holder was disturbed, lost the store, or the store's clock stepped meanwhile."""
        since = flight.left - LEASE
        return (
            flight.replica.process is not flight.process
            or flight.replica.disturbed_at >= since
            or self._store_troubled_at >= since - 60.0
            or self._universe.is_store_troubled
            or self._slots[flight.slot].changed_at >= since
        )

    def _count(self, watched: Watched, flight: Flight) -> None:
        now = self._universe.store.clock
        record = self._universe.store.peek(flight.slot)
        if self._store_troubled_at > self._now() - 60.0 or self._universe.is_store_troubled:
            return  # asks while the store is away are excepted, and so is the day that it is away on
        if shanghai_day(now) != watched.day:
            watched.day, watched.departures, watched.rejects = shanghai_day(now), 0, 0
        watched.departures += 1
        life = record.credential.life if record.credential else self._universe.plan.expires_in
        budget = daily_budget(flight.order.account, flight.order.mode, life)
        if watched.departures > budget and self._stepped_at < self._now() - 86_400:
            self.fail("3", f"{watched.departures} departures on one day for {flight.slot.appid}, {budget} allowed")
        if flight.order.force:
            here = self._now()
            watched.forces = [one for one in watched.forces if one > here - 86_400]
            if watched.forces and here - watched.forces[-1] < FORCE_APART - 1.0 and self._stepped_at < here - 120.0:
                self.fail("3", f"two forces within {here - watched.forces[-1]:.1f} s for {flight.slot.appid}")
            watched.forces.append(here)
            if (
                len([one for one in watched.forces if shanghai_day(EPOCH + one) == shanghai_day(EPOCH + here)])
                > FORCES_A_DAY
            ):
                self.fail("3", f"more than {FORCES_A_DAY} forces a day for {flight.slot.appid}")

    def ip_of(self, flight: object) -> str:
        """Return the address from which a flight of ours arrives."""
        assert isinstance(flight, Flight)
        return flight.replica.ip

    def landed(self, flight: object, body: dict[str, Any]) -> None:
        """A request of ours was answered by the platform: did it end what was promised?"""
        assert isinstance(flight, Flight)
        self.note(
            f"lands from replica {flight.replica.index}: {body.get('errcode', 'a token')} for {flight.slot.appid[-4:]}"
        )
        if self._now() > flight.left + DEADLINE + LANDING or flight.replica.disturbed_at >= flight.left:
            self._slots[flight.slot].aside_at = self._now()
            return
        self._judge_promises(flight.slot)

    def _judge_promises(self, slot: Slot) -> None:
        """Invariant 1, its last sentence: who uses what he was handed as long as announced is never refused."""
        watched = self._slots[slot]
        now = self._now()
        for value, until in list(watched.promised.items()):
            issued = self._universe.world.find(value)
            if until < now or issued is None:
                del watched.promised[value]
                continue
            if issued.dies_at - EPOCH < until - 1e-6 and not self._is_aside(watched, issued.issued_at):
                self.fail(
                    "1",
                    f"a token of {slot.appid} dies {until - issued.dies_at + EPOCH:.1f} s before what was announced",
                )

    def _is_aside(self, watched: Watched, issued_at: float) -> bool:
        return watched.aside_at >= issued_at - EPOCH - 60.0

    def lands_not(self, flight: Flight) -> None:
        """Not a byte of it left: it is no departure by the day's budget."""
        watched = self._slots[flight.slot]
        watched.departures = max(0, watched.departures - 1)
        flight.answered = self._now()
        flight.outcome = NotSent("connection refused")

    def answered(self, flight: Flight, outcome: Outcome) -> None:
        """The sender knows what he can know."""
        flight.answered = self._now()
        flight.outcome = outcome
        self.note(f"  replica {flight.replica.index} is answered: {_name(outcome)}")

    def probed(self, appid: str) -> None:
        """A probe was answered."""
        self.note(f"  probe of {appid[-4:]}")

    # --- the store

    def applied(self, command: Command[Any], before: Record, applied: Applied[Any]) -> None:
        """A command took effect."""
        after = applied.record
        if after is before:
            return
        self.note(f"  store: {type(command).__name__} -> {type(applied.answer).__name__} {_state(after)}")
        watched = self._slots[after.slot]
        old, new = before.credential, after.credential
        self._judge_change(command, before, after, applied.answer)
        if old is not None and (new is None or new.sha256 != old.sha256 or (after.condemned and not before.condemned)):
            watched.gone_at.setdefault(old.sha256, self._now())
        if (
            old is not None
            and new is not None
            and old.sha256 == new.sha256
            and before.condemned
            and not after.condemned
        ):
            watched.gone_at.pop(old.sha256, None)
        if after.suspected and not before.suspected:
            watched.aside_at = self._now()
        if after.condemned and not before.condemned:
            watched.aside_at = self._now()
        if after.generation > before.generation:
            self._judge_generation(watched, after)

    def _judge_change(self, command: Command[Any], before: Record, after: Record, answer: object) -> None:
        """What no command may do, whatever brought it about."""
        clock, slot = self._universe.store.clock, after.slot
        old = before.credential
        if old is not None and after.credential is None and not after.removed:
            self.fail("4", f"the credential of {slot.appid} was blanked")
        is_condemned = after.condemned in ("rejected", "probed") and not before.condemned
        if is_condemned and old is not None and self._universe.world.is_alive(old.value, self._universe.now()):
            self.fail("1", f"a live credential of {slot.appid} was condemned")
        if after.suspected and not before.suspected and clock - before.escalated_at < 590.0:
            self.fail("3", f"{slot.appid} was replaced unprobed twice within ten minutes")
        if isinstance(answer, Claimed):
            self._judge_claim(command, before, clock)
        if isinstance(command, Save) and command.account.revision < before.revision and after.retry != before.retry:
            self.fail("2", f"an answer to the former secret of {slot.appid} made its successor wait")

    def _judge_claim(self, command: Command[Any], before: Record, clock: float) -> None:
        if before.retry.next_try_at > clock:
            self.fail(
                "3", f"{before.slot.appid} was claimed {before.retry.next_try_at - clock:.1f} s before its next try"
            )
        old = before.credential
        if old is None or before.condemned or before.suspected or before.attempts or not isinstance(command, Claim):
            return
        earliest = old.expires_at - (0.275 * old.life if old.mode is Mode.CLASSIC else overlap_of(old.life))
        if clock < min(earliest, before.refresh_at) - 1.0:
            self.fail("2", f"{before.slot.appid} was claimed {earliest - clock:.0f} s before it was due")

    def _judge_generation(self, watched: Watched, record: Record) -> None:
        """Invariant 2: one attempt that can end a token per generation, but for those that failed."""
        mine = [one for one in watched.flights if not one.saved]
        granted = [one for one in mine if one.ends and isinstance(one.outcome, Granted)]
        unexcused = [one for one in granted if not self._is_excused(one)]
        if len(unexcused) > 1:
            self.fail(
                "2", f"{len(unexcused)} tokens were granted for generation {record.generation} of {record.slot.appid}"
            )
        for one in mine:
            one.saved = True
        if len(watched.gone_at) > 64:
            for sha in list(watched.gone_at)[:32]:
                del watched.gone_at[sha]

    # --- readers

    def handed(self, replica: Replica, slot: Slot, handed: Handed, seen: int) -> None:
        """A credential was handed out. Invariants 1 and 7."""
        self.reads += 1
        now = self._now()
        watched = self._slots[slot]
        if handed.generation < seen:
            self.fail("7", f"generation {handed.generation} of {slot.appid} after {seen} was seen")
        if handed.expires_in < 0 or handed.refresh_in < 1 or (handed.doubtful and handed.expires_in):
            self.fail("1", f"a promise that makes no sense: {handed!r}")
        issued = self._universe.world.find(handed.value)
        if issued is None or self._universe.now() >= issued.dies_at:
            self._judge_dead(replica, slot, watched, handed)
        elif not handed.doubtful:
            until = now + handed.expires_in
            if issued.dies_at - EPOCH < until - 1e-6 and not self._is_aside(watched, issued.issued_at):
                self.fail(
                    "1", f"{slot.appid}: {handed.expires_in} s announced, {issued.dies_at - EPOCH - now:.1f} s are left"
                )
            watched.promised[handed.value] = max(until, watched.promised.get(handed.value, LONG_AGO))

    def _judge_dead(self, replica: Replica, slot: Slot, watched: Watched, handed: Handed) -> None:
        now = self._now()
        issued = self._universe.world.find(handed.value)
        died_at = issued.dies_at - EPOCH if issued is not None else LONG_AGO
        if handed.doubtful:
            return
        if handed.stale and replica.read_store_at <= max(died_at, watched.gone_at.get(hash_value(handed.value), now)):
            return
        gone_at = watched.gone_at.get(hash_value(handed.value))
        p = self._universe.plan.poll_seconds + 2 * STORE_TIMEOUT + self.store_wait()
        if gone_at is not None and now - gone_at <= p:
            return
        ended_by_us = issued is not None and issued.end == "replaced" and (issued.ended_by or "").startswith("10.0.0.")
        by_age = issued is None or issued.end == "age"
        if gone_at is None and not ended_by_us and not by_age:
            return
        if self._stepped_at > died_at - self._universe.plan.expires_in - 600.0:
            return
        if ended_by_us and any(
            one.replica.disturbed_at >= one.left
            for one in watched.flights
            if abs(one.left - died_at) < 2 * 300 + LANDING
        ):
            return
        why = "of age" if by_age else f"ended by {issued.ended_by}" if issued else "unknown"
        self.fail(
            "1", f"a token of {slot.appid}, dead for {now - died_at:.1f} s ({why}), was handed out by {replica.index}"
        )

    def read_failed(self, replica: Replica, slot: Slot, error: ZhongkongError) -> None:
        """A read ended in an error. Invariant 4, and: a live credential is never withheld."""
        self.note(f"read of {slot.appid[-4:]} at replica {replica.index} failed: {error}")
        if isinstance(error, AccountUnknown) and not self.store_wait():
            self.fail("4", f"{slot.appid} is unknown at replica {replica.index}")
        if self._universe.plan.calm or self._universe.plan.gentle:
            self.fail("4", f"a read of {slot.appid} failed: {error}")
        self._judge_dark(replica, slot, error)
        if isinstance(error, StoreError) or self.store_wait():
            return
        record = self._universe.store.peek(slot)
        credential = record.credential
        if credential is None or record.condemned or self._now() - replica.disturbed_at < 30.0:
            return
        p = self._universe.plan.poll_seconds + 10.0
        is_settled = self._universe.store.clock - record.changed_at > p
        is_good = self._universe.store.clock < credential.expires_at
        if is_good and is_settled and self._universe.world.is_alive(credential.value, self._universe.now()):
            self.fail("4", f"a live credential of {slot.appid} was withheld: {error}")

    def _judge_dark(self, replica: Replica, slot: Slot, error: ZhongkongError) -> None:
        """While the store is away the default mode does not go dark: it is asked on the word of memory."""
        if not self._universe.is_on("store_away") or self._slots[slot].changed_at > self._store_left_at - 7200.0:
            return
        account = self._universe.store._accounts.get(slot.appid)  # noqa: SLF001 (the oracle sees everything)
        record = self._universe.store.peek(slot)
        was_well = record.credential is not None and not record.condemned and record.retry.trouble is None
        is_stable = account is not None and account[0].mode is Mode.STABLE and was_well
        is_known = max(replica.disturbed_at, self._platform_troubled_at) < self._store_left_at - 600.0
        is_known = is_known and replica.read_store_at > self._store_left_at - 60.0  # else others were read from, later
        if is_stable and is_known and record.credential is not None and record.credential.mode is Mode.STABLE:
            self.fail("4", f"the store is away, and {slot.appid} went dark at replica {replica.index}: {error}")

    def rejected(self, replica: Replica, slot: Slot, value: str, result: Rejected, *, was_alive: bool) -> None:
        """A reject was answered. Invariant 1: never the same value as a successor, no life for the long dead."""
        self.note(f"reject at replica {replica.index}: {result.outcome}, was {'alive' if was_alive else 'dead'}")
        is_same = result.handed.value == value
        if result.outcome is RejectOutcome.STILL_VALID and not is_same:
            self.fail("1", "a reject was answered still_valid with another value than it named")
        old, new = self._universe.world.find(value), self._universe.world.find(result.handed.value)
        if old is not None and new is not None and old.mode == new.mode and new.issued_at < old.issued_at:
            self.fail("1", f"a reject for {slot.appid} was answered with a value older than the rejected one")
        if is_same and result.outcome is not RejectOutcome.STILL_VALID:
            self.fail("1", f"a reject was answered {result.outcome} with the very value it named")
        if is_same and not result.handed.doubtful and not was_alive:
            issued = self._universe.world.find(value)
            died_at = issued.dies_at - EPOCH if issued is not None else LONG_AGO
            if self._now() - died_at > 300.0 + 30.0 and self._stepped_at < died_at - 7200:
                self.fail(
                    "1", f"a token of {slot.appid}, dead for {self._now() - died_at:.0f} s, was called still valid"
                )

    def waits_too_long(self, replica: Replica, waited: float) -> None:
        """A caller was kept longer than his patience. Invariant 4."""
        if not self.store_wait():
            self.fail("4", f"a caller waits at replica {replica.index} for {waited:.1f} s")

    # --- audits

    async def audit_for_ever(self) -> None:
        """Look at every slot now and then. Invariant 8."""
        while True:
            await asyncio.sleep(61.0 * max(1, self._universe.plan.accounts / 10))
            if any(replica.is_up for replica in self._universe.replicas):
                for slot in self._universe.slots:
                    self._audit(slot)

    def _audit(self, slot: Slot) -> None:
        record, clock, now = self._universe.store.peek(slot), self._universe.store.clock, self._now()
        watched = self._slots[slot]
        freshness = judge_freshness(record, clock)
        is_waiting = max(record.retry.next_try_at, hold_end(record)) > clock - DEADLINE
        is_unwell = needs_mint(record, clock) or freshness is Freshness.DOUBTFUL
        if not is_unwell or is_waiting or self._is_weather() or self._is_spent(record, clock):
            watched.unwell_since = None
            return
        watched.unwell_since = watched.unwell_since or now
        bound = LEASE + DEADLINE + 65.0
        if len(threats(record)) > 1 and record.credential is not None:
            overlap = overlap_of(record.credential.life)
            bound += DEADLINE + LANDING + 1.1 * overlap
        if now - max(watched.unwell_since, self._troubled_at) > bound:
            self.fail("8", f"{slot.appid} is {freshness.value} since {watched.unwell_since:.0f}: {_state(record)}")

    def _is_weather(self) -> bool:
        kinds = (*PLATFORM_FAULTS, *STORE_WEATHER)
        return any(self._universe.is_on(kind) for kind in kinds) or any(
            not one.is_up for one in self._universe.replicas
        )

    def _is_spent(self, record: Record, clock: float) -> bool:
        spent = record.spent
        is_forced_out = record.insist and spent.forces_by_reject >= FORCES_A_DAY_BY_REJECT
        return spent.day == shanghai_day(clock) and (spent.total >= 40 or is_forced_out)

    def _judge_calm(self) -> None:
        """In a world where nothing goes wrong every token that was issued is a generation."""
        for slot in self._universe.slots:
            account = self._universe.world.account(slot.appid)
            made = account.classic.made + account.stable.made
            record = self._universe.store.peek(slot)
            if made != record.generation:
                self.fail("2", f"{made} tokens were issued for {record.generation} generations of {slot.appid}")


def _name(outcome: Outcome) -> str:
    if isinstance(outcome, Refused):
        return f"refused {outcome.errcode}"
    return "granted" if isinstance(outcome, Granted) else f"{type(outcome).__name__} ({outcome.why})"


def _state(record: Record) -> str:
    marks = [f"g{record.generation} v{record.version}"]
    marks += [f"condemned {record.condemned}"] if record.condemned else []
    marks += ["suspected"] if record.suspected else []
    marks += [f"{len(record.attempts)} open"] if record.attempts else []
    marks += [f"retry {record.retry.trouble.state}"] if record.retry.trouble else []
    return " ".join(marks)


__all__ = ["Flight", "Mode", "Oracle", "Violation"]
