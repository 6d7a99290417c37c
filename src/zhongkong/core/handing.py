"""What is handed out: a credential with what we promise of it, and no more."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from math import inf

from zhongkong.core.freshness import Freshness, promised_until
from zhongkong.core.issuing import overlap_of
from zhongkong.core.model import Instant, Kind, Record, Seconds, spread

REFRESH_IN_LONGEST: Seconds = 60.0


@dataclass(frozen=True, slots=True)
class Handed:
    """A credential at the moment it is handed out. Instants are on the store's clock, spans in whole seconds."""

    appid: str
    kind: Kind
    value: str = field(repr=False)
    generation: int
    expires_at: Instant
    """Until when it may be used without looking again; a moment that has passed when it is doubtful."""
    expires_in: int
    refresh_in: int
    """When to look again (at least 1): soon enough to see a successor before the former one ends."""
    doubtful: bool = False
    """It may have been replaced by a request whose answer nobody saw."""
    stale: bool = False
    """The store was not reached lately; this is what memory knows."""
    same_for: Seconds = field(default=0.0, compare=False)
    """How long these whole seconds stay as they are, as far as time alone changes them."""

    @property
    def etag(self) -> str:
        """Return the weak ETag: the generation, and a digest of value, promise and marks."""
        digest = sha256(f"{self.value}|{self.expires_at:.3f}|{self.doubtful}|{self.stale}".encode()).hexdigest()
        return f'W/"{self.generation}.{digest[:8]}"'


def hand_out(
    record: Record, freshness: Freshness, now: Instant, *, seen: Instant, trust: Instant, stale: bool
) -> Handed:
    """Return what a caller gets of a record whose credential is not dead.

    `seen` is the store's time of the last answered poll, `trust` what is left to trust after all that is known.
    """
    credential = record.credential
    assert credential is not None  # noqa: S101 (narrows a type: a dead slot hands nothing out)
    doubtful = freshness is Freshness.DOUBTFUL
    overlap = overlap_of(credential.life)
    promise = min(credential.left, now) if doubtful else promised_until(record, seen=seen, trust=trust)
    longest = max(1.0, min(REFRESH_IN_LONGEST, overlap / 4) * (1 - 0.1 * spread(record.slot)))
    left, look = promise - now, min(record.refresh_at, trust - 5.0) - now
    expires_in, refresh_in = max(0, int(left)), int(max(1.0, min(look, longest)))
    return Handed(
        appid=record.slot.appid,
        kind=record.slot.kind,
        value=credential.value,
        generation=credential.generation,
        expires_at=promise,
        expires_in=expires_in,
        refresh_in=refresh_in,
        doubtful=doubtful,
        stale=stale or credential.stale,
        same_for=min(left - expires_in if left > 0 else inf, look - refresh_in if look > 1 else inf),
    )
