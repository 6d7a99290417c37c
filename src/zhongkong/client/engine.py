"""What stands behind a source: it gets credentials from where they are kept, and says when there is a newer one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeAlias

from zhongkong.client.source import Credential, Rejected


@dataclass(frozen=True, slots=True)
class Held:
    """A credential in this process's memory. Instants are on its boot-time clock, in seconds."""

    credential: Credential
    value: str = field(repr=False)
    """The credential's, once more: the way there is walked at every read."""
    fresh_until: float
    """Till then it is handed out and nobody is asked."""
    holds_until: float
    """Till then it is still handed out without waiting, and the engine is asked for a newer one meanwhile."""
    promised_until: float
    """Till then it may be used, whoever asks or does not ask meanwhile; it may be held for less."""

    def at(self, now: float) -> Credential:
        """Return the credential with what is left of its spans at `now`."""
        expires_in = 0 if self.credential.doubtful else max(0, int(self.promised_until - now))
        refresh_in = max(1, min(self.credential.refresh_in, int(self.fresh_until - now)))
        return replace(self.credential, expires_in=expires_in, refresh_in=refresh_in)


Publish: TypeAlias = Callable[[Held], None]


class Engine(Protocol):
    """One way to keep credentials.

    Made at the first question, on the event loop of one daemon thread; all of it runs there, and nothing there blocks.
    After a fork another one is made in the child: state that is to outlive a fork belongs to its maker. A process forks
    only while that loop waits, so nothing that an engine does in one step can be cut in two by a fork.
    """

    async def run(self, publish: Publish) -> None:
        """Keep what was asked for fresh until cancelled, and `publish` whatever may be handed out without asking.

        To publish again shortens or prolongs, the latest stands; what no longer holds at once is thereby withdrawn. On
        leaving, what is under way is ended, within a bound of the engine's own. If it raises, it is run again.
        """

    async def credential(self, appid: str, kind: str, patience: float) -> Held:
        """Return a credential within `patience` seconds. Raises: as `Source.access_token`.

        Asked when nothing holds, and, with nobody waiting for it, when what holds is no longer fresh. May be asked
        before `run` came to anything. What it returns is published first, unless it is for this caller only.
        """

    async def reject(self, appid: str, kind: str, value: str, patience: float) -> Rejected:
        """Return what became of a refused value, within `patience` seconds. Raises: as `Source.reject`.

        Where there is a newer one it was published before.
        """
