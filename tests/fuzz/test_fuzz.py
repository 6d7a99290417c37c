"""A short run of the fuzz; and bugs that are planted, to see that it would see them."""

from __future__ import annotations

import asyncio

import pytest

from tests.fuzz.run import play
from zhongkong.hub.gateway import gateway, rewriting
from zhongkong.wechat.paths import Carries, Path

COUNT, SEED = 1500, 11


def test_whatever_comes_nothing_leaks_and_honest_calls_are_served() -> None:
    """`make fuzz` makes a hundred thousand of these."""
    outcome = asyncio.run(play(COUNT, SEED))
    assert not outcome.wrong, "\n".join(outcome.wrong[:3])
    assert outcome.seen["forwarded 1 times"] > COUNT / 4, str(outcome)
    assert outcome.seen["forwarded 2 times"], str(outcome)


@pytest.mark.parametrize(
    ("where", "name", "bug", "said"),
    [
        (gateway, "without", lambda text, _real, _virtual: text, "a secret reached the client"),
        (rewriting, "_STAYS_HERE", frozenset({b"connection"}), "headers that may be read in two ways"),
        (gateway, "is_tokens", lambda _refused: False, "an SDK would loop"),
        (gateway, "find_path", lambda _path: Path(Carries.TOKEN, ("access_token",)), "may be read as"),
        (gateway, "_base_url", lambda _account, _where: "http://platform-b.test:9", "was asked for a client of"),
    ],
)
def test_a_planted_bug_is_found(
    monkeypatch: pytest.MonkeyPatch, where: object, name: str, bug: object, said: str
) -> None:
    """Else a run without a finding would prove nothing."""
    monkeypatch.setattr(where, name, bug)
    outcome = asyncio.run(play(600, SEED))
    assert any(said in one for one in outcome.wrong), str(outcome)
