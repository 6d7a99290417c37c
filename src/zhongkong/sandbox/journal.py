"""Every call that reached the platform: what was asked, what it did, what it told."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

KEPT_CALLS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One call. Instants are Unix seconds of the sandbox's clock; ids count up in the order of acting.

    `appid`: whom the call named, or whose token it bore. `acted_at` None: a fault kept the platform from acting.
    `errcode`: of the body that was written, 0 for success; None when none was. `answer`: what became of that body on
    its way, `whole` without a fault, else as `Fault.answer` says; `fault` is that fault's id.
    """

    id: int = 0
    at: float
    acted_at: float | None
    ip: str
    method: str
    path: str
    appid: str | None
    access_token: str | None
    force_refresh: bool
    issued: str | None
    expires_in: int | None
    errcode: int | None
    answer: str
    fault: int | None

    def __repr__(self) -> str:
        """Say which call it was, without its tokens."""
        return f"Entry({self.id}, {self.method} {self.path}, appid={self.appid}, errcode={self.errcode})"


class Journal:
    """The last calls, oldest first; older ones are forgotten but counted."""

    def __init__(self, kept: int = KEPT_CALLS) -> None:
        """Begin empty, to remember `kept` calls."""
        self._entries: deque[Entry] = deque(maxlen=kept)
        self.last = 0

    def write(self, entry: Entry) -> None:
        """Append the call under the next id."""
        self.last += 1
        self._entries.append(replace(entry, id=self.last))

    def clear(self) -> None:
        """Forget every call; ids go on, so that nobody who follows the journal misses one."""
        self._entries.clear()

    @property
    def first(self) -> int:
        """The id of the oldest call remembered; one above `last` when there is none."""
        return self._entries[0].id if self._entries else self.last + 1

    def read(self, after: int = 0, *, appid: str | None = None, path: str | None = None) -> Iterator[Entry]:
        """Yield the calls with an id above `after`, of one account and of paths like `path` (* and ? allowed)."""
        for entry in self._entries:
            of_account = appid is None or entry.appid == appid
            of_path = path is None or fnmatchcase(entry.path, path)
            if entry.id > after and of_account and of_path:
                yield entry

    def newest(self) -> Iterator[Entry]:
        """Yield the calls, last one first."""
        return reversed(self._entries)
