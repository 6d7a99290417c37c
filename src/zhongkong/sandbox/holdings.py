"""What the platform holds for an account beside its tokens: files, QR codes, tickets, and people's consent.

Instants are Unix seconds of the sandbox's clock. Everything here is bounded: what is oldest is forgotten first.
"""

from dataclasses import dataclass, field
from math import floor
from typing import Literal, TypeVar

MediaType = Literal["image", "voice", "video", "thumb"]
TicketType = Literal["jsapi", "wx_card", "agent_config"]
Scope = Literal["snsapi_base", "snsapi_userinfo", "snsapi_login"]

MEDIA_SECONDS = 3 * 86_400
CODE_SECONDS = 300
REFRESH_SECONDS = 30 * 86_400
KEPT_MEDIA_BYTES = 20 * 1024 * 1024  # of one account; it is more than two of the largest files
KEPT = 1000
_K = TypeVar("_K")
_T = TypeVar("_T")


@dataclass(slots=True)
class Media:
    """An uploaded file (临时素材), as it came; the platform deletes it three days later."""

    media_id: str
    type: MediaType
    content_type: str
    created_at: int
    content: bytes = field(repr=False)

    @property
    def expires_at(self) -> int:
        """The instant from which its media_id is unknown."""
        return self.created_at + MEDIA_SECONDS


@dataclass(slots=True)
class QRCode:
    """A QR code with a scene (带参数二维码). `expires_at` None: a permanent one. `url` is what the picture says."""

    ticket: str
    url: str
    action_name: str
    scene: int | str
    created_at: float
    expires_at: float | None

    def is_shown(self, now: float) -> bool:
        """Say whether its picture is still to be had."""
        return self.expires_at is None or now < self.expires_at


@dataclass(slots=True)
class Ticket:
    """A ticket of the JS-SDK (jsapi_ticket, api_ticket): whoever has it can sign pages as the account."""

    value: str = field(repr=False)
    issued_at: float
    life: int

    def left(self, now: float) -> int:
        """Return the whole seconds that an answer announces."""
        return max(0, floor(self.issued_at + self.life - now))


@dataclass(slots=True)
class Code:
    """What a person's consent (网页授权) or a mini program's login is exchanged with: once, within five minutes."""

    value: str = field(repr=False)
    openid: str
    scope: Scope
    made_at: float
    used: bool = False


@dataclass(slots=True)
class Grant:
    """The access_token of one person's consent: it opens /sns for him, and nothing that the account's own opens."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    openid: str
    scope: Scope
    expires_at: float
    refresh_until: float


def keep_newest(kept: dict[_K, _T], most: int = KEPT) -> None:
    """Forget the entries that came first until no more than `most` are left."""
    while len(kept) > most:
        del kept[next(iter(kept))]
