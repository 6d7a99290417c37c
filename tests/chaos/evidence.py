"""What a run leaves behind, to be judged: the platform's truth, what the hub said, and what went wrong when.

Instants are Unix seconds of the machine's clock, which sandbox, hub, store and readers share; spans are seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Token(NamedTuple):
    """One token that the platform issued, and its death as it stands at the end. `end`: age, replaced or revoked."""

    value: str
    appid: str
    mode: str
    issued_at: float
    life: int
    dies_at: float
    end: str
    ip: str
    forced: bool


class Call(NamedTuple):
    """One call that reached the platform. `answered_at`: when its answer left, or the connection was closed under it.

    `answer` is `whole` for an answer that reached the caller as the platform wrote it.
    """

    at: float
    answered_at: float
    appid: str
    path: str
    ip: str
    access_token: str
    force_refresh: bool
    issued: str
    errcode: int | None
    answer: str


class HubEvent(NamedTuple):
    """One entry of the hub's audit log; `at` is the store's clock in the transaction that wrote it."""

    id: int
    at: float
    code: str
    appid: str
    generation: int


class Read(NamedTuple):
    """A read, or the credential in the answer to a reject. `status` 0: no answer came, and `problem` says why.

    `expires_in` is -1 for a 304, which announces nothing anew. `seen` is the generation of the ETag that was sent, and
    `hub` who was asked.
    """

    began: float
    ended: float
    appid: str
    status: int
    problem: str = ""
    value: str = ""
    generation: int = 0
    expires_in: int = -1
    doubtful: bool = False
    stale: bool = False
    seen: int = 0
    hub: str = ""

    @property
    def is_handed(self) -> bool:
        """Say whether a credential was handed out."""
        return bool(self.value)


class Rejected(NamedTuple):
    """A reject of `value`, who made it, and what came of it."""

    caller: str
    value: str
    outcome: str
    read: Read


class Passed(NamedTuple):
    """A call through the gateway with a good virtual token, and what it was answered.

    `status` 0: no answer came, and `said` says why. `errcode` 0: an answer of the platform's, which names `openids`.
    """

    began: float
    ended: float
    appid: str
    status: int
    errcode: int = 0
    said: str = ""
    openids: tuple[str, ...] = ()
    hub: str = ""


class Spell(NamedTuple):
    """Something that went wrong, or that a person did, for a while; to one account and one hub, or to all (empty)."""

    kind: str
    began: float
    ended: float
    appid: str = ""
    told: str = ""
    hub: str = ""


def concerns(spell: Spell, appid: str, hub: str = "") -> bool:
    """Say whether an account and a hub met it; without one, whether any did."""
    return (not appid or spell.appid in ("", appid)) and (not hub or spell.hub in ("", hub))


STALL = "stall"
"""Nobody's doing: the machine had other work for a while."""
PROCESS = frozenset({"kill", "stop", "orphan", STALL})
WIRE = frozenset({"distant", "severed", "silent", "deaf", "half_open", "unacknowledged"})
SERVER = WIRE | {"down", "crash", "readonly"}
STORE = SERVER | {"full", "locked"}
PLATFORM = frozenset({"slow", "late", "lost", "unsaid", "cut", "garbage", "page", "busy", "quota", "barred", "dark"})
CHANGE = frozenset({"mode", "secret"})
"""What makes minting another matter: a claim's lease is void from then on."""


class Weather:
    """All spells of a run."""

    def __init__(self, spells: Iterable[Spell] = ()) -> None:
        self.spells = list(spells)

    def between(
        self, began: float, ended: float, kinds: Iterable[str], appid: str = "", hub: str = ""
    ) -> Iterator[Spell]:
        """Yield the spells of these kinds that touch the span, this account and this hub."""
        wanted = frozenset(kinds)
        for spell in self.spells:
            if spell.began <= ended and spell.ended >= began and spell.kind in wanted and concerns(spell, appid, hub):
                yield spell

    def was(self, began: float, ended: float, kinds: Iterable[str], appid: str = "", hub: str = "") -> bool:
        """Say whether there was such a spell."""
        return any(True for _ in self.between(began, ended, kinds, appid, hub))

    def fair(self, began: float, ended: float, kinds: Iterable[str], hub: str = "") -> float:
        """Return the longest time within the span in which a hub met no such spell; 0 if the span is empty."""
        longest, since = 0.0, began
        for spell in sorted(self.between(began, ended, kinds, hub=hub), key=lambda spell: spell.began):
            longest = max(longest, spell.began - since)
            since = max(since, spell.ended)
        return max(longest, ended - since, 0.0)


@dataclass
class Evidence:
    """Everything that the judge looks at."""

    tokens: dict[str, Token] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    events: list[HubEvent] = field(default_factory=list)
    reads: list[Read] = field(default_factory=list)
    rejects: list[Rejected] = field(default_factory=list)
    passed: list[Passed] = field(default_factory=list)
    openids: dict[str, str] = field(default_factory=dict)
    """The one follower of each account: by him its answers are known."""
    weather: Weather = field(default_factory=Weather)

    @property
    def began(self) -> float:
        """Return when the first read left."""
        return min((read.began for read in self.reads), default=0.0)

    @property
    def rotations(self) -> int:
        """Return how often another credential was handed out than the first of its account."""
        handed = {(read.appid, read.generation) for read in self.reads if read.is_handed}
        return len(handed) - len({appid for appid, _ in handed})


def parse_token(shown: dict[str, Any], appid: str) -> Token:
    """Return a token as the sandbox's control API shows it, which says of what it dies only once it is dead."""
    to_come = "replaced" if shown["dies_at"] < shown["expires_at"] else "age"
    return Token(
        value=shown["access_token"],
        appid=appid,
        mode=shown["mode"],
        issued_at=shown["issued_at"],
        life=shown["life"],
        dies_at=shown["dies_at"],
        end=shown["end"] or to_come,
        ip=shown["ip"],
        forced=shown["forced"],
    )
