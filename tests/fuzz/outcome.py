"""What came of a run: what was wrong, what was seen, and by how much the process grew in its second half."""

from __future__ import annotations

import gc
import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psutil  # type: ignore[import-untyped]  # it has no annotations

JUDGED_FROM = 10_000
"""Tries from which on memory is judged: caches are full by then."""
GREW_MOST, OBJECTS_MOST = 16 << 20, 20_000
"""What the second half may add: bytes of the process, and objects."""


@dataclass
class Outcome:
    """What came of a run."""

    count: int
    seed: int
    judged_from: int = JUDGED_FROM
    wrong: list[str] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)
    grew: int = 0
    objects: int = 0
    done: int = 0
    _halfway: tuple[int, int] = (0, 0)

    def __str__(self) -> str:
        """Tell it."""
        seen = ", ".join(f"{count:,} {what}" for what, count in sorted(self.seen.items()))
        return (
            f"seed {self.seed}: {self.count:,} tries ({seen}); in the second half {self.grew / 1024:+,.0f} KiB, "
            f"{self.objects:+,} objects; {len(self.wrong)} wrong"
        )

    def note_done(self) -> None:
        """Count a try that is over."""
        self.done += 1
        if self.done == self.count // 2:
            self._halfway = _measure()

    def judge_memory(self) -> None:
        """Note by how much this process grew since half of the tries were made, and whether that is too much."""
        before, now = self._halfway, _measure()
        self.grew, self.objects = now[0] - before[0], now[1] - before[1]
        if self.count >= self.judged_from and (self.grew > GREW_MOST or self.objects > OBJECTS_MOST):
            self.wrong.append("memory grows")


def _measure() -> tuple[int, int]:
    gc.collect()
    return psutil.Process().memory_info().rss, len(gc.get_objects())


class _Bugs(logging.Handler):
    """Notes what the hub logs as a bug of its own."""

    def __init__(self, wrong: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._wrong = wrong

    def emit(self, record: logging.LogRecord) -> None:
        self._wrong.append(f"logged: {record.getMessage()[:1000]}")


@contextmanager
def heard_bugs(wrong: list[str]) -> Iterator[None]:
    """Note what the hub logs as a bug of its own while the block runs."""
    logger, bugs = logging.getLogger("zhongkong.hub"), _Bugs(wrong)
    logger.addHandler(bugs)
    try:
        yield
    finally:
        logger.removeHandler(bugs)
