"""What the oracle remembers of a world: of its slots, of every request, and of what was wrong with whom.

Instants are virtual seconds unless a name says otherwise; `LONG_AGO` stands for never.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from tests.simulation.families import is_ticket
from tests.simulation.weather import PLATFORM_FAULTS, REPLICA_FAULTS, STORE_WEATHER, TICKET_FAULTS, Fault
from zhongkong.core.model import Mode, NotSent, Outcome, Slot
from zhongkong.wechat.answers import Refused

if TYPE_CHECKING:
    from tests.simulation.universe import Replica
    from zhongkong.core.ports import Order

LONG_AGO = -1e9


class Life(NamedTuple):
    """How a token lives and dies, as the platform knows it."""

    mode: str
    born_at: float
    dies_at: float
    expires_at: float
    """When it would have died of age."""
    end: str
    """`age`, `replaced`, `revoked`, or `moved`: the account lives elsewhere now."""
    issued_at: str = ""
    """The base URL of the platform that issued it."""


@dataclass(eq=False)
class Attempt:
    """A claim that the store granted: open until its own answer is saved."""

    slot: Slot
    fence: str
    replica: Replica | None
    process: object
    mode: Mode
    ends: bool
    cause: str
    """Why it was needed: `due`, `reject`, `key`."""
    generation: int
    """What it is to surpass."""
    at: float
    clock: float
    """The store's time then."""
    trouble: int | None = None
    """The errcode of the failure before, if that was the last that was heard."""
    flight: Flight | None = None
    closed_at: float | None = None


@dataclass(eq=False)
class Flight:
    """One request of ours for a credential, from its departure on. Without an attempt it left on memory's word."""

    replica: Replica
    process: object
    slot: Slot
    order: Order
    ends: bool
    left: float
    attempt: Attempt | None = None
    landed_at: float | None = None
    answered: float | None = None
    outcome: Outcome | None = None
    saved: bool = False

    @property
    def may_bring(self) -> bool:
        """Say whether it may have brought, or may bring yet, what is not in the store."""
        return not self.saved and not isinstance(self.outcome, Refused | NotSent)

    @property
    def needed_at(self) -> float:
        """When it was decided."""
        return self.attempt.at if self.attempt is not None else self.left


class Promise(NamedTuple):
    """What a reader was told: that he may use a value until `until`, by a replica that knew all up to `knew`.

    Of the store's clock it knew what its last poll had told, at `polled`.
    """

    until: float
    knew: float
    polled: float
    made_at: float


CLOCK_STEPPED = "the clock stepped"


class Aside(NamedTuple):
    """Something after which what was announced before may be off: a force, an escalation, a changed account."""

    at: float
    why: str


@dataclass
class Watched:
    """What the oracle remembers of a slot."""

    flights: list[Flight] = field(default_factory=list)
    """Those of the present generation, and older ones that may still be under way."""
    attempts: list[Attempt] = field(default_factory=list)
    """Claims that are open, or were closed lately."""
    promises: dict[str, list[Promise]] = field(default_factory=dict)
    """By value: the later a promise was made, the shorter it is."""
    gone_at: dict[str, float] = field(default_factory=dict)
    """When a value's replacement or condemnation was saved, by sha-256."""
    shortened: dict[str, tuple[float, Flight | None]] = field(default_factory=dict)
    """By value: its end, and which request of ours brought it about; None for somebody else, now or before."""
    asides: deque[Aside] = field(default_factory=lambda: deque(maxlen=32))
    brought: dict[str, float] = field(default_factory=dict)
    """By value: when the last request left that brought it."""
    brought_again: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Of a value that was brought before: when it was saved again, and when the request had left that brought it."""
    saved_at: dict[int, float] = field(default_factory=dict)
    """When a generation was saved."""
    written_at: float = LONG_AGO
    moved_back_at: float = LONG_AGO
    """The last time its record was moved back, after the store's clock."""
    changed_at: float = LONG_AGO
    """The last change of the account that matters to minting, its removal included."""
    meddled_at: float = LONG_AGO
    """The last time that somebody else ended a token, or made one."""
    absent: bool = True
    """No account in the store."""
    absent_at: float = 0.0
    """The last time there was none."""
    told: deque[tuple[float, Outcome]] = field(default_factory=lambda: deque(maxlen=16))
    """What the record took in of the last requests, and when."""
    condemned_by: str = ""
    """Whose reject led to the proof, if one did."""
    lost_at: float = LONG_AGO
    """The store was lost, and with it something that not every replica knew."""
    suspected_at: float = LONG_AGO
    unsuspected_at: float = LONG_AGO
    failed_at: float = LONG_AGO
    """The last time the record was told of a failure, and of the wait after it."""
    refused_at: float = LONG_AGO
    """The last time the platform refused a request for a reason of its own."""
    probed_at: float = LONG_AGO
    probing: int = 0
    prober: Replica | None = None
    """Who took the right to probe last, and when; and when the record was told what came of a probe."""
    probe_began_at: float = LONG_AGO
    probe_ended_at: float = LONG_AGO
    heard_at: float = LONG_AGO
    """When the last call left that the platform answered, a request or a probe, as far as the record was told."""
    found_alive: tuple[str, float] = ("", LONG_AGO)
    """The sha-256 of what a probe found alive the last time, and when the record was told so."""
    unknown_at: float = LONG_AGO
    """The last probe that nobody answered."""
    unwell_since: float | None = None
    well_until: float = LONG_AGO
    """By when the slot must be well again."""


class Troubles:
    """What was wrong with whom, and until when."""

    def __init__(self) -> None:
        self._since: dict[tuple[str, object], float] = {}
        self._until: dict[tuple[str, object], float] = {}

    def begin(self, fault: Fault, slot: Slot, now: float) -> None:
        """Weather strikes."""
        until = now + fault.lasts
        if fault.kind in STORE_WEATHER:
            self._add("store", fault.who if fault.kind in REPLICA_FAULTS else None, now, until)
        elif fault.kind in PLATFORM_FAULTS:
            self._add("platform", None, now, until)
        elif fault.kind in TICKET_FAULTS:
            self._add("platform", "tickets", now, until)
        elif fault.kind == "not_listed":
            self._add("platform", slot, now, until)

    def _add(self, what: str, whom: object, now: float, until: float) -> None:
        before = self._until.get((what, whom), LONG_AGO)
        if before < now:
            self._since[what, whom] = now
        self._until[what, whom] = max(until, before)

    def store_since(self, replica: Replica) -> float:
        """Return since when the way to the store is bad for this replica, or was the last time."""
        return max(self._since.get(("store", whom), LONG_AGO) for whom in (None, replica.index))

    def store_until(self, replica: Replica | None = None) -> float:
        """Return until when the way to the store is or was bad, for this replica; without one, for all of them."""
        own = LONG_AGO if replica is None else self._until.get(("store", replica.index), LONG_AGO)
        return max(own, self._until.get(("store", None), LONG_AGO))

    def any_store_until(self) -> float:
        """Return until when the way to the store is or was bad for anybody."""
        return max((until for (what, _), until in self._until.items() if what == "store"), default=LONG_AGO)

    def platform_until(self, slot: Slot) -> float:
        """Return until when the platform is or was bad to this slot."""
        of_kind = "tickets" if is_ticket(slot) else None
        return max(self._until.get(("platform", whom), LONG_AGO) for whom in (None, slot, of_kind))
