"""Changes that meet at a bad moment: a store that was lost, an account that comes back, a place that is the same."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.core.records import NOW, SLOT, after, build_account, build_due, build_record, open_attempt
from zhongkong.core.change import Remove, WriteBack
from zhongkong.core.claim import Claim, Claimed
from zhongkong.core.model import Ambiguous, Mode, NotSent, Outcome, Record, hash_value
from zhongkong.core.save import Save, Saved
from zhongkong.wechat.answers import Granted, Refused


def test_a_replica_that_knew_less_does_not_undo_a_mint_in_the_new_store() -> None:
    """It wrote back first; in classic mode what it remembers was ended by the next generation, which another knows."""
    old = build_record()
    assert old.credential is not None
    value = "the next"
    credential = replace(old.credential, generation=2, value=value, sha256=hash_value(value))
    new = replace(old, generation=2, credential=credential, past=(old.credential.sha256,))
    made, _ = after(WriteBack(SLOT, old), Record(SLOT, revision=1))
    made, _ = after(WriteBack(SLOT, new), made)
    assert made.credential is not None
    assert (made.generation, made.credential.value) == (2, value)


def test_a_tombstone_that_is_written_back_is_still_one() -> None:
    """Else rounds would look for an account that nobody has, once a second, for ever."""
    tombstone, _ = after(Remove(SLOT), build_record())
    made, _ = after(WriteBack(SLOT, tombstone), Record(SLOT))
    assert made.removed
    made, _ = after(WriteBack(SLOT, tombstone), Record(SLOT, revision=1))
    assert not made.removed, "somebody added the account anew"


def test_a_request_under_way_threatens_an_account_that_is_removed_and_added_again() -> None:
    """It may land yet, and end what is minted meanwhile: only its own answer closes an attempt."""
    record = build_record(attempts=(open_attempt(NOW),), last_force=NOW - 5.0)
    tombstone, _ = after(Remove(SLOT), record)
    assert tombstone.attempts == record.attempts
    assert tombstone.last_force == record.last_force


def test_the_same_token_from_a_new_place_belongs_there() -> None:
    """A proxy before the same platform: to force another one would end what every reader holds."""
    record = build_record(Mode.STABLE, condemned="moved")
    account = build_account(Mode.STABLE)
    claimed, answer = after(Claim(SLOT, account, "mine", 1), record)
    assert isinstance(answer, Claimed)
    assert record.credential is not None
    made, saved = after(Save(SLOT, account, "mine", Granted(record.credential.value, 7000)), claimed)
    assert saved == Saved(again=False)
    assert (made.condemned, made.insist, made.generation) == ("", False, record.generation)


@pytest.mark.parametrize(
    ("outcome", "spent"), [(NotSent("connection refused"), 0), (Ambiguous("timeout"), 1), (Refused(-1), 1)]
)
def test_what_never_left_costs_nothing_of_the_day(outcome: Outcome, spent: int) -> None:
    """Else two hours without a network use up the day's budget, and the slot stays dark until midnight."""
    account = build_account(Mode.CLASSIC)
    claimed, answer = after(Claim(SLOT, account, "mine", 1), build_due(Mode.CLASSIC))
    assert isinstance(answer, Claimed)
    assert claimed.spent.total == 1
    made, _ = after(Save(SLOT, account, "mine", outcome), claimed)
    assert made.spent.total == spent


def test_what_a_reject_caused_and_never_left_costs_no_share_of_rejects() -> None:
    """Rejects have half a day's budget; a wall between us and the platform must not use it up."""
    account = build_account(Mode.CLASSIC)
    record = build_record(Mode.CLASSIC, condemned="rejected")
    claimed, _ = after(Claim(SLOT, account, "mine", 1), record)
    assert (claimed.spent.total, claimed.spent.rejects) == (1, 1)
    made, _ = after(Save(SLOT, account, "mine", NotSent("connection refused")), claimed)
    assert (made.spent.total, made.spent.rejects) == (0, 0)
