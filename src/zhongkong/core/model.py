"""What the keeper keeps: accounts, slots, credentials and the record of a slot.

Everything here is a frozen value. Instants are on the store's clock (seconds since the Unix epoch, as a float) and
spans are seconds, unless a name says otherwise; nothing here reads a clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple, TypeAlias
from zlib import crc32

from zhongkong.wechat.answers import Granted, Refused
from zhongkong.wechat.errcodes import ProbeVerdict

Instant: TypeAlias = float
"""A moment on the store's clock, in seconds since the Unix epoch."""
Seconds: TypeAlias = float

NEVER: Instant = float("-inf")

LEASE: Seconds = 20.0
"""How long a claim keeps others away. Never extended: whoever needs longer has lost it."""
DEADLINE: Seconds = 10.0
"""What a request to the platform may take, from the first name look-up to the last byte of the body."""
LANDING: Seconds = 60.0
"""How long after its deadline a request that we gave up may still reach the platform."""
PAST_KEPT = 20
"""How many former values of a slot are remembered, by their sha-256."""


class Kind(StrEnum):
    """What the platform grants and lets expire."""

    ACCESS_TOKEN = "access_token"


class AccountKind(StrEnum):
    """What an appid stands for. Test accounts (接口测试号) are official accounts."""

    OFFICIAL = "official"
    MINIPROGRAM = "miniprogram"


class Mode(StrEnum):
    """How a credential is issued; `core.issuing` says what follows from it."""

    STABLE = "stable"
    CLASSIC = "classic"


class Slot(NamedTuple):
    """The place that one credential fills. Leases, generations and jitter belong to slots."""

    appid: str
    kind: Kind = Kind.ACCESS_TOKEN


class Secret:
    """A text that must not be seen: `repr`, `str` and formatting hide it; `reveal()` is easy to search for."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text itself. Call it where it leaves for the platform or goes under the seal, nowhere else."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(…)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __bool__(self) -> bool:
        return bool(self._text)


@dataclass(frozen=True, slots=True)
class Account:
    """One appid with its secret and what was decided for it. `revision` counts the changes that matter to minting."""

    appid: str
    kind: AccountKind
    secret: Secret
    mode: Mode = Mode.STABLE
    base_url: str = "https://api.weixin.qq.com"
    is_test: bool = False
    on_contest: Mode = Mode.STABLE
    name: str = ""
    declared: bool = False
    revision: int = 1

    def mints_otherwise_than(self, old: Account) -> bool:
        """Say whether minting is another matter than with `old`: then the revision grows and the slots follow."""
        return (self.kind, self.secret, self.mode, self.base_url) != (old.kind, old.secret, old.mode, old.base_url)

    def lives_elsewhere_than(self, old: Account) -> bool:
        """Say whether a credential issued for `old` is no credential of this account."""
        return (self.kind, self.base_url) != (old.kind, old.base_url)


class Attempt(NamedTuple):
    """A request for a credential that was claimed and whose own answer is not saved yet."""

    fence: str
    left: Instant
    mode: Mode
    ends: bool
    """Whether it may end the credential that is in use: a classic mint, a forced stable one."""


class Lease(NamedTuple):
    """Who refreshes a slot. It holds iff `now < until <= now + LEASE`, so a clock stepped back freezes nothing."""

    fence: str
    until: Instant

    def holds(self, now: Instant) -> bool:
        """Say whether others must stay away at `now`."""
        return now < self.until <= now + LEASE


@dataclass(frozen=True, slots=True)
class Credential:
    """A credential as it was saved."""

    generation: int
    value: str = field(repr=False)
    sha256: str
    mode: Mode
    since: Instant
    """The departure of the request that brought this value for the first time."""
    left: Instant
    """The departure of the request that brought it last (the store's time in the claim's answer)."""
    expires_at: Instant
    """`left` + the `expires_in` announced then."""
    life: int
    """The `expires_in` it was issued with, or for a mode that announces the rest, the longest ever seen (seconds)."""
    fence: str = ""


class Trouble(NamedTuple):
    """Why a slot is not well: what the last refusal or silence was, as the platform told it."""

    state: str
    """`blocked` (a person must act), `quota`, `refused` (passing), `unanswered`, `unreachable`, `too_early`, `budget`,
    `contested`."""
    errcode: int | None = None
    errmsg: str = ""
    rid: str = ""


LONGEST_WAIT: Seconds = 3600.0
"""No retry wait is longer; a later instant was stamped by a clock that has stepped back since, and binds nobody."""


class Retry(NamedTuple):
    """Before `next_try_at` nobody mints, neither rounds nor callers."""

    next_try_at: Instant = NEVER
    tries: int = 0
    trouble: Trouble | None = None

    def holds_until(self, now: Instant) -> Instant:
        """Return until when to wait; `NEVER` for an instant that no wait of ours can have led to."""
        return self.next_try_at if self.next_try_at <= now + LONGEST_WAIT else NEVER


class Probe(NamedTuple):
    """The last probe of the current credential."""

    began_at: Instant = NEVER
    last: ProbeVerdict | None = None
    """What the last one proved; None while it is on its way."""
    answered_at: Instant = NEVER
    """The departure of the last probe that was answered, whatever it was told."""
    alive_at: Instant = NEVER
    """The departure of the last probe that proved this generation alive."""
    again_at: Instant | None = None
    """When to ask once more because a caller insists (the platform's nodes may disagree)."""


class Complaint(NamedTuple):
    """A caller who rejected the current generation and was told that it is still valid."""

    caller: str
    at: Instant
    times: int


class Spent(NamedTuple):
    """Departures of one day by Shanghai's calendar, counted at the claim."""

    day: int = 0
    total: int = 0
    rejects: int = 0
    forces: int = 0
    forces_by_reject: int = 0


class Contest(NamedTuple):
    """What is known of somebody else who mints for the same account."""

    seen: tuple[Instant, ...] = ()
    """When the last three signs were seen."""
    tries: int = 0
    last_mint: Instant = NEVER
    """The last mint that a reject caused while contested, and how many there were."""
    foreign_sha256: str = ""
    """The last foreign value that was reported, so that a storm of it is one event."""


@dataclass(frozen=True, slots=True)
class Record:
    """All that is known of a slot. The store keeps it; the commands of `core` change it."""

    slot: Slot
    revision: int = 0
    version: int = 0
    """Counts the writes of this record."""
    changed_at: Instant = NEVER
    removed: bool = False
    generation: int = 0
    credential: Credential | None = None
    condemned: str = ""
    """Why the credential must not be handed out: `rejected`, `probed`, `moved`; empty while it may."""
    suspected: bool = False
    """Two callers insisted after `still_valid`: replaced unprobed, and doubtful until it is."""
    refresh_at: Instant = NEVER
    asks: int = 0
    """How often in this window the same value came back."""
    insist: bool = False
    """The same value came back although it is dead: the next ask is forced."""
    longest: int = 0
    """The longest `expires_in` ever seen in a mode that announces the rest."""
    attempts: tuple[Attempt, ...] = ()
    lease: Lease | None = None
    retry: Retry = Retry()
    probe: Probe = Probe()
    complaints: tuple[Complaint, ...] = ()
    escalated_at: Instant = NEVER
    last_force: Instant = NEVER
    spent: Spent = Spent()
    contest: Contest = Contest()
    past: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NotSent:
    """Not a byte of the request left: the name, the connection or TLS failed. `why` is safe to show."""

    why: str


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """The platform may or may not have acted: silence, a reset, a 5xx, an unreadable answer. `why` is safe to show."""

    why: str


Outcome: TypeAlias = Granted | Refused | NotSent | Ambiguous


@dataclass(frozen=True, slots=True)
class Event:
    """Something worth remembering. `values` never hold a secret; the catalogue has a text for every `code`."""

    code: str
    appid: str
    values: dict[str, str | int | float] = field(default_factory=dict)


def hash_value(value: str) -> str:
    """Return the sha-256 of a credential's value, lower-case hex: what identifies it without telling it."""
    return sha256(value.encode()).hexdigest()


@lru_cache(maxsize=65536)
def spread(slot: Slot) -> float:
    """Return the slot's own share of every jitter, in [0, 1): the same on all replicas."""
    return crc32(f"{slot.appid}/{slot.kind}".encode()) / 2**32
