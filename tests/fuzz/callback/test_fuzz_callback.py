"""A short run of the callback's fuzz; and bugs that are planted, to see that it would see them."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from tests.fuzz.callback.run import play
from zhongkong.hub.callback import checking, delivering, room, telling
from zhongkong.wechat.cipher import PushCipher
from zhongkong.wechat.pushes import Answer

COUNT, SEED = 3000, 11
NUMBERS = count()


def test_whatever_is_pushed_is_answered_and_only_what_is_right_is_delivered() -> None:
    """`make fuzz` makes a hundred thousand of these, and as many at the gateway."""
    outcome = play(COUNT, SEED)
    assert not outcome.wrong, "\n".join(outcome.wrong[:3])
    assert outcome.seen["answer"] > COUNT / 3, str(outcome)
    assert all(outcome.seen[step.value] > COUNT / 100 for step in checking.Step), str(outcome)


def test_a_seed_is_the_same_run_each_time() -> None:
    """Else nobody could look into what it found."""
    assert play(300, SEED).seen == play(300, SEED).seen


def _nowhere(self: Any, *_said: object, **_named: object) -> None:
    """Tell nobody."""


@pytest.mark.parametrize(
    ("where", "name", "bug", "said"),
    [
        (checking, "is_signed", lambda *_: True, "nobody signed it"),
        (checking, "WINDOW", 3000.0, "not ['timestamp']"),
        (checking, "identify_push", lambda *_: str(next(NUMBERS)), "brought twice"),
        (room, "judge_echo", lambda *_: ("a", b"echo"), "not the echostr"),
        (PushCipher, "decrypt", PushCipher._decrypt, "ended with"),
        (delivering, "judge_answer", lambda _answer: Answer.PLAIN, "the platform cannot use the answer"),
        (delivering, "HANDLER_PAUSES", (0.0,) * 4, "brought twice"),
        (telling.Telling, "refused", _nowhere, "no event says"),
        (telling, "place_of", lambda url: url.reveal(), "a secret shows"),
    ],
)
def test_a_planted_bug_is_found(
    monkeypatch: pytest.MonkeyPatch, where: object, name: str, bug: object, said: str
) -> None:
    """Else a run without a finding would prove nothing."""
    monkeypatch.setattr(where, name, bug)
    outcome = play(600, SEED)
    assert any(said in one for one in outcome.wrong), str(outcome)
