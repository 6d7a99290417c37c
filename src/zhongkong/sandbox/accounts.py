"""An account as its owner sees it in the platform's console: secret, rights, quotas, followers, templates."""

import re
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from zhongkong.sandbox.holdings import Code, Grant, Media, QRCode, Ticket
from zhongkong.sandbox.pushes import Callback, Message
from zhongkong.sandbox.quotas import FORCES_A_DAY, Meter, Profile
from zhongkong.sandbox.tokens import TokenLine

Kind = Literal["official", "miniprogram", "wecom"]
TemplateStatus = Literal["success", "user block", "system failed"]

PLATFORM_LIFE = 7200
NEVER = 1e18  # JSON, which keeps an account, has no infinity
KEPT_MESSAGES = 1000
_FIELD_OF_TEMPLATE = re.compile(r"\{\{(\w+)\.DATA\}\}")


@dataclass(slots=True)
class Follower:
    """A person known to the account. `spoke_at`: when he last did something that lets customer messages through."""

    openid: str
    nickname: str
    subscribe_time: int
    spoke_at: float
    subscribed: bool = True
    unionid: str | None = None
    sends_since_spoke: int = 0
    template_status: TemplateStatus = "success"
    """What becomes of template messages to him. Source: 模板消息 (TEMPLATESENDJOBFINISH)."""


@dataclass(slots=True)
class Template:
    """A template message; `content` has its fields as {{name.DATA}}."""

    template_id: str
    title: str
    content: str

    def fill(self, data: dict[str, Any]) -> str:
        """Return what the follower reads; a field without a value is left blank, as the platform does."""
        return _FIELD_OF_TEMPLATE.sub(lambda found: str(data.get(found[1], {}).get("value", "")), self.content)


@dataclass(slots=True)
class Sent:
    """A message that went out: when, by which call, to whom, what it reads, and the body that was posted."""

    at: float
    path: str
    openid: str
    text: str
    body: dict[str, Any]


@dataclass(slots=True)
class Address:
    """Where the secret was used from, and what the administrator said to it: yes, no at these times, nothing yet."""

    agreed: bool | None = None
    refused_at: list[float] = field(default_factory=list)


@dataclass(slots=True)
class Account:
    """One account. Plain fields may be set at any time; what has a method has a rule.

    `allow_list` None means that none is set and every caller may ask. `token_length` is that of tokens to come.
    `forbidden` are the paths whose permission is off (48001). What is held by name stands under its own: media_id,
    ticket, type, code, and a grant under its access_token.
    """

    appid: str
    secret: str = field(repr=False)
    kind: Kind
    profile: Profile
    expires_in: int
    allow_list: set[str] | None
    token_length: int
    meters: dict[str, Meter]
    forbidden: set[str] = field(default_factory=set)
    frozen_from: float = NEVER
    frozen_until: float = NEVER
    classic: TokenLine = field(default_factory=TokenLine)
    stable: TokenLine = field(default_factory=TokenLine)
    wecom: TokenLine = field(default_factory=TokenLine)
    forces: Meter = field(default_factory=lambda: Meter(FORCES_A_DAY))
    forced_at: float = -NEVER
    clearings_month: str = ""
    clearings: int = 0
    followers: dict[str, Follower] = field(default_factory=dict)
    templates: dict[str, Template] = field(default_factory=dict)
    sent: deque[Sent] = field(default_factory=lambda: deque(maxlen=KEPT_MESSAGES))
    messages: int = 0
    menu: dict[str, Any] | None = None
    media: dict[str, Media] = field(default_factory=dict)
    qrcodes: dict[str, QRCode] = field(default_factory=dict)
    tickets: dict[str, Ticket] = field(default_factory=dict)
    codes: dict[str, Code] = field(default_factory=dict)
    grants: dict[str, Grant] = field(default_factory=dict)
    addresses: dict[str, Address] = field(default_factory=dict)
    """By ip, if the platform checks new ones. Source: 获取 access_token (风险调用确认)."""
    callback: Callback | None = None
    due: deque[Message] = field(default_factory=deque)
    """Events that are to be pushed as soon as the call that brought them about is answered."""

    @property
    def scale(self) -> float:
        """What the daily and minute quotas are multiplied by, so that short lives do not use up the day."""
        return max(1, PLATFORM_LIFE / self.expires_in)

    def set_expires_in(self, seconds: int) -> None:
        """Let tokens to come live `seconds`; those issued keep their life. Raises ValueError outside 2..86400."""
        if not 2 <= seconds <= 86_400:  # noqa: PLR2004 - below 2 the window leaves no whole second to announce
            raise ValueError(f"expires_in must be from 2 to 86400 seconds, not {seconds}")
        self.expires_in = seconds

    def set_token_length(self, characters: int) -> None:
        """Let tokens to come be that long. Raises ValueError outside 32..2048."""
        if not 32 <= characters <= 2048:  # noqa: PLR2004 - below 32 they could be guessed, longer ones nobody keeps
            raise ValueError(f"token_length must be from 32 to 2048 characters, not {characters}")
        self.token_length = characters

    def set_allow_list(self, ips: Iterable[str] | None) -> None:
        """Let only `ips` make the calls that take the secret; None takes the allow-list away."""
        self.allow_list = None if ips is None else set(ips)

    def set_quota(self, path: str, daily: int, per_minute: int | None = None) -> None:
        """Give `path` these quotas, at a life of 7200 s; what was used stays used."""
        meter = self.meters.setdefault(path, Meter(daily))
        meter.daily, meter.per_minute = daily, per_minute

    def confirm(self, ip: str, now: float, *, agreed: bool) -> None:
        """Let the administrator say what he thinks of an address, that was used or will be."""
        address = self.addresses.setdefault(ip, Address())
        address.agreed = agreed
        if not agreed:
            address.refused_at = [*address.refused_at[-1:], now]

    def is_frozen(self, now: float) -> bool:
        """Say whether the secret is frozen."""
        return self.frozen_from <= now < self.frozen_until

    def follower(self, openid: str) -> Follower:
        """Return who has this openid here, also if he left. Raises LookupError."""
        if openid not in self.followers:
            raise LookupError(f"account {self.appid} has no follower {openid}")
        return self.followers[openid]

    def unfollow(self, openid: str) -> None:
        """Let a follower leave; the account goes on knowing his openid. Raises LookupError."""
        self.follower(openid).subscribed = False

    def hear(self, openid: str, now: float) -> None:
        """Let a follower write to the account: 48 hours of customer messages begin anew. Raises LookupError."""
        follower = self.follower(openid)
        follower.spoke_at, follower.sends_since_spoke = now, 0
