"""One call that bears a token, as a dialogue."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from zhongkong.client.flow import Fetch, Report, Send, Sent, Step, call_with_token
from zhongkong.client.source import Credential, Outcome, Rejected

OLD, NEW = "83_old", "83_new"
OVER = "over"

ACCEPTED = Sent(refused=False, repeatable=True)
REFUSED = Sent(refused=True, repeatable=True)
REFUSED_FOR_GOOD = Sent(refused=True, repeatable=False)


def rejected(outcome: Outcome, value: str = NEW) -> Rejected:
    """Return the source's answer to a report."""
    return Rejected(outcome, Credential("wx1", "access_token", value, 2, 7000, 60))


def told(flow: Generator[Step, Any, None], came: object) -> Step | str:
    """Return what the flow wants next."""
    try:
        return flow.send(came)
    except StopIteration:
        return OVER


def test_a_good_token_is_one_call() -> None:
    """Nearly all calls."""
    flow = call_with_token()
    assert told(flow, None) == Fetch()
    assert told(flow, OLD) == Send(OLD)
    assert told(flow, ACCEPTED) == OVER


@pytest.mark.parametrize("outcome", ["refreshed", "already_newer"])
def test_a_refused_token_is_reported_and_the_call_made_once_more(outcome: Outcome) -> None:
    """And never a third time, whatever comes of it."""
    flow = call_with_token()
    assert told(flow, None) == Fetch()
    assert told(flow, OLD) == Send(OLD)
    assert told(flow, REFUSED) == Report(OLD)
    assert told(flow, rejected(outcome)) == Send(NEW)
    assert told(flow, REFUSED) == OVER


def test_a_token_that_the_platform_takes_is_not_tried_again() -> None:
    """The refusal has another cause, which a repetition would only meet once more."""
    flow = call_with_token()
    told(flow, None)
    told(flow, OLD)
    assert told(flow, REFUSED) == Report(OLD)
    assert told(flow, rejected("still_valid", OLD)) == OVER


def test_a_report_that_came_to_nothing_leaves_the_answer_as_it_is() -> None:
    """The caller sees what the platform said."""
    flow = call_with_token()
    told(flow, None)
    told(flow, OLD)
    assert told(flow, REFUSED) == Report(OLD)
    assert told(flow, None) == OVER


def test_a_call_that_cannot_be_repeated_is_reported_all_the_same() -> None:
    """The next one shall have a good token."""
    flow = call_with_token()
    told(flow, None)
    told(flow, OLD)
    assert told(flow, REFUSED_FOR_GOOD) == Report(OLD)
    assert told(flow, rejected("refreshed")) == OVER
