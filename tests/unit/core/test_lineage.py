"""What a ticket is minted from, and when a refusal condemns that."""

from __future__ import annotations

import pytest

from tests.unit.core.records import NOW, SLOT, build_record
from zhongkong.core.lineage import parent_of, proves_parent_dead
from zhongkong.core.model import TICKET_MODES, TICKETS, Ambiguous, Kind, Mode, NotSent, Outcome, Retry, Slot, Trouble
from zhongkong.wechat.answers import Granted, Refused


@pytest.mark.parametrize("kind", sorted(TICKETS))
def test_a_ticket_is_asked_for_with_the_access_token_of_its_account(kind: Kind) -> None:
    """The platform takes nothing else."""
    assert parent_of(Slot(SLOT.appid, kind), Mode.TICKET) == SLOT


@pytest.mark.parametrize("mode", [mode for mode in Mode if mode not in TICKET_MODES])
def test_whatever_else_is_minted_has_no_parent(mode: Mode) -> None:
    """A leader is asked for a ticket with its own key."""
    assert parent_of(SLOT, mode) is None


@pytest.mark.parametrize("errcode", [40001, 40014, 42001])
def test_who_asks_for_a_child_and_is_refused_for_its_token_has_the_proof(errcode: int) -> None:
    """No probe is sent: the platform has answered already."""
    assert proves_parent_dead(build_record(), Refused(errcode))


@pytest.mark.parametrize("outcome", [Refused(48001), Refused(-1), NotSent("x"), Ambiguous("x"), Granted("ticket", 1)])
def test_no_other_outcome_says_anything_of_the_parent(outcome: Outcome) -> None:
    """A ticket that the account may not have is no dead token."""
    assert not proves_parent_dead(build_record(), outcome)


def test_a_refusal_that_a_new_parent_met_too_is_no_proof_the_next_time() -> None:
    """A call that answers 40001 whatever it is given must not end one good token after the other."""
    before = Retry(NOW, 1, Trouble("refused", 40001))
    assert not proves_parent_dead(build_record(retry=before), Refused(40001))
    assert proves_parent_dead(build_record(retry=before._replace(trouble=Trouble("refused", -1))), Refused(40001))
