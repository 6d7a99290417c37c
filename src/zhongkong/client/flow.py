"""A business call that bears a token and is repaired once: what comes next, decided without I/O.

Whoever runs the generator does what it yields, and sends back what came of it.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, TypeAlias

from zhongkong.client.source import Rejected


@dataclass(frozen=True, slots=True)
class Fetch:
    """Get the account's access_token; send it back."""


@dataclass(frozen=True, slots=True)
class Send:
    """Make the call with this token; send back what was `Sent`."""

    token: str


@dataclass(frozen=True, slots=True)
class Report:
    """Tell the source that this token was refused; send back the `Rejected`, None if the report came to nothing."""

    token: str


@dataclass(frozen=True, slots=True)
class Sent:
    """The call was answered."""

    refused: bool
    """For its token: 40001, 40014, 42001."""
    repeatable: bool
    """It could be made once more, just as it was."""


Step: TypeAlias = Fetch | Send | Report


def call_with_token() -> Generator[Step, Any, None]:
    """Yield the steps of one call. The last answer is the caller's, whatever it says: nothing is repaired twice.

    A refusal is reported even if the call cannot be repeated, for the sake of the next one. It is repeated only if it
    was the token that was bad: a `still_valid` one would be refused again, for a reason that is the caller's.
    """
    token: str = yield Fetch()
    sent: Sent = yield Send(token)
    if not sent.refused:
        return
    rejected: Rejected | None = yield Report(token)
    if rejected is None or rejected.outcome == "still_valid" or not sent.repeatable:
        return
    yield Send(rejected.credential.value)
