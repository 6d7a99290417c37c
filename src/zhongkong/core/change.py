"""What adding, changing and removing an account does to its slots, and what a clock that steps back does."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from zhongkong.core.command import Step
from zhongkong.core.issuing import ISSUING
from zhongkong.core.model import (
    PAST_KEPT,
    Account,
    Attempt,
    Instant,
    Kind,
    Lease,
    Record,
    Retry,
    Seconds,
    Slot,
)

MOVED = "moved"
"""Why a credential is condemned that was issued elsewhere."""
UNKNOWN_FENCES = ("unknown 1", "unknown 2")
"""Of attempts of which only that much is known, that there may have been any number of them."""


@dataclass(frozen=True, slots=True)
class Change:
    """The account was added or changed: a matter of minting voids the lease, clears the wait and makes the slot due.

    An empty change only clears the wait: *try now*. `moved` says that the living credential belongs elsewhere.
    """

    slot: Slot
    revision: int
    moved: bool = False

    def apply(self, record: Record, now: Instant) -> Step[None]:
        """Bring the record to the account's revision."""
        after = replace(record, retry=Retry(), removed=False)
        if record.revision != self.revision or record.removed:
            condemned = MOVED if self.moved and record.credential else record.condemned
            longest = 0 if self.moved else record.longest
            after = replace(after, revision=self.revision, lease=None, refresh_at=now, asks=0, insist=False)
            after = replace(after, condemned=condemned, longest=longest)
        return Step(after, None)


def change_account(account: Account, old: Account | None, records: Iterable[Record]) -> tuple[Account, list[Change]]:
    """Return `account` with its revision, in place of `old`, and the changes that its slots' `records` follow by.

    The revision goes on from the old account's, or from the tombstones of one that was removed.
    """
    records = kept_of(records)
    if old is None:
        revision, moved = max(record.revision for record in records) + 1, False
    else:
        revision, moved = old.revision + account.mints_otherwise_than(old), account.lives_elsewhere_than(old)
    return replace(account, revision=revision), [Change(record.slot, revision, moved) for record in records]


def kept_of(records: Iterable[Record]) -> list[Record]:
    """Return those of an account's records that it is kept by: its access_token's, and whichever else was written."""
    return [record for record in records if record.slot.kind is Kind.ACCESS_TOKEN or record.version]


@dataclass(frozen=True, slots=True)
class Remove:
    """The account is gone. A tombstone stays, so that its generations never begin again."""

    slot: Slot

    def apply(self, record: Record, now: Instant) -> Step[None]:  # noqa: ARG002 (one signature for all commands)
        """Leave the generation, what identifies former values, and what would bind the account if it came back."""
        credential = record.credential
        sha = (credential.sha256,) if credential else ()
        tombstone = Record(
            slot=self.slot,
            revision=record.revision,
            version=record.version,
            removed=True,
            generation=record.generation,
            longest=credential.life if credential else record.longest,
            attempts=tuple(one for one in record.attempts if one.ends),
            last_force=record.last_force,
            past=(*sha, *record.past)[:PAST_KEPT],
            spent=record.spent,
        )
        return Step(tombstone, None)


@dataclass(frozen=True, slots=True)
class WriteBack:
    """The store was lost or replaced: tell the new one what a replica remembers of a slot.

    Generations go on from the higher one, whichever store it was counted in. A credential that was minted into the new
    store meanwhile is the later one, and stays; one that a replica wrote back that knew less gives way.
    """

    slot: Slot
    remembered: Record = field(repr=False)

    def apply(self, record: Record, now: Instant) -> Step[None]:  # noqa: ARG002 (one signature for all commands)
        """Take what is remembered, or count the newer credential on from it."""
        mine, credential = self.remembered, record.credential
        if record.generation > mine.generation or mine.generation == 0:
            return Step(record, None)
        if credential is None:
            if record.removed:
                return Step(replace(record, generation=mine.generation), None)
            return Step(self._taken(record), None)
        if mine.credential is not None and mine.credential.sha256 == credential.sha256:
            return Step(record, None)
        if credential.sha256 in mine.past:
            return Step(self._taken(record), None)
        generation = mine.generation + 1
        past = (mine.credential.sha256,) if mine.credential else ()
        after = replace(
            record,
            generation=generation,
            credential=replace(credential, generation=generation),
            past=(*past, *mine.past)[:PAST_KEPT],
        )
        return Step(after, None)

    def _taken(self, record: Record) -> Record:
        """Return what is remembered, under the new store's counts; a tombstone stays one until there is an account."""
        is_gone = self.remembered.removed and record.revision == 0
        return replace(self.remembered, revision=record.revision, version=record.version, removed=is_gone, lease=None)


@dataclass(frozen=True, slots=True)
class Doubt:
    """The record is one of the past: a backup's, or of a store that others were used in place of.

    Whatever ends the credential may have left since, any number of times and as late as now. Two open attempts say so:
    it is handed out marked, looked at by probes, and trusted again once it is found alive when all of that had landed.
    """

    slot: Slot

    def apply(self, record: Record, now: Instant) -> Step[None]:
        """Open the two attempts, for a credential that a mint may have ended. A lease ends by itself, if it has not."""
        credential = record.credential
        if credential is None or not ISSUING[credential.mode].ends_former:
            return Step(record, None)
        known = (one for one in record.attempts if one.fence not in UNKNOWN_FENCES)
        unknown = (Attempt(fence, now, credential.mode, ends=True) for fence in UNKNOWN_FENCES)
        return Step(replace(record, attempts=(*known, *unknown)), None)


@dataclass(frozen=True, slots=True)
class Restamp:
    """The store's clock stepped back: what was stamped before is older than it looks, by so many seconds.

    `version` is the record that the caller knew before the step: whoever is first does it, once. Only ever shortens a
    life, so a mistaken one costs an early refresh and nothing else.
    """

    slot: Slot
    version: int
    by: Seconds

    def apply(self, record: Record, now: Instant) -> Step[None]:  # noqa: ARG002 (one signature for all commands)
        """Move every instant of the record back."""
        if record.version != self.version:
            return Step(record, None)
        by = self.by
        credential, probe, lease, contest = record.credential, record.probe, record.lease, record.contest
        if credential is not None:
            credential = replace(
                credential,
                since=credential.since - by,
                left=credential.left - by,
                expires_at=credential.expires_at - by,
            )
        after = replace(
            record,
            credential=credential,
            refresh_at=record.refresh_at - by,
            attempts=tuple(one._replace(left=one.left - by) for one in record.attempts),
            lease=Lease(lease.fence, lease.until - by) if lease else None,
            retry=record.retry._replace(next_try_at=record.retry.next_try_at - by),
            probe=probe._replace(
                began_at=probe.began_at - by,
                answered_at=probe.answered_at - by,
                alive_at=probe.alive_at - by,
                again_at=probe.again_at and probe.again_at - by,
            ),
            complaints=tuple(one._replace(at=one.at - by) for one in record.complaints),
            escalated_at=record.escalated_at - by,
            last_force=record.last_force - by,
            contest=contest._replace(seen=tuple(at - by for at in contest.seen), last_mint=contest.last_mint - by),
        )
        return Step(after, None)
