"""What the keeper needs of the outside world. Docstrings are law here; `zhongkong.testing` proves the engines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from zhongkong.core.command import Applied, Command
from zhongkong.core.grants import Key
from zhongkong.core.model import (
    Account,
    Event,
    Instant,
    Mode,
    Outcome,
    Record,
    Seconds,
    Slot,
)
from zhongkong.wechat.errcodes import ProbeVerdict

AnswerT = TypeVar("AnswerT")


class Clock(Protocol):
    """Time as a process feels it. Nothing else in the keeper reads a clock."""

    def boot(self) -> Seconds:
        """Return the seconds since the machine started, sleep included; never steps."""

    def wall(self) -> Instant:
        """Return what the machine takes the time to be. Only for print; nothing is decided by it."""


class Seal(Protocol):
    """The master key over what is stored."""

    @property
    def check(self) -> str:
        """A value by which two replicas find that they hold the same seal; it tells nothing about it."""

    def knows(self, check: str) -> bool:
        """Say whether what was closed under the seal of this check value can be opened: by this one or the former."""

    def close(self, text: str, bound_to: str) -> bytes:
        """Return `text` sealed; `bound_to` (an appid) must be named again to open it."""

    def open(self, sealed: bytes, bound_to: str) -> str:
        """Return the text.

        Raises: WrongSeal: another seal closed it, or it is damaged. Never an absence.
        """


@dataclass(frozen=True, slots=True)
class Changes:
    """What a store tells at a poll."""

    now: Instant
    """The store's clock, read while it answered."""
    incarnation: str
    """Made when the store was made, so that a lost or restored store is recognised."""
    records: tuple[Record, ...]
    accounts: tuple[Account, ...]
    """All accounts, when the poll asked for everything or one of them changed; else those that changed."""


@dataclass(frozen=True, slots=True)
class KeptEvent:
    """An event as the audit log holds it."""

    id: int
    at: Instant
    event: Event


class Store(Protocol):
    """Where slots' records live, shared by all replicas. It decides nothing: `core`'s commands do.

    Every method may raise StoreUnavailable (try again; the call may or may not have taken effect) or StoreRefused (a
    person must act: the message says who). Instants are the store's own clock, one for all replicas.
    """

    async def apply(self, commands: Sequence[Command[AnswerT]]) -> list[Applied[AnswerT]]:
        """Apply each command to its slot's record by `core.command.run` and return what came of it, in order.

        Each command is atomic on its record and sees the store's clock as it is then; two commands on one record never
        interleave, whoever sends them, from whichever process. Commands of one batch need not be atomic together. When
        the call returns, records and events are durable: they outlive a kill of this process and of the machine. If
        the caller is cancelled or told StoreUnavailable, each command has been applied wholly or not at all. A slot
        that was never written has a `Record(slot)`; a command that returns its record unchanged writes nothing.
        Concurrent calls are grouped into one commit where the engine gains by it.
        """

    async def load(self, slot: Slot) -> Record:
        """Return the slot's record as last committed, on whichever replica; `Record(slot)` if there is none."""

    async def account(self, appid: str) -> Account | None:
        """Return the account as last committed, or None."""

    async def tell(self, events: Sequence[Event]) -> None:
        """Append events that are no part of a command to the audit log, stamped with the store's time."""

    async def changes(self, after: Instant) -> Changes:
        """Return every record and account written at or after `after` (`NEVER`: all of them), and the store's time.

        A write that is committed when this is called and stamped at or after `after` is in the answer.
        """


class Accounts(Protocol):
    """The accounts in the store. Every write changes its slots' records by `core.change` in the same transaction."""

    async def put_account(self, account: Account) -> Account:
        """Add or replace an account and return it with its revision.

        The revision grows by one iff kind, secret, mode or base URL differ from what is stored; records follow by
        `Change`. An equal account is the empty change: only waits are cleared.
        """

    async def remove_account(self, appid: str) -> bool:
        """Remove the account and leave tombstones; say whether it was there."""

    async def accounts(self) -> list[Account]:
        """Return all accounts, by appid."""


class KeeperStore(Store, Accounts, Protocol):
    """What a keeper needs: records to change, and accounts to write back to a store that was lost."""


class Keys(Protocol):
    """What business servers authenticate with: only hashes are stored."""

    async def put_key(self, key: Key) -> None:
        """Add the key or replace the one with its id."""

    async def remove_key(self, key_id: str) -> bool:
        """Remove it; say whether it was there."""

    async def keys(self) -> list[Key]:
        """Return all keys, by id."""

    async def used_keys(self, last_used: dict[str, Instant]) -> None:
        """Note when keys were last used; never moves one back."""


class Events(Protocol):
    """The audit log."""

    async def events(self, after: int = 0, limit: int = 100, appid: str = "") -> list[KeptEvent]:
        """Return events with an id greater than `after`, oldest first, at most `limit`."""

    async def last_events(self, limit: int = 100, appid: str = "") -> list[KeptEvent]:
        """Return the newest events, oldest of them first."""

    async def sweep_events(self, before: Instant, limit: int = 500) -> int:
        """Delete at most `limit` events older than `before`; return how many."""


class FullStore(KeeperStore, Keys, Events, Protocol):
    """What every engine offers: the contract suite in `zhongkong.testing` runs on all of it."""

    async def close(self) -> None:
        """Let go of files, threads and connections, after what was accepted is durable."""


@dataclass(frozen=True, slots=True)
class Order:
    """What to ask the platform for."""

    account: Account
    mode: Mode
    force: bool


class Platform(Protocol):
    """The platform, as the keeper sees it. An outcome is a value; only bugs and cancellation are exceptions."""

    async def mint(self, order: Order) -> Outcome:
        """Ask for a credential, once, within `DEADLINE` seconds, and return the one of four outcomes that is true.

        A call that can end a token uses a connection that nobody used before and is never sent twice. `NotSent` only
        if not a byte of the request left; whatever is not certain is `Ambiguous`.
        """

    async def probe(self, account: Account, value: str) -> ProbeVerdict:
        """Say whether the platform takes `value` for this account, by a call that changes nothing.

        `UNKNOWN` for silence, -1, 5xx and what cannot be read.
        """
