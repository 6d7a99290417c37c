"""The store in memory: the reference that the others are compared with, and the simulation's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from zhongkong.core.change import Remove, change_account
from zhongkong.core.command import Applied, Command, run
from zhongkong.core.grants import Key
from zhongkong.core.model import Account, Event, Instant, Kind, Record, Slot
from zhongkong.core.ports import Changes, KeptEvent

AnswerT = TypeVar("AnswerT")


class MemoryStore:
    """A `FullStore` that lives as long as its process. `now` is its clock."""

    def __init__(self, now: Callable[[], Instant], incarnation: str = "memory") -> None:
        self._now = now
        self._incarnation = incarnation
        self._records: dict[Slot, Record] = {}
        self._accounts: dict[str, tuple[Account, Instant]] = {}
        self._keys: dict[str, Key] = {}
        self._events: list[KeptEvent] = []
        self._told = 0

    async def apply(self, commands: Sequence[Command[AnswerT]]) -> list[Applied[AnswerT]]:
        """Apply each command to its slot's record; nothing interleaves, for nothing is awaited."""
        return [self._apply(command) for command in commands]

    def _apply(self, command: Command[AnswerT]) -> Applied[AnswerT]:
        record = self._records.get(command.slot) or Record(command.slot)
        applied, events = run(command, record, self._now())
        if applied.record is not record:
            self._records[command.slot] = applied.record
        self._append(events, applied.now)
        return applied

    async def load(self, slot: Slot) -> Record:
        """Return the slot's record."""
        return self._records.get(slot) or Record(slot)

    async def account(self, appid: str) -> Account | None:
        """Return the account, or None."""
        kept = self._accounts.get(appid)
        return kept[0] if kept else None

    async def changes(self, after: Instant) -> Changes:
        """Return what was written at or after `after`."""
        return Changes(
            now=self._now(),
            incarnation=self._incarnation,
            records=tuple(record for record in self._records.values() if record.changed_at >= after),
            accounts=tuple(account for account, changed_at in self._accounts.values() if changed_at >= after),
        )

    async def put_account(self, account: Account) -> Account:
        """Add or replace an account; its slot follows."""
        slot = Slot(account.appid, Kind.ACCESS_TOKEN)
        kept = self._accounts.get(account.appid)
        account, change = change_account(account, kept and kept[0], self._records.get(slot) or Record(slot))
        self._accounts[account.appid] = (account, self._now())
        self._apply(change)
        return account

    async def remove_account(self, appid: str) -> bool:
        """Remove the account and leave a tombstone."""
        if self._accounts.pop(appid, None) is None:
            return False
        self._apply(Remove(Slot(appid, Kind.ACCESS_TOKEN)))
        return True

    async def accounts(self) -> list[Account]:
        """Return all accounts, by appid."""
        return [self._accounts[appid][0] for appid in sorted(self._accounts)]

    async def put_key(self, key: Key) -> None:
        """Add or replace a key."""
        self._keys[key.id] = key

    async def remove_key(self, key_id: str) -> bool:
        """Remove a key; say whether it was there."""
        return self._keys.pop(key_id, None) is not None

    async def keys(self) -> list[Key]:
        """Return all keys, by id."""
        return [self._keys[key_id] for key_id in sorted(self._keys)]

    async def used_keys(self, last_used: dict[str, Instant]) -> None:
        """Note when keys were last used."""
        for key_id, at in last_used.items():
            key = self._keys.get(key_id)
            if key is not None and (key.last_used_at is None or key.last_used_at < at):
                self._keys[key_id] = replace(key, last_used_at=at)

    async def tell(self, events: Sequence[Event]) -> None:
        """Append events."""
        self._append(events, self._now())

    def _append(self, events: Sequence[Event], now: Instant) -> None:
        for event in events:
            self._told += 1
            self._events.append(KeptEvent(self._told, now, event))

    async def events(self, after: int = 0, limit: int = 100, appid: str = "") -> list[KeptEvent]:
        """Return events after an id, oldest first."""
        return [one for one in self._events if one.id > after and appid in ("", one.event.appid)][:limit]

    async def last_events(self, limit: int = 100, appid: str = "") -> list[KeptEvent]:
        """Return the newest events, oldest of them first."""
        return [one for one in self._events if appid in ("", one.event.appid)][-limit:]

    async def sweep_events(self, before: Instant, limit: int = 500) -> int:
        """Delete at most `limit` events older than `before`."""
        old = {one.id for one in self._events if one.at < before}
        gone = set(sorted(old)[:limit])
        self._events = [one for one in self._events if one.id not in gone]
        return len(gone)

    async def close(self) -> None:
        """There is nothing to let go of."""
