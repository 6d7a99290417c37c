"""The accounts that are pushed to: of every kind, in every mode, and two that share Token and key, as teams do."""

from __future__ import annotations

from dataclasses import dataclass

from zhongkong.core.callbacks import Callback
from zhongkong.core.model import AccountKind, Secret
from zhongkong.sandbox.pushes import Callback as Platforms
from zhongkong.sandbox.pushes import DataFormat, PushMode

TOKEN_HEART = "tQ7vXk2LmZ"
"""In every Token."""
KEY_HEART = "Zr8wPq3Ys6Hd1Nf"
"""In every EncodingAESKey."""
PATH_HEART = "hidden-9c31e0"
"""In every URL of a program behind the hub."""


@dataclass(frozen=True, slots=True)
class Party:
    """An account, as it is set up at the platform and here."""

    appid: str
    kind: AccountKind
    mode: PushMode
    shape: DataFormat
    token: str
    key: str
    """What the platform encrypts with."""
    key_here: str
    """The same, perhaps with other spare bits; empty: nobody brought it here."""
    handler: str = ""
    listeners: tuple[str, ...] = ()

    @property
    def receiver(self) -> str:
        """Return what stands at the end of what is encrypted."""
        return self.appid.partition(":")[0]

    @property
    def is_sealed(self) -> bool:
        """Say whether it is pushed to encrypted."""
        return self.mode != "plaintext"

    @property
    def is_wecom(self) -> bool:
        """Say whether it is an application of WeCom."""
        return self.kind is AccountKind.WECOM

    @property
    def places(self) -> tuple[str, ...]:
        """Return the URLs of the programs behind the hub."""
        return ((self.handler,) if self.handler else ()) + self.listeners

    def build_here(self) -> Callback:
        """Return how the hub is told of it."""
        urls = (Secret(self.handler), tuple(map(Secret, self.listeners)))
        return Callback(self.appid, Secret(self.token), Secret(self.key_here), *urls)

    def build_there(self) -> Platforms:
        """Return how the platform is told of it, to read answers by."""
        return Platforms("http://hub.test/", self.token, self.key, self.mode, self.shape)


def _key(letter: str, last: str = "A") -> str:
    return (KEY_HEART + letter * 42)[:42] + last


def _at(place: str) -> str:
    return f"http://robot:{PATH_HEART}@{place}.test/{PATH_HEART}"


def _listeners(place: str) -> tuple[str, ...]:
    return tuple(f"http://{place}-audit-{one}.test/?to={PATH_HEART}" for one in (1, 2))


def _of(name: str) -> str:
    return f"{name}{TOKEN_HEART}"


_OFFICIAL, _MINI, _WECOM = AccountKind.OFFICIAL, AccountKind.MINIPROGRAM, AccountKind.WECOM
PARTIES = (
    Party("wxplain", _OFFICIAL, "plaintext", "xml", _of("p"), _key("p"), "", _at("plain"), _listeners("plain")),
    Party("wxcompatible", _OFFICIAL, "compatible", "xml", _of("c"), _key("c"), _key("c"), f"{_at('both')}?robot=1"),
    Party("wxsafe", _OFFICIAL, "safe", "xml", _of("s"), _key("s", "A"), _key("s", "D"), _at("safe"), _listeners("s")),
    Party("wxmini", _MINI, "safe", "json", _of("m"), _key("m"), _key("m"), _at("mini")),
    Party("wxgame", _MINI, "plaintext", "json", _of("g"), _key("g"), _key("g"), "", _listeners("game")[:1]),
    Party("wwcorp:app", _WECOM, "safe", "xml", _of("w"), _key("w"), _key("w"), _at("corp")),
    Party("wxtwin", _OFFICIAL, "safe", "xml", _of("s"), _key("s", "A"), _key("s", "D"), _at("twin")),
)
TWINS = (PARTIES[2], PARTIES[6])
MUTE = "wxmute"
"""An account that has no callback here."""
STRANGERS = ("wxstranger", "ww:", "%00", "x" * 300, "..", "wxplain%20", "WXPLAIN", "%E4%B8%AD", "wxplain%00")
"""What is no account here."""
