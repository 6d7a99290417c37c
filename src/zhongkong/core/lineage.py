"""What is minted from what: a ticket is asked for with the access_token of its account.

A parent's new generation ends no child, and a child that is refused says nothing against its parent. But who asks for a
child and is refused for the token he asks with has the proof that the parent is dead.
"""

from __future__ import annotations

from zhongkong.core.model import TICKET_MODES, Mode, Outcome, Record, Slot
from zhongkong.wechat.answers import Refused
from zhongkong.wechat.endpoints import domain_of
from zhongkong.wechat.errcodes import is_refused_token


def parent_of(slot: Slot, mode: Mode) -> Slot | None:
    """Return the slot whose credential it takes to mint by `mode`, or None."""
    return Slot(slot.appid) if mode in TICKET_MODES else None


def proves_parent_dead(record: Record, outcome: Outcome) -> bool:
    """Say whether what came of minting a child condemns the parent that it was asked for with."""
    if not isinstance(outcome, Refused) or was_refused_with_parent(record):
        return False
    return is_refused_token(outcome.errcode, domain_of(record.slot.appid))


def was_refused_with_parent(record: Record) -> bool:
    """Say whether a child was refused with its parent the time before, be it that the parent was replaced since.

    Then the fault may lie elsewhere, and a call that refuses whatever it is given must not end one good token after
    the other: only a probe can tell.
    """
    trouble = record.retry.trouble
    if trouble is None or trouble.errcode is None:
        return False
    return is_refused_token(trouble.errcode, domain_of(record.slot.appid))
