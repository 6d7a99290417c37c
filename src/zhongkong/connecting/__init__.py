"""Seats a source of credentials: over a hub, or over a keeper in this very process. Each is imported when it is met."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite
from pathlib import Path
from ssl import SSLContext
from typing import Any, Literal, NamedTuple, NotRequired, TypeAlias, TypedDict, Unpack

from zhongkong.client.engine import Engine
from zhongkong.client.explaining import explained
from zhongkong.client.faces import AsyncFace, SyncFace
from zhongkong.client.source import PATIENCE, AsyncSource, Source
from zhongkong.errors import SettingInvalid, ZhongkongError

SQLITE = "sqlite:///"
HUB = ("http://", "https://")


class AccountGiven(TypedDict):
    """An account of which more is to be said than its secret."""

    secret: str
    kind: NotRequired[Literal["official", "miniprogram"]]
    mode: NotRequired[Literal["stable", "classic", "follow"]]
    base_url: NotRequired[str]
    is_test: NotRequired[bool]
    on_contest: NotRequired[Literal["stable", "classic"]]
    name: NotRequired[str]


Accounts: TypeAlias = Mapping[str, str | AccountGiven]
"""By appid: the secret, or a dict with the secret and more."""


class Options(TypedDict, total=False):
    """How to connect. Each kind of URL takes its own."""

    key: str
    """For a hub: what opens it. Default: the variable ZHONGKONG_KEY."""
    verify: SSLContext
    """For a hub: what its certificate is judged by, where it is not one that all the world knows."""
    proxy: str
    """The HTTP proxy on the way to the hub, or to the platform. Variables of the environment are not followed."""
    accounts: Accounts
    """For a file: what is brought into it. Default: the accounts that are there."""
    seal_file: str | Path
    """For a file: what opens it. Default: beside it, with the suffix `.seal`; made where there is none."""
    poll_seconds: float
    """For a file: how soon it is known here that another process renewed a credential. Default: 1."""


def connect(url: str, *, patience: float = PATIENCE, **options: Unpack[Options]) -> Source:
    """Return a source of credentials; nothing is opened or sent before it is asked for one.

    `https://…` is a hub. `sqlite:///FILE` is a file on a local disk in which this process keeps the credentials itself,
    together with all others on that file. No call waits longer than `patience` seconds.

    Raises: SettingInvalid: what was given cannot be used, and the error says what can.
    """
    place = _find_place(url, patience, options)
    return SyncFace(place.make_engine, place.name, patience=patience)


def connect_async(url: str, *, patience: float = PATIENCE, **options: Unpack[Options]) -> AsyncSource:
    """Return a source for coroutines, on any event loop and on several. What is given and raised: as for `connect`."""
    place = _find_place(url, patience, options)
    return AsyncFace(place.make_engine, place.name, patience=patience)


class _Place(NamedTuple):
    """Where credentials are, as it is shown, and what makes an engine for each process that asks."""

    name: str
    make_engine: Callable[[], Engine]


def _find_place(url: str, patience: float, options: Options) -> _Place:
    try:
        if not (isfinite(patience) and patience > 0):
            raise SettingInvalid("setting_wants_seconds", setting="patience", where="zhongkong.connect")
        if url.startswith(HUB):
            _refuse_others(options, "https://", {"key", "proxy", "verify"})
            return _at_hub(url, **options)
        if url.startswith(SQLITE) and url != SQLITE and ":memory:" not in url:
            _refuse_others(options, SQLITE, {"accounts", "poll_seconds", "proxy", "seal_file"})
            return _at_file(url, **options)
        raise SettingInvalid("connect_url_unknown")  # and not repeated: it may be a key, or hold a password
    except ZhongkongError as error:
        explained(error)
        raise


def _refuse_others(options: Options, scheme: str, fit: set[str]) -> None:
    for name in options.keys() - fit:
        raise SettingInvalid("connect_option_unfit", option=name, scheme=scheme, fit=", ".join(sorted(fit)))


def _at_hub(url: str, **options: Any) -> _Place:
    from zhongkong.client.hub import Hub  # noqa: PLC0415 (only where there is a hub)

    hub = Hub(url, **options)
    return _Place(hub.url, hub.make_engine)


def _at_file(url: str, **options: Any) -> _Place:
    try:
        from zhongkong.connecting.seating import find_seat  # noqa: PLC0415 (slow to import, and an extra)
    except ModuleNotFoundError as missing:
        package = (missing.name or "?").partition(".")[0]
        if package == "zhongkong":
            raise
        raise SettingInvalid("connect_extra_missing", module=package) from missing
    seat = find_seat(Path(url.removeprefix(SQLITE)), **options)
    return _Place(f"{SQLITE}{seat.store}", seat.make_engine)
