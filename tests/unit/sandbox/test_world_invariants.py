"""What holds in a world whatever is done to it, in any order."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.unit.sandbox.caller import APPID, START, build_caller
from zhongkong.sandbox.switches import Switches
from zhongkong.sandbox.tokens import Issued, window_of

spans = st.one_of(st.floats(0, 1), st.floats(0, 400), st.floats(0, 20_000), st.sampled_from([2.5, 30, 300, 7200]))


class Platform(RuleBasedStateMachine):
    """Callers of both modes, people, and time."""

    switches = Switches()

    def __init__(self) -> None:
        """Begin with one account."""
        super().__init__()
        self.caller = build_caller(switches=self.switches)
        self.world, self.account = self.caller.world, self.caller.world.account(APPID)
        self.now = START
        self.deaths: dict[str, float] = {}

    @rule(span=spans)
    def wait(self, span: float) -> None:
        """Let time pass."""
        self.now += span

    @rule(life=st.integers(2, 86_400))
    def change_life(self, life: int) -> None:
        """Let tokens to come live otherwise."""
        self.account.set_expires_in(life)

    @rule()
    def classic(self) -> None:
        """Ask in classic mode: the stable line must not notice."""
        stable = self.living("stable")
        self.check_answer(self.caller.classic(self.now))
        assert self.living("stable") == stable

    @rule(force=st.booleans())
    def stable(self, force: bool) -> None:  # noqa: FBT001 - drawn
        """Ask in stable mode: the classic line must not notice, and nothing changes without a reason."""
        classic, former = self.living("classic"), self.account.stable.current
        forced = self.account.stable.forced
        body = self.caller.stable(self.now, force_refresh=force)
        self.check_answer(body)
        assert self.living("classic") == classic
        repeated = former is not None and body["access_token"] == former.value
        outside = former is not None and former.dies_at - self.now > window_of(former.life)
        assert repeated == (outside and self.account.stable.forced == forced)

    @precondition(lambda self: self.account.stable.made or self.account.classic.made)
    @rule(data=st.data())
    def revoke(self, data: st.DataObject) -> None:
        """End some token."""
        issued = data.draw(st.sampled_from(self.world.issued(APPID)))
        was_alive = self.world.is_alive(issued.value, self.now)
        assert self.world.revoke(issued.value, self.now) == was_alive
        assert not self.world.is_alive(issued.value, self.now)

    def check_answer(self, body: dict[str, Any]) -> None:
        """What is announced is a whole number of seconds that the token really has, as things stand."""
        if "errcode" in body:
            assert body["errcode"] in {45009, 45011}
            return
        issued = self.world.find(body["access_token"])
        assert issued is not None
        assert self.caller.probe(issued.value, self.now) in {0, 45009, 45011}
        assert body["expires_in"] >= 1
        assert self.now + body["expires_in"] <= issued.dies_at

    def living(self, mode: str) -> list[Issued]:
        """Return the living tokens of one line."""
        return [i for i in self.world.issued(APPID) if i.mode == mode and self.world.is_alive(i.value, self.now)]

    @invariant()
    def two_live_at_most_in_a_line(self) -> None:
        """Current and one before it."""
        for line in (self.account.classic, self.account.stable):
            older = list(line.tokens)[:-2]
            assert not any(self.world.is_alive(issued.value, self.now) for issued in older)

    @invariant()
    def a_death_only_moves_nearer_and_is_final(self) -> None:
        """And never beyond life, nor into the past."""
        for issued in self.world.issued(APPID):
            before = self.deaths.get(issued.value, issued.expires_at)
            assert issued.issued_at <= issued.dies_at <= before <= issued.expires_at
            if before <= self.now:
                assert issued.dies_at == before
            elif issued.dies_at != before:
                assert issued.dies_at >= self.now
            self.deaths[issued.value] = issued.dies_at

    @invariant()
    def a_refusal_says_what_the_truth_says(self) -> None:
        """The answer and the oracle's truth are one."""
        for issued in self.world.issued(APPID):
            refusal = self.world.refusal_of(issued.value, self.now)
            assert (refusal is None) == (self.now < issued.dies_at) == self.world.is_alive(issued.value, self.now)
            if refusal is not None:
                of_age = issued.dies_at == issued.expires_at and issued.end == "age"
                assert refusal["errcode"] == (42001 if of_age else 40001)


class OverlappingPlatform(Platform):
    """The other reading of a third classic fetch."""

    switches = Switches(classic_third_fetch="all_overlap")

    @invariant()
    def two_live_at_most_in_a_line(self) -> None:
        """Only stable has two slots now; a replaced classic token still ends with its overlap."""
        assert len(self.living("stable")) <= 2
        for former, after in zip(self.account.classic.tokens, list(self.account.classic.tokens)[1:], strict=False):
            assert former.dies_at <= after.issued_at + window_of(former.life)


TestPlatform = Platform.TestCase
TestOverlappingPlatform = OverlappingPlatform.TestCase
TestPlatform.settings = TestOverlappingPlatform.settings = settings(
    max_examples=60, stateful_step_count=60, deadline=None
)


def test_the_machine_sees_a_broken_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    """A check that cannot fail proves nothing: without the two slots it has to find three living tokens."""
    monkeypatch.setattr(Platform, "switches", Switches(classic_third_fetch="all_overlap"))
    platform = Platform()
    for _ in range(3):
        platform.classic()
    with pytest.raises(AssertionError):
        platform.two_live_at_most_in_a_line()
