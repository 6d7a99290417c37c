"""Tokens and the lines they are issued in: when each of them dies, and of what."""

from collections import deque
from dataclasses import dataclass, field
from math import floor
from typing import Literal

Mode = Literal["classic", "stable", "wecom"]
End = Literal["age", "replaced", "revoked"]


def window_of(life: float) -> float:
    """Return the overlap of a replaced token, and the last part of a stable one in which it is renewed, in seconds.

    The platform's own 300 at its own life of 7200; tokens of a few seconds rotate like real ones.
    """
    return min(life / 2, max(2, min(300, life / 24)))


@dataclass(slots=True, eq=False)
class Issued:
    """One access_token that was issued. Instants are Unix seconds of the sandbox's clock, `life` is in seconds.

    It is alive before `dies_at` and dead at and after it. That instant only ever moves nearer and, while time runs
    forwards, never into the past: a death is one instant and final. `ended_by` is the ip of the call whose new token
    ended it, None when it dies of age or by a person's hand; `end` says of what.
    """

    value: str
    appid: str
    mode: Mode
    issued_at: float
    life: int
    ip: str
    forced: bool
    expires_at: float
    dies_at: float
    end: End = "age"
    ended_by: str | None = None

    def close(self, at: float, end: End, ended_by: str | None = None) -> None:
        """Let it die at `at`, unless it dies earlier anyway."""
        if at < self.dies_at:
            self.dies_at = at
            self.end = end
            self.ended_by = ended_by

    def left(self, now: float) -> int:
        """Return the whole seconds that an answer announces: never more than what is true."""
        return max(0, floor(self.expires_at - now))

    def __repr__(self) -> str:
        """Say everything but the value."""
        return f"Issued({self.appid}, {self.mode}, issued_at={self.issued_at}, dies_at={self.dies_at}, end={self.end})"


@dataclass(slots=True)
class TokenLine:
    """The tokens of one account in one mode, oldest first. Two slots: the last is current, the one before it former.

    `made` and `forced` count since the account exists; `tokens` remembers the newest and whatever is still alive.
    """

    tokens: deque[Issued] = field(default_factory=deque)
    made: int = 0
    forced: int = 0

    @property
    def current(self) -> Issued | None:
        """The token issued last, alive or not."""
        return self.tokens[-1] if self.tokens else None

    def append(self, issued: Issued, *, kills_oldest: bool, ends_former: bool = True) -> None:
        """Make `issued` current: the former lives out its overlap; `kills_oldest` ends the one before it at once.

        Without `ends_former` whatever was issued before lives on to its own end.
        """
        now, tokens = issued.issued_at, self.tokens
        if tokens and ends_former:
            former = tokens[-1]
            former.close(now + window_of(former.life), "replaced", issued.ip)
            if kills_oldest and len(tokens) > 1:
                tokens[-2].close(now, "replaced", issued.ip)
        tokens.append(issued)
        self.made += 1
        self.forced += issued.forced

    def forget(self, keep: int, now: float) -> Issued | None:
        """Drop and return the oldest token when more than `keep` are remembered and it is dead."""
        if len(self.tokens) > keep and self.tokens[0].dies_at <= now:
            return self.tokens.popleft()
        return None
