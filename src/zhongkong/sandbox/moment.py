"""What every call of the platform happens under, besides the account and the parameters."""

from dataclasses import dataclass

from zhongkong.sandbox.draws import Draws
from zhongkong.sandbox.switches import Switches


@dataclass(frozen=True, slots=True)
class Moment:
    """`now` in Unix seconds of the sandbox's clock, the readings that the world goes by, and its randomness."""

    now: float
    switches: Switches
    draws: Draws
