"""The oracle: it knows the world's truth, and checks the invariants of docs/correctness.md after every step.

It is told what happens and passes it on to its judges: `promises` (1, 4, 7), `spending` (2, 3), `lineage` (2, 3),
`answers` (1), `audits` (8). They remember in a `ledger` and reckon by an arithmetic of their own.
"""

from __future__ import annotations

from collections import defaultdict, deque
from typing import TYPE_CHECKING, Any, TypeGuard

from tests.simulation.answers import Answers, Complaint, Demand
from tests.simulation.audits import Audits
from tests.simulation.families import NO_SUCH_TOKEN, is_ticket, mode_of, name_of, route_of
from tests.simulation.ledger import CLOCK_STEPPED, LONG_AGO, Aside, Flight, Troubles, Watched
from tests.simulation.lineage import Lineage
from tests.simulation.promises import Promises
from tests.simulation.spending import Spending
from tests.simulation.weather import Fault
from tests.simulation.zeal import Zeal
from zhongkong.core.change import Restamp
from zhongkong.core.claim import Claim, Claimed
from zhongkong.core.command import Applied, Command
from zhongkong.core.handing import Handed
from zhongkong.core.model import Account, Ambiguous, NotSent, Outcome, Record, Slot
from zhongkong.core.ports import Order
from zhongkong.core.reject import EndProbe, ProbeNow
from zhongkong.core.save import Failed, GiveBack, LeaseLost, Save
from zhongkong.errors import ZhongkongError
from zhongkong.keeper.keeper import Rejected
from zhongkong.wechat.answers import Granted, Refused
from zhongkong.wechat.errcodes import ProbeVerdict

if TYPE_CHECKING:
    from tests.simulation.universe import Replica, Universe

STORY_KEPT = 300


class Violation(Exception):
    """An invariant does not hold. `rule` is its number in docs/correctness.md."""

    def __init__(self, rule: str, text: str) -> None:
        super().__init__(f"invariant {rule}: {text}")
        self.rule = rule


class Oracle:
    """Watches every step of a universe; the first violation ends the run."""

    def __init__(self, universe: Universe) -> None:
        self.universe = universe
        self.slots: defaultdict[Slot, Watched] = defaultdict(Watched)
        self.troubles = Troubles()
        self.stepped_at = self.stepped_back_at = self.store_lost_at = LONG_AGO
        """When the store's clock stepped, when it stepped back, and when the store was made anew."""
        self.stepped_back_by = 0.0
        self.violation: BaseException | None = None
        self.story: deque[str] = deque(maxlen=STORY_KEPT)
        self.mints = 0
        self.reads = 0
        self._promises = Promises(self)
        self._spending = Spending(self)
        self._lineage = Lineage(self)
        self._answers = Answers(self, self._spending)
        self.zeal = Zeal(self)
        self._audits = Audits(self, self._spending, self.zeal)

    def now(self) -> float:
        """Return the virtual time."""
        return self.universe.loop.time()

    # --- the story

    def note(self, what: object) -> None:
        """Remember what happened, for the story of a failure."""
        self.story.append(f"{self.now():14.3f}  {what}")

    def fail(self, rule: str, text: str) -> None:
        """Report a violation; the run ends after this step."""
        self.blame(Violation(rule, f"t={self.now():.3f} {text}"))

    def blame(self, error: BaseException) -> None:
        """Report whatever must not happen."""
        if self.violation is None:
            self.violation = error
            self.note(f"!!! {error}")
            self.universe.loop.stop()

    def raise_failures(self) -> None:
        """Raise what was found, an exception that nobody caught included."""
        failures = self.universe.loop.failures
        if self.violation is None and failures:
            error = failures[0].get("exception")
            self.violation = error if error is not None else RuntimeError(str(failures[0].get("message")))
        if self.violation is None and self.universe.plan.calm:
            self._audits.judge_calm()
        if self.violation is not None:
            raise self.violation

    # --- weather

    def struck(self, fault: Fault) -> None:
        """Something goes wrong."""
        self.note(fault)
        self.troubles.begin(fault, self.universe.slots[fault.slot], self.now())

    def cleared(self, fault: Fault) -> None:
        """The weather is over."""
        self.note(f"over: {fault.kind}")

    def disturbed(self, replica: Replica, how: str) -> None:
        """A replica was killed, stopped or resumed."""
        replica.disturbed_at = self.now()
        self.note(f"{how}: replica {replica.index}")

    def store_stepped(self, seconds: float) -> None:
        """The store's clock stepped: what was promised before is off."""
        self.stepped_at = self.now()
        if seconds < 0:
            self.stepped_back_at, self.stepped_back_by = self.now(), -seconds
        self.note(f"the store's clock stepped by {seconds}")
        for watched in self.slots.values():
            watched.asides.append(Aside(self.now(), CLOCK_STEPPED))

    def store_lost(self) -> None:
        """The store is another one: what not every replica knew may be lost."""
        self.store_lost_at = now = self.now()
        self.note("the store was lost")
        for slot, watched in self.slots.items():
            watched.absent, watched.absent_at = True, now
            known = [replica.knew(slot) for replica in self.universe.replicas if not replica.process.dead]
            if min(known, default=LONG_AGO) <= watched.written_at:
                watched.lost_at = now
                watched.asides.append(Aside(now, "the store was lost"))

    def account_put(self, old: Account | None, new: Account) -> None:
        """An account was added or changed."""
        now = self.now()
        for watched in map(self.slots.__getitem__, self.universe.families[new.appid]):
            if watched.absent:
                watched.absent, watched.absent_at = False, now
            if old is None or new.revision != old.revision:
                watched.changed_at = now
                watched.asides.append(Aside(now, "the account was changed"))
        self.note(f"account put: {new.appid} {new.mode} r{new.revision}")

    def account_removed(self, appid: str) -> None:
        """An account is gone."""
        now = self.now()
        for watched in map(self.slots.__getitem__, self.universe.families[appid]):
            watched.absent, watched.absent_at, watched.changed_at = True, now, now
            watched.asides.append(Aside(now, "the account was removed"))
        self.note(f"account removed: {appid}")

    def is_spent(self, slot: Slot) -> bool:
        """Say whether the day forbids what would renew the slot."""
        account = self.universe.store.kept_account(slot.appid)
        return account is None or self._spending.forbids(
            slot, mode_of(slot, account), is_test=account.is_test, asked_for=True, forced=False
        )

    # --- what a replica can know

    def lag(self, replica: Replica) -> float:
        """Return how old what a replica knows may be while it does not say `stale`."""
        poll, now = self.universe.plan.poll_seconds, self.now()
        longest = 2 * poll + 1.0
        is_quiet = (
            now - max(self.troubles.store_until(replica), replica.disturbed_at, self.store_lost_at) > longest + 6.0
        )
        return poll + 0.2 if is_quiet else longest + 0.1

    def clock_error(self, replica: Replica) -> float:
        """Return by how much a replica may be wrong about the store's time."""
        is_quiet = self.now() - self.troubles.store_until(replica) > 30.0
        return 0.1 if is_quiet else 4.0

    def store_wait(self, replica: Replica) -> float:
        """Return how long a caller may be kept by the store alone."""
        is_quiet = self.now() - max(self.troubles.store_until(replica), self.store_lost_at) > 30.0
        return 0.0 if is_quiet else 60.0

    # --- requests to the platform

    def departs(self, replica: Replica, order: Order, fence: str) -> Flight:
        """A request leaves, under this fence or on memory's word. Invariants 2 and 3."""
        self.mints += 1
        self.zeal.did(replica, "ask")
        forced = " forced" if order.force else ""
        slot = Slot(order.account.appid, order.kind)
        self.note(f"replica {replica.index} asks for {name_of(slot)} ({order.mode}{forced})")
        flight = self._spending.departs(replica, slot, order, fence)
        self._lineage.departs(flight)
        return flight

    def landed(self, flight: Flight, body: dict[str, Any]) -> None:
        """A request of ours was answered by the platform: did it end what was promised?"""
        now, watched, errcode = self.now(), self.slots[flight.slot], body.get("errcode")
        flight.landed_at = now
        self.note(f"lands from replica {flight.replica.index}: {errcode or 'granted'} for {name_of(flight.slot)}")
        if errcode and errcode not in NO_SUCH_TOKEN[route_of(flight.slot)]:
            watched.refused_at = now
        self._promises.ended_by(flight.slot, flight)
        self._promises.judge_promises(flight.slot)

    def meddled(self, slot: Slot) -> None:
        """Somebody else asked the platform for a token of this account, or ended one."""
        self.slots[slot].meddled_at = self.now()
        self._promises.ended_by(slot, None)

    def lands_not(self, flight: Flight) -> None:
        """Not a byte of it left."""
        flight.answered = self.now()
        flight.outcome = NotSent("connection refused")

    def answered(self, flight: Flight, outcome: Outcome) -> None:
        """The sender knows what he can know."""
        flight.answered = self.now()
        flight.outcome = outcome
        self.note(f"  replica {flight.replica.index} is answered: {_name(outcome)}")

    def probe_departs(self, replica: Replica, slot: Slot) -> None:
        """A probe leaves."""
        self.zeal.did(replica, "probe")
        self.slots[slot].probing += 1
        self.slots[slot].probed_at = self.now()
        self.note(f"replica {replica.index} probes {name_of(slot)}")
        if is_ticket(slot):
            self.fail("3", f"a ticket of {slot.appid} was probed")

    def probe_ends(self, replica: Replica, slot: Slot, verdict: ProbeVerdict | None) -> None:
        """A probe was answered or not; without a verdict its sender went away."""
        watched = self.slots[slot]
        watched.probing -= 1
        watched.probed_at = self.now()
        if verdict is ProbeVerdict.UNKNOWN:
            watched.unknown_at = self.now()
        if verdict is ProbeVerdict.ALIVE:
            replica.found_alive[slot] = self.now()
        self.note(f"  replica {replica.index} is told of {name_of(slot)}: {verdict}")

    # --- the store

    def applied(self, replica: Replica | None, command: Command[Any], before: Record, applied: Applied[Any]) -> None:
        """A command took effect."""
        after, answer, watched = applied.record, applied.answer, self.slots[before.slot]
        self._lineage.judge_caller(command)
        if after.version == before.version:
            return
        now = self.now()
        watched.written_at = now
        told = f"{type(command).__name__} -> {type(answer).__name__}"
        self.note(f"  store: {name_of(before.slot)} {told} {_state(after)}")
        self._judge_change(command, before, after)
        if isinstance(answer, ProbeNow):
            self.zeal.probe_begins(before.slot, watched)
            watched.prober, watched.probe_began_at = replica, now
        if isinstance(answer, Claimed) and isinstance(command, Claim):
            self._spending.claimed(replica, command, before, after)
        elif isinstance(command, Save):
            self._saved(command, answer)
            if after.retry != before.retry:
                self._spending.judge_wait(command, before, after)
        elif isinstance(command, GiveBack):
            self._given_back(command)
        elif isinstance(command, EndProbe):
            self._probed(command, before)
        elif isinstance(command, Restamp):
            watched.moved_back_at = now
            watched.asides.append(Aside(now, "its record was moved back"))
        self._follow(command, before, after)

    def _saved(self, command: Save, answer: object) -> None:
        watched = self.slots[command.slot]
        attempt = next((one for one in watched.attempts if one.fence == command.fence), None)
        if not isinstance(answer, LeaseLost):
            watched.told.append((self.now(), command.outcome))
        if isinstance(answer, Failed):
            watched.failed_at = self.now()
        if attempt is not None:
            self._spending.saved(command, answer, attempt)

    def _given_back(self, command: GiveBack) -> None:
        self._spending.given_back(command)
        if command.refused is not None:
            self.slots[command.slot].told.append((self.now(), command.refused))

    def _probed(self, command: EndProbe, before: Record) -> None:
        watched = self.slots[command.slot]
        self._spending.probed(command, before)
        watched.probe_ended_at = self.now()
        if command.verdict is not ProbeVerdict.UNKNOWN:
            watched.heard_at = max(watched.heard_at, self.now() - (self.universe.store.clock - command.began_at))
        if command.verdict is ProbeVerdict.ALIVE:
            watched.found_alive = command.sha256, self.now()

    def _follow(self, command: Command[Any], before: Record, after: Record) -> None:
        """Take down what became of the credential."""
        watched, now, old, new = self.slots[after.slot], self.now(), before.credential, after.credential
        if old is not None and (new is None or new.sha256 != old.sha256 or (after.condemned and not before.condemned)):
            watched.gone_at.setdefault(old.sha256, now)
        if new is not None and not after.condemned:
            watched.gone_at.pop(new.sha256, None)  # a stable one may come back when its account does
        for gone in list(watched.gone_at)[:-64]:
            del watched.gone_at[gone]
        if after.condemned and not before.condemned:
            watched.condemned_by = (command.caller or "a child") if _is_report(command) else ""
        if after.suspected and not before.suspected and old is not None:
            watched.suspected_at = now
            if not is_ticket(after.slot):
                watched.asides.append(Aside(now, "two callers insisted"))
                self._answers.escalated(after.slot, old.value, self.universe.store.clock, before.escalated_at)
        if after.suspected:
            watched.unsuspected_at = float("inf")
        elif before.suspected:
            watched.unsuspected_at = now
        if after.generation > before.generation:
            watched.saved_at[after.generation] = now
            self._spending.generation(after)

    def _judge_change(self, command: Command[Any], before: Record, after: Record) -> None:
        """What no command may do, whatever brought it about."""
        slot, old = after.slot, before.credential
        if old is not None and after.credential is None and not after.removed:
            self.fail("4", f"the credential of {slot.appid} was blanked")
        is_condemned = after.condemned in ("rejected", "probed") and not before.condemned
        is_wrong = is_condemned and old is not None and self.universe.is_alive(slot, old.value)
        if is_wrong and _is_report(command) and not command.caller:
            self._lineage.judge_blame(command)
        elif is_wrong:
            self.fail("1", f"a live credential of {slot.appid} was condemned")
        new = after.credential
        if new is not None and not new.value:
            self.fail("1", f"an empty {slot.kind} of {slot.appid} was saved")
        if is_ticket(slot) and after.condemned not in ("", before.condemned, "moved"):
            self.fail("2", f"a {slot.kind} of {slot.appid} was condemned: nothing ends one before its time")
        if isinstance(command, Save) and command.account.revision < before.revision and after.retry != before.retry:
            self.fail("2", f"an answer to the former secret of {slot.appid} made its successor wait")

    # --- callers

    def handed(self, replica: Replica, slot: Slot, handed: Handed, seen: int) -> None:
        """A credential was handed out. Invariants 1 and 7."""
        self.reads += 1
        replica.was_read(slot)
        self._promises.handed(replica, slot, handed, seen)

    def obtains(self, replica: Replica, slot: Slot) -> None:
        """A credential is asked of a keeper, be it by the keeper itself for a child's sake."""
        self._lineage.obtains(replica, slot)

    def read_failed(self, replica: Replica, slot: Slot, error: ZhongkongError, began: float, seen: int) -> None:
        """A read ended in an error. Invariant 4: what lives is not withheld. And the error is true."""
        self.note(f"read of {name_of(slot)} at replica {replica.index} failed: {error}")
        if self.universe.plan.calm or self.universe.plan.gentle:
            self.fail("4", f"a read of {slot.appid} failed: {error}")
        current = self.universe.store.peek(slot).credential
        if current is None or not self._lineage.is_blamed(replica, slot, current.value):
            self._promises.withheld(replica, slot, error, began, seen)
        self._answers.failed(replica, slot, error, began, seen)

    def rejected(self, replica: Replica, slot: Slot, complaint: Complaint, result: Rejected) -> None:
        """A reject was answered. Invariant 1."""
        was = "alive" if complaint.was_alive else "dead"
        self.note(f"reject of {name_of(slot)} at replica {replica.index}: {result.outcome}, was {was}")
        self._answers.rejected(replica, slot, complaint, result)
        self._promises.handed(replica, slot, result.handed, 0)

    def reject_failed(self, replica: Replica, slot: Slot, complaint: Complaint, error: ZhongkongError) -> None:
        """A reject ended in an error: its cause must be true."""
        self.note(f"reject of {name_of(slot)} at replica {replica.index} failed: {error}")
        self._answers.failed(replica, slot, error, complaint.began)

    def news(self, replica: Replica, slot: Slot, before: Handed, after: Handed, began: float, patience: float) -> None:
        """Who waited for news was answered: in time, and not for nothing. Invariant 7: with nothing older."""
        self.reads += 1
        is_same = (after.value, after.doubtful) == (before.value, before.doubtful)
        is_news = not is_same or after.generation != before.generation or after.expires_at < before.expires_at - 1.0
        if not is_news and self.now() - began < patience - 0.01:
            self.fail("4", f"who waits for news of {slot.appid} was sent away without any by {replica.index}")
        current, lag = self.universe.store.peek(slot), self.lag(replica) + 1.0
        saved_at = self.slots[slot].saved_at.get(current.generation, LONG_AGO)
        attempts = [one for one in self.slots[slot].attempts if one.ends]
        is_doubted = any((one.closed_at or self.now()) >= began for one in attempts)
        is_late = current.generation > before.generation and self.now() - max(saved_at, began) > lag
        if is_late and not is_doubted and self._is_undisturbed(replica, saved_at) and not current.condemned:
            self.fail("8", f"generation {current.generation} of {slot.appid} was slept through by {replica.index}")
        shorter_at = max((one.at for one in attempts if one.closed_at is None), default=self.now())
        is_shorter = is_same and after.expires_at < before.expires_at - 1.0
        is_late = is_shorter and not after.doubtful and self.now() - max(shorter_at, began) > lag
        if is_late and self._is_undisturbed(replica, max(shorter_at, began)):
            self.fail("8", f"that less is left of {name_of(slot)} was slept through by {replica.index}")
        self._promises.handed(replica, slot, after, before.generation)

    def _is_undisturbed(self, replica: Replica, since: float) -> bool:
        """Say whether nothing kept the replica from hearing at once of what was saved since then."""
        store_until = max(self.troubles.store_until(replica), self.store_lost_at, self.stepped_at)
        return max(replica.disturbed_at, store_until) < since

    def forced(self, replica: Replica, slot: Slot, demand: Demand, result: Rejected) -> None:
        """A force was answered. Invariant 1."""
        self.note(f"force of {name_of(slot)} at replica {replica.index}: {result.outcome}")
        self._answers.forced(replica, slot, demand, result)
        self._promises.handed(replica, slot, result.handed, 0)

    def force_failed(self, replica: Replica, slot: Slot, demand: Demand, error: ZhongkongError) -> None:
        """A force ended in an error: its cause must be true."""
        self.note(f"force of {name_of(slot)} at replica {replica.index} failed: {error}")
        self._answers.failed(replica, slot, error, demand.began)

    def waits_too_long(self, replica: Replica, waited: float) -> None:
        """A caller was kept longer than his patience. Invariant 4."""
        if not self.store_wait(replica):
            self.fail("4", f"a caller waits at replica {replica.index} for {waited:.1f} s")

    async def audit_for_ever(self) -> None:
        """Look at every slot now and then. Invariant 8."""
        await self._audits.audit_for_ever()


def _is_report(command: Command[Any]) -> TypeGuard[EndProbe]:
    """Say whether somebody saw the credential refused: a caller, or whoever asked for a child with it."""
    return isinstance(command, EndProbe) and command.reason == "rejected"


def _name(outcome: Outcome) -> str:
    if isinstance(outcome, Refused):
        return f"refused {outcome.errcode}"
    why = f" ({outcome.why})" if isinstance(outcome, NotSent | Ambiguous) else ""
    return "granted" if isinstance(outcome, Granted) else f"{type(outcome).__name__}{why}"


def _state(record: Record) -> str:
    marks = [f"g{record.generation} v{record.version}"]
    marks += [f"condemned {record.condemned}"] if record.condemned else []
    marks += ["suspected"] if record.suspected else []
    marks += [f"{len(record.attempts)} open"] if record.attempts else []
    marks += [f"retry {record.retry.trouble.state}"] if record.retry.trouble else []
    return " ".join(marks)
