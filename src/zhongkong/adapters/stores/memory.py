"""The store in memory: the reference that the others are compared with, and the simulation's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import TypeVar

from zhongkong.core.callbacks import Callback, KeptPush, Proof, Push, Standing, Taken, judge_push
from zhongkong.core.change import Remove, change_account, kept_of
from zhongkong.core.command import Applied, Command, run
from zhongkong.core.grants import Key
from zhongkong.core.model import NEVER, Account, Event, Instant, Kind, Record, Slot
from zhongkong.core.ports import Changes, KeptEvent

AnswerT = TypeVar("AnswerT")

_NO_ACCOUNT: tuple[None, Instant] = (None, NEVER)


class MemoryStore:
    """A `FullStore` that lives as long as its process. `now` is its clock."""

    def __init__(self, now: Callable[[], Instant], incarnation: str = "memory") -> None:
        self._now = now
        self._incarnation = incarnation
        self._records: dict[Slot, Record] = {}
        self._accounts: dict[str, tuple[Account, Instant]] = {}
        self._keys: dict[str, Key] = {}
        self._callbacks: dict[str, Callback] = {}
        self._proofs: dict[str, Proof] = {}
        self._stamps: dict[str, tuple[str, Instant]] = {}
        self._pushes: dict[str, KeptPush] = {}
        self._events: list[KeptEvent] = []
        self._told = 0

    async def apply(self, commands: Sequence[Command[AnswerT]]) -> list[Applied[AnswerT]]:
        """Apply each command to its slot's record; nothing interleaves, for nothing is awaited."""
        return [self._apply(command) for command in commands]

    def _apply(self, command: Command[AnswerT]) -> Applied[AnswerT]:
        record = self._record(command.slot)
        applied, events = run(command, record, self._now())
        if applied.record is not record:
            self._records[command.slot] = applied.record
        self._append(events, applied.now)
        return applied

    async def load(self, slot: Slot) -> Record:
        """Return the slot's record."""
        return self._record(slot)

    def _record(self, slot: Slot) -> Record:
        record, (account, _) = self._records.get(slot), self._accounts.get(slot.appid, _NO_ACCOUNT)
        return record or Record(slot, revision=account.revision if account else 0)

    def _records_of(self, appid: str) -> list[Record]:
        return [self._record(Slot(appid, kind)) for kind in Kind]

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
        """Add or replace an account; its slots follow."""
        old, _ = self._accounts.get(account.appid, _NO_ACCOUNT)
        account, changes = change_account(account, old, self._records_of(account.appid))
        self._accounts[account.appid] = (account, self._now())
        for change in changes:
            self._apply(change)
        return account

    async def remove_account(self, appid: str) -> bool:
        """Remove the account and leave tombstones."""
        if self._accounts.pop(appid, None) is None:
            return False
        for record in kept_of(self._records_of(appid)):
            self._apply(Remove(record.slot))
        self._callbacks.pop(appid, None)
        for proof in await self.proofs(appid):
            del self._proofs[proof.name]
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

    async def signing_key(self) -> bytes:
        """Return the key that virtual tokens are signed with."""
        return sha256(self._incarnation.encode()).digest()

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

    async def put_callback(self, callback: Callback) -> bool:
        """Add or replace a callback; say whether there is such an account."""
        if callback.appid not in self._accounts:
            return False
        self._callbacks[callback.appid] = callback
        return True

    async def callback(self, appid: str) -> Callback | None:
        """Return the callback, or None."""
        return self._callbacks.get(appid)

    async def put_proof(self, proof: Proof) -> bool:
        """Add or replace a file; say whether there is such an account."""
        if proof.appid not in self._accounts:
            return False
        self._proofs[proof.name] = proof
        return True

    async def proof(self, name: str) -> Proof | None:
        """Return the file, or None."""
        return self._proofs.get(name)

    async def proofs(self, appid: str) -> list[Proof]:
        """Return an account's files, by name."""
        return sorted(one for one in self._proofs.values() if one.appid == appid)

    async def take_push(self, push: Push, fence: str) -> Taken:
        """Say what the push is, and note that it came."""
        now = self._now()
        stamped, _ = self._stamps.get(push.stamp_row, (None, NEVER))
        taken = judge_push(push, stamped, self._pushes.get(push.row), now)
        if stamped is None:
            self._stamps[push.stamp_row] = (push.identity, now)
        if taken.standing is Standing.FIRST:
            self._pushes[push.row] = KeptPush(now, fence)
        return taken

    async def answer_push(self, push: Push, fence: str, answer: str) -> bool:
        """Keep the answer; say whether it was the fence's to give."""
        kept = self._pushes.get(push.row)
        if kept is None or kept.fence != fence:
            return False
        self._pushes[push.row] = kept._replace(answer=answer)
        return True

    async def sweep_pushes(self, before: Instant, limit: int = 500) -> int:
        """Delete at most `limit` pushes and stamps from before `before`."""
        old_pushes = [row for row, kept in self._pushes.items() if kept.taken_at < before][:limit]
        old_stamps = [row for row, (_, at) in self._stamps.items() if at < before][: limit - len(old_pushes)]
        for row in old_pushes:
            del self._pushes[row]
        for row in old_stamps:
            del self._stamps[row]
        return len(old_pushes) + len(old_stamps)

    async def close(self) -> None:
        """There is nothing to let go of."""
