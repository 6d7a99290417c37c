"""How a slot is: whether it can be handed out, and if not all is well, why."""

from __future__ import annotations

from dataclasses import dataclass

from zhongkong.core.freshness import Freshness
from zhongkong.core.model import Instant, Record, Slot, Trouble
from zhongkong.core.retry import PERSON_STATES, TOKEN_REPEATED
from zhongkong.core.strangers import is_contested
from zhongkong.keeper.knowledge import Knowledge

WELL = "well"
STARTING = "starting"
"""Nothing was minted yet, and nothing went wrong."""
RESTING = "resting"
"""A ticket that nobody reads here, and so nobody keeps."""
REFRESHING = "refreshing"
"""Its credential ended, and the next one is on its way."""
DOUBTFUL = "doubtful"
CONTESTED = "contested"
WRONG_SEAL = "wrong_seal"
"""The store holds of it what cannot be unsealed; memory may still have something to hand out."""
WANTS_A_PERSON = PERSON_STATES | frozenset({"quota", CONTESTED, WRONG_SEAL, TOKEN_REPEATED})
"""States that are an alert: nobody waits them out."""


@dataclass(frozen=True, slots=True)
class Health:
    """How one slot is at this moment."""

    slot: Slot
    state: str
    """`well`, `starting`, `resting`, `refreshing`, `doubtful`, `contested`, `wrong_seal`, or that of its trouble."""
    serving: bool
    """There is something to hand out."""
    trouble: Trouble | None = None
    next_try_at: Instant | None = None


def judge_health(record: Record, freshness: Freshness, now: Instant) -> Health:
    """Say how the slot is at `now`. A trouble counts also while the old credential is still handed out."""
    serving = freshness is not Freshness.DEAD
    trouble = record.retry.trouble
    if trouble is not None:
        return Health(record.slot, trouble.state, serving, trouble, record.retry.next_try_at)
    if is_contested(record, now):
        return Health(record.slot, CONTESTED, serving)
    if freshness is Freshness.DOUBTFUL:
        return Health(record.slot, DOUBTFUL, serving)
    if serving:
        return Health(record.slot, WELL, serving)
    return Health(record.slot, REFRESHING if record.generation else STARTING, serving)


def health_of(known: Knowledge, slot: Slot) -> Health:
    """Return how the slot is, as far as this replica knows."""
    record = known.record(slot) or Record(slot)
    freshness = known.freshness(record)
    if known.is_unreadable(slot):
        return Health(slot, WRONG_SEAL, freshness is not Freshness.DEAD)
    if freshness is Freshness.DEAD and not known.is_wanted(slot):
        return Health(slot, RESTING, serving=False)
    return judge_health(record, freshness, known.now())


def health_of_all(known: Knowledge) -> list[Health]:
    """Return how all slots are that this replica knows, those of removed accounts aside."""
    slots = [slot for slot in known.slots() if known.account(slot.appid) is not None]
    return [health_of(known, slot) for slot in dict.fromkeys((*slots, *known.unreadable()))]
