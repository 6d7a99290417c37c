"""Entries to write, and accounts they are of."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from zhongkong.core.model import Account, AccountKind, Kind, Secret, hash_value
from zhongkong.core.sinks import LAYOUTS, Aim, Entry, Layout, SinkKind

APPID = "wx0123456789abcdef"
SECRET = "8f14e45fceea167a5a36dedd4bea2543"
ACCOUNT = Account(APPID, AccountKind.OFFICIAL, Secret(SECRET))
NOW = 1_800_000_000.0


def entry(generation: int = 1, value: str = "", **changed: Any) -> Entry:
    """Return what a sink is to hold of a generation; former generations' values are known."""
    text = value or value_of(generation)
    former = {hash_value(value_of(one)) for one in range(1, generation)}
    made = Entry(
        account=ACCOUNT,
        kind=Kind.ACCESS_TOKEN,
        value=text,
        sha256=hash_value(text),
        generation=generation,
        expires_at=NOW + 7000,
        expires_in=7000,
        doubtful=False,
        written_at=NOW,
        known=frozenset({hash_value(text), *former}),
    )
    return replace(made, **changed)


def value_of(generation: int) -> str:
    """Return the token of a generation: as long as real ones, with their odd characters."""
    return f"83_{generation:04d}-_" + "aZ9" * 42


def aim(layout: str | Layout = "tutorial", **given: Any) -> Aim:
    """Return a sink as it is set."""
    chosen = layout if isinstance(layout, Layout) else LAYOUTS[layout]
    return Aim(**{"name": "old", "kind": SinkKind.REDIS, "layout": chosen, **given})
