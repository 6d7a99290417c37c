"""What the keeper keeps: accounts, slots, credentials and the record of a slot.

Everything here is a frozen value. Instants are on the store's clock (seconds since the Unix epoch, as a float) and
spans are seconds, unless a name says otherwise; nothing here reads a clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from hashlib import sha256
from typing import Any, NamedTuple, TypeAlias
from zlib import crc32

from zhongkong.wechat.answers import Granted, Refused
from zhongkong.wechat.endpoints import PLATFORM_URL, WECOM_URL
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
    JSAPI_TICKET = "jsapi_ticket"
    """What `wx.config` of a page in WeChat is signed with. Source: JS-SDK 使用权限签名算法."""
    WX_CARD_TICKET = "wx_card_ticket"
    """What a page's cards are signed with, the documents' `api_ticket`. Source: 卡券签名."""
    AGENT_CONFIG_TICKET = "agent_config_ticket"
    """What `wx.agentConfig` of a page in WeCom is signed with. Source: JS-SDK 使用权限签名算法 (企业微信)."""


TICKETS = frozenset({Kind.JSAPI_TICKET, Kind.WX_CARD_TICKET, Kind.AGENT_CONFIG_TICKET})
"""Kinds that are asked for with an access_token, and kept only as long as somebody reads them."""


class AccountKind(StrEnum):
    """What an appid stands for. Test accounts (接口测试号) are official accounts."""

    OFFICIAL = "official"
    MINIPROGRAM = "miniprogram"
    WECOM = "wecom"
    """One application (应用) of a corp in WeCom (企业微信): its appid is `corpid:name`, the name is ours."""


KINDS_OF: Mapping[AccountKind, frozenset[Kind]] = {
    AccountKind.OFFICIAL: frozenset({Kind.ACCESS_TOKEN, Kind.JSAPI_TICKET, Kind.WX_CARD_TICKET}),
    AccountKind.MINIPROGRAM: frozenset({Kind.ACCESS_TOKEN, Kind.JSAPI_TICKET, Kind.WX_CARD_TICKET}),
    AccountKind.WECOM: frozenset({Kind.ACCESS_TOKEN, Kind.JSAPI_TICKET, Kind.AGENT_CONFIG_TICKET}),
}
"""What there is to ask for; whether an account may have it, the platform says."""


class Mode(StrEnum):
    """How a credential is issued; `core.issuing` says what follows from it."""

    STABLE = "stable"
    CLASSIC = "classic"
    FOLLOW = "follow"
    """Another hub is asked in the platform's place, with one of its keys: the account's leader."""
    WECOM = "wecom"
    """`gettoken` of WeCom: repeats the same token while it lives. The one mode of its accounts, unless they follow."""
    TICKET = "ticket"
    """How tickets are issued, whatever the account's own mode, unless it follows. No account's own mode."""
    WECOM_TICKET = "wecom_ticket"
    """The same of WeCom's tickets."""


TICKET_MODES = frozenset({Mode.TICKET, Mode.WECOM_TICKET})
ACCOUNT_MODES = tuple(mode for mode in Mode if mode not in TICKET_MODES)
"""What an account's mode can be."""


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
    """One appid with its secret and what was decided for it. `revision` counts the changes that matter to minting.

    An account that follows has its leader's URL for `base_url`, and a key of that hub for `secret`.
    """

    appid: str
    kind: AccountKind
    secret: Secret
    mode: Mode = Mode.STABLE
    base_url: str = PLATFORM_URL
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

    @property
    def asking_mode(self) -> Mode:
        """The mode by which the platform, or the leader, is asked without ending any credential."""
        return Mode.STABLE if self.mode is Mode.CLASSIC else self.mode


def home_of(kind: AccountKind) -> str:
    """Return the base URL of the platform itself for accounts of this kind."""
    return WECOM_URL if kind is AccountKind.WECOM else PLATFORM_URL


def build_account(appid: str, kind: AccountKind, secret: Secret, **given: Any) -> Account:
    """Return an account with the mode and the base URL that its kind has, where they are not given."""
    mode = Mode.WECOM if kind is AccountKind.WECOM else Mode.STABLE
    return Account(appid, kind, secret, **{"mode": mode, "base_url": home_of(kind), **given})


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
    """The departure of the request that brought it last: the store's time in the claim's answer.

    Asked for without the store, it is the earliest that this may have been.
    """
    expires_at: Instant
    """`left` + the `expires_in` announced then."""
    life: int
    """The `expires_in` it was issued with, or for a mode that announces the rest, the longest ever seen (seconds)."""
    fence: str = ""
    doubtful: bool = False
    stale: bool = False
    """How the leader marked it, last time it handed it on."""


class Trouble(NamedTuple):
    """Why a slot is not well: what the last refusal or silence was, as the platform told it."""

    state: str
    """`blocked` (a person must act), `quota`, `refused` (passing), `unanswered`, `unreachable`, `too_early`,
    `token_repeated`, `too_soon`, `budget`, `contested`; of a leader `leader_key`, `leader_account` (a person must act),
    `leader_away`, `leader_unwell`."""
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
    """The last probe of the slot, and what probes proved of the current credential."""

    began_at: Instant = NEVER
    last: ProbeVerdict | None = None
    """What the last one proved; None while it is on its way."""
    answered_at: Instant = NEVER
    """The departure of the last probe that was answered, whatever it was told."""
    alive_at: Instant = NEVER
    """The departure of the last probe that proved this generation alive."""
    again_at: Instant | None = None
    """When to ask once more because a caller insists (the platform's nodes may disagree)."""
    generation: int = 0
    """Which one the last one was sent for."""


class Complaint(NamedTuple):
    """A caller who rejected the current generation and was told that it is still valid."""

    caller: str
    at: Instant
    """When he was told so of the latest verdict."""
    times: int
    """Of how many verdicts he was."""
    again: bool = False
    """He had been told so a moment before."""


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
    """Two callers insisted after `still_valid`: replaced unprobed, and doubtful until it is. Of what has no probe: a
    caller saw it refused, so it is asked for again, and handed out as before until that is answered."""
    refresh_at: Instant = NEVER
    asks: int = 0
    """How often in this window the same value came back."""
    insist: bool = False
    """The same value came back although it is dead: the next ask is forced."""
    longest: int = 0
    """The longest `expires_in` ever seen in a mode that announces the rest. Of an account that was removed, the life of
    its last credential: what a day may cost goes by it until there is another one."""
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


@dataclass(frozen=True, slots=True)
class HandedOn(Granted):
    """A leader handed on what it has: `expires_in` is its own promise, 0 if it is doubtful."""

    refresh_in: int
    """When the leader wants to be asked again (seconds)."""
    generation: int
    """As the leader counts."""
    doubtful: bool = False
    stale: bool = False


@dataclass(frozen=True, slots=True)
class Withheld:
    """A leader has nothing to hand on: its trouble as ours, and how long it says to wait (seconds), if it does."""

    trouble: Trouble
    retry_after: Seconds | None = None


Outcome: TypeAlias = Granted | Refused | NotSent | Ambiguous | Withheld


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
