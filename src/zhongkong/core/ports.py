"""What the keeper needs of the outside world. Docstrings are law here; `zhongkong.testing` proves the engines."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from zhongkong.core.callbacks import Callback, Proof, Push, Taken
from zhongkong.core.command import Applied, Command
from zhongkong.core.grants import Key
from zhongkong.core.model import (
    Account,
    Event,
    Instant,
    Kind,
    Mode,
    Outcome,
    Record,
    Seconds,
    Secret,
    Slot,
)
from zhongkong.core.sinks import Entry, Placed, Seen
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
    unreadable_records: tuple[Slot, ...] = ()
    """Slots whose record is among the changes and cannot be unsealed here. Never an absence."""
    unreadable_accounts: tuple[str, ...] = ()
    """Appids of accounts of which the same is true."""


@dataclass(frozen=True, slots=True)
class KeptEvent:
    """An event as the audit log holds it."""

    id: int
    at: Instant
    event: Event


class Store(Protocol):
    """Where slots' records live, shared by all replicas. It decides nothing: `core`'s commands do.

    Every method may raise StoreUnavailable (try again; the call may or may not have taken effect) or StoreRefused (a
    person must act: the message says who). Instants are the store's own clock, one for all replicas. What cannot be
    unsealed concerns its own account alone: whatever reads or changes that raises WrongSeal, and nothing else does.
    """

    async def apply(self, commands: Sequence[Command[AnswerT]]) -> list[Applied[AnswerT]]:
        """Apply each command to its slot's record by `core.command.run` and return what came of it, in order.

        Each command is atomic on its record and sees the store's clock as it is then; two commands on one record never
        interleave, whoever sends them, from whichever process. Commands of one batch need not be atomic together. When
        the call returns, records and events are durable: they outlive a kill of this process and of the machine. If
        the caller is cancelled or told StoreUnavailable, each command has been applied wholly or not at all. A slot
        that was never written has a `Record(slot)` of its account's revision; a command that returns its record
        unchanged writes nothing. Concurrent calls are grouped into one commit where the engine gains by it.
        """

    async def load(self, slot: Slot) -> Record:
        """Return the slot's record as last committed, on whichever replica; if there is none, as `apply` sees it."""

    async def account(self, appid: str) -> Account | None:
        """Return the account as last committed, or None."""

    async def tell(self, events: Sequence[Event]) -> None:
        """Append events that are no part of a command to the audit log, stamped with the store's time."""

    async def changes(self, after: Instant) -> Changes:
        """Return every record and account written at or after `after` (`NEVER`: all of them), and the store's time.

        A write that is committed when this is called and stamped at or after `after` is in the answer; of one that
        cannot be unsealed only the name is.
        """


class Accounts(Protocol):
    """The accounts in the store. Every write changes its slots' records by `core.change` in the same transaction.

    Those are the access_token's, and of the others whichever were ever written.
    """

    async def put_account(self, account: Account) -> Account:
        """Add or replace an account and return it with its revision.

        The revision grows by one iff kind, secret, mode or base URL differ from what is stored; records follow by
        `Change`. An equal account is the empty change: only waits are cleared.
        """

    async def remove_account(self, appid: str) -> bool:
        """Remove the account and leave tombstones; say whether it was there. Nothing need be unsealed for that."""

    async def accounts(self) -> list[Account]:
        """Return all accounts that can be unsealed, by appid; `changes` names the others."""


class KeeperStore(Store, Accounts, Protocol):
    """What a keeper needs: records to change, and accounts to write back to a store that was lost."""


class Keys(Protocol):
    """What business servers authenticate with: of keys only hashes are stored."""

    async def put_key(self, key: Key) -> None:
        """Add the key or replace the one with its id."""

    async def remove_key(self, key_id: str) -> bool:
        """Remove it; say whether it was there."""

    async def keys(self) -> list[Key]:
        """Return all keys, by id."""

    async def used_keys(self, last_used: dict[str, Instant]) -> None:
        """Note when keys were last used; never moves one back."""

    async def signing_key(self) -> bytes:
        """Return the 32 bytes that virtual tokens are signed with: made with the store, the same on every replica."""


class Events(Protocol):
    """The audit log."""

    async def events(self, after: int = 0, limit: int = 100, appid: str = "") -> list[KeptEvent]:
        """Return events with an id greater than `after`, oldest first, at most `limit`."""

    async def last_events(self, limit: int = 100, appid: str = "") -> list[KeptEvent]:
        """Return the newest events, oldest of them first."""

    async def sweep_events(self, before: Instant, limit: int = 500) -> int:
        """Delete at most `limit` events older than `before`; return how many."""


class Callbacks(Protocol):
    """How accounts are pushed to. What is here goes with its account when that is removed."""

    async def put_callback(self, callback: Callback) -> bool:
        """Add or replace an account's callback; false, and nothing is kept, where there is no such account."""

    async def callback(self, appid: str) -> Callback | None:
        """Return the callback as last committed, or None. Raises WrongSeal as the account does."""

    async def put_proof(self, proof: Proof) -> bool:
        """Add or replace the file of that name; false as `put_callback`."""

    async def proof(self, name: str) -> Proof | None:
        """Return the file of that name, or None."""

    async def proofs(self, appid: str) -> list[Proof]:
        """Return an account's files, by name."""


class Pushes(Protocol):
    """Which pushes were here before, on whichever replica."""

    async def take_push(self, push: Push, fence: str) -> Taken:
        """Return what `core.callbacks.judge_push` says of it; if it is FIRST, it is now `fence`'s to answer.

        Atomic: of any number of replicas that take one push at one time, one is told FIRST. A stamp is bound to what
        it came with the first time.
        """

    async def answer_push(self, push: Push, fence: str, answer: str) -> bool:
        """Keep what was answered, under the seal; false, and nothing is kept, where it is no longer the fence's."""

    async def sweep_pushes(self, before: Instant, limit: int = 500) -> int:
        """Delete at most `limit` pushes and stamps from before `before`; return how many."""


class FullStore(KeeperStore, Keys, Events, Callbacks, Pushes, Protocol):
    """What every engine offers: the contract suite in `zhongkong.testing` runs on all of it."""

    async def close(self) -> None:
        """Let go of files, threads and connections, after what was accepted is durable."""


@dataclass(frozen=True, slots=True)
class Order:
    """What to ask the platform for."""

    account: Account
    mode: Mode
    force: bool
    kind: Kind = Kind.ACCESS_TOKEN
    parent: Secret | None = None
    """The access_token to ask with, where it is needed for that."""


class Platform(Protocol):
    """The platform, as the keeper sees it. An outcome is a value; only bugs and cancellation are exceptions."""

    async def mint(self, order: Order) -> Outcome:
        """Ask for a credential, once, within `DEADLINE` seconds, and return the one of four outcomes that is true.

        A call that can end a token uses a connection that nobody used before and is never sent twice. `NotSent` only
        if not a byte of the request left; whatever is not certain is `Ambiguous`.
        """

    async def probe(
        self, account: Account, value: str, caller: str = "", kind: Kind = Kind.ACCESS_TOKEN
    ) -> ProbeVerdict:
        """Say whether the platform takes `value` for this account, by a call that changes nothing.

        Of a ticket only a leader can say that; the platform is never asked. `caller` is who saw it refused, if somebody
        did: an account's leader is told, and may then replace it over there, which is `DEAD` here. `UNKNOWN` for
        silence, -1, 5xx and what cannot be read.
        """


@dataclass(frozen=True, slots=True)
class Call:
    """A client's call, to be sent on. The target is a secret: it holds a token."""

    method: str
    base_url: str
    target: str = field(repr=False)
    """Path and query as they go on the wire."""
    headers: Sequence[tuple[str, str]] = field(default=(), repr=False)
    length: int = 0
    """Of the body, in bytes."""
    body: bytes | Callable[[], AsyncIterator[bytes]] = field(default=b"", repr=False)
    """All of it, or what begins to read it from its first byte."""


class Answering(Protocol):
    """The answer to a call, on its way. Reading it raises PlatformUnreachable where it is cut or stands still."""

    @property
    def status(self) -> int:
        """The HTTP status."""

    @property
    def headers(self) -> Sequence[tuple[bytes, bytes]]:
        """The headers, in their order."""

    async def read(self) -> bytes:
        """Return what came next of the body, nothing at its end; its sender is slowed down to whoever reads."""


class Upstream(Protocol):
    """Sends clients' calls to the platform."""

    def send(self, call: Call) -> AbstractAsyncContextManager[Answering]:
        """Send the call at most once and hand out its answer; on leaving, what was not read is given up.

        The platform's hosts stand in for each other where not a byte had left. Redirects are not followed. Raises
        PlatformUnreachable: no answer came; the call may have been heard all the same where `was_sent` is true.
        """

    async def close(self) -> None:
        """Let go of connections."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """What a program said to a push that it was sent."""

    status: int
    body: bytes = field(repr=False)
    refused_step: str = ""
    """What a hub says in `REFUSED_STEP`, if it was one that refused."""


@dataclass(frozen=True, slots=True)
class Undelivered:
    """No answer came. `why` is safe to show; where `was_sent` is true the program may have got it all the same."""

    why: str
    was_sent: bool


class Courier(Protocol):
    """Brings pushes to the programs behind the hub."""

    async def bring(self, url: Secret, content_type: str, body: bytes, until: Seconds) -> Delivered | Undelivered:
        """Post the body to `url`, once, and return what came back before `until` on the boot-time clock.

        Redirects are not followed. Only bugs and cancellation are exceptions.
        """

    async def look(self, url: Secret, until: Seconds) -> Delivered | Undelivered:
        """Get `url`, once, as `bring` posts."""


class Sink(Protocol):
    """A place outside where programs look for a credential. It decides nothing about refreshing.

    Any number of hubs may write to one place at once. What is written there is read before, and a later generation is
    never replaced by an earlier one, except by a caller who insists. Methods may raise SinkUnavailable (nothing gets
    there now) or SinkRefused (this write does not); whether it took effect is then unknown, and doing it again is safe.
    They end within some seconds, whatever happens over there. A cancelled call may still take effect.
    """

    @property
    def name(self) -> str:
        """The name that people gave it."""

    def takes(self, slot: Slot) -> bool:
        """Say whether this slot's credential goes there."""

    async def write(self, entry: Entry, *, insist: bool = False) -> Placed:
        """Have the place hold the entry; with `insist` also where it holds a later generation."""

    async def remove(self, account: Account, kind: Kind, generation: int) -> bool:
        """Clear the place if it holds what a hub wrote, of `generation` or before; say whether it did."""

    async def close(self) -> None:
        """Let go of connections and threads, without waiting for who does not answer."""


class Visible(Protocol):
    """A sink that can be looked at without changing anything. Both raise as `Sink.write` does."""

    async def reach(self) -> None:
        """Return if it can be reached at all."""

    async def look(self, account: Account, kind: Kind) -> Seen:
        """Return what stands there now."""
