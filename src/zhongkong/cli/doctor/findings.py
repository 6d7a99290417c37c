"""What the doctor found: a list that only grows, in the order of looking."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from zhongkong.errors import ZhongkongError
from zhongkong.messages import Language, render
from zhongkong.wechat.advice import explain_error


class State(StrEnum):
    """What follows from a finding."""

    GOOD = "good"
    NOTE = "note"
    """Worth knowing; there is nothing to do."""
    TODO = "todo"


class Area(StrEnum):
    """What was looked at."""

    SETTINGS = "settings"
    SEAL = "seal"
    STORE = "store"
    FILES = "files"
    HUB = "hub"
    TLS = "tls"
    NETWORK = "network"
    CLOCK = "clock"
    ACCOUNTS = "accounts"
    SINKS = "sinks"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found. `text` says what it is and, where there is something to do, what."""

    area: Area
    state: State
    code: str
    text: str


@dataclass(slots=True)
class Findings:
    """All that was found so far, in words of one language."""

    lang: Language
    found: list[Finding] = field(default_factory=list)

    def good(self, area: Area, code: str, **values: object) -> None:
        """Note that something is as it should be."""
        self._add(area, State.GOOD, code, values)

    def note(self, area: Area, code: str, **values: object) -> None:
        """Note something worth knowing."""
        self._add(area, State.NOTE, code, values)

    def todo(self, area: Area, code: str, **values: object) -> None:
        """Note that somebody must do something."""
        self._add(area, State.TODO, code, values)

    def error(self, area: Area, error: ZhongkongError) -> None:
        """Note that looking ended in an error, once however often it is met: its text says what to do."""
        text = explain_error(error, self.lang)
        if all(finding.text != text for finding in self.found):
            self.found.append(Finding(area, State.TODO, error.code, text))

    def tell(self, area: Area, state: State, code: str, text: str) -> None:
        """Note what somebody else put into words."""
        self.found.append(Finding(area, state, code, text))

    def has_todo(self, *areas: Area) -> bool:
        """Say whether there is something to do in one of the areas."""
        return any(finding.state is State.TODO and finding.area in areas for finding in self.found)

    @property
    def is_well(self) -> bool:
        """Say whether there is nothing to do."""
        return all(finding.state is not State.TODO for finding in self.found)

    def _add(self, area: Area, state: State, code: str, values: dict[str, object]) -> None:
        self.found.append(Finding(area, state, code, render(code, self.lang, **values)))
