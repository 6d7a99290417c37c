"""What a program holds: a source of credentials. The same calls whether a hub or this very process keeps them."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, Protocol, Self, TypeAlias

PATIENCE = 5.0
"""How many seconds a call waits at most, unless the source was connected with another `patience`."""

Outcome: TypeAlias = Literal["refreshed", "already_newer", "still_valid"]


@dataclass(frozen=True, slots=True)
class Credential:
    """A credential at the moment it was handed out. Spans are whole seconds from that moment."""

    appid: str
    kind: str
    value: str = field(repr=False)
    generation: int
    """Counts the credentials of this account and kind; it never falls."""
    expires_in: int
    """How long it may be used without asking again; 0 when it is doubtful."""
    refresh_in: int
    """When to ask again, if the value is kept elsewhere (at least 1)."""
    doubtful: bool = False
    """It may have been replaced by a request whose answer nobody saw."""
    stale: bool = False
    """Its keeper was not reached lately: this is what is remembered."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """The answer to a reject. Repeat the call that was refused on `refreshed` and `already_newer` only."""

    outcome: Outcome
    credential: Credential


class Source(Protocol):
    """Credentials for a program's own threads: safe to share among them, and to keep across a fork."""

    def access_token(self, appid: str) -> str:
        """Return the account's access_token; without any I/O while it is fresh.

        Waits, `patience` seconds at most, only while there is none whose life is trusted.

        Raises: AccountUnknown. AccessDenied. CredentialUnavailable: with the cause and when to ask again.
        """

    def credential(self, appid: str, kind: str = "access_token") -> Credential:
        """Return a credential with what is promised of it. Raises: as `access_token`."""

    def reject(self, appid: str, value: str, kind: str = "access_token") -> Rejected:
        """Report that the platform refused `value` (40001, 40014, 42001); return what to use now.

        Raises: as `access_token`. Nothing is asked twice: on an error the caller's own call has failed.
        """

    def close(self) -> None:
        """Stop what runs in the background. What was handed out goes on living."""

    def __enter__(self) -> Self:
        """Return itself."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""


class AsyncSource(Protocol):
    """The same for coroutines, on any event loop and on several."""

    async def access_token(self, appid: str) -> str:
        """As `Source.access_token`."""

    async def credential(self, appid: str, kind: str = "access_token") -> Credential:
        """As `Source.credential`."""

    async def reject(self, appid: str, value: str, kind: str = "access_token") -> Rejected:
        """As `Source.reject`."""

    async def aclose(self) -> None:
        """As `Source.close`."""

    async def __aenter__(self) -> Self:
        """Return itself."""

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
