"""Tables for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from zhongkong.cli.session import Session
from zhongkong.core.model import Kind
from zhongkong.messages import codes

WIDE = 200
"""Columns where no terminal says how many there are: nothing is cut for a program that reads along."""
COLOURS = {
    "well": "green",
    "blocked": "red",
    "leader_key": "red",
    "leader_account": "red",
    "quota": "red",
    "contested": "red",
    "token_repeated": "red",
    "wrong_seal": "red",
}


def open_console(*, err: bool = False) -> Console:
    """Return what tables are written with; it is as wide as the terminal."""
    console = Console(stderr=err, highlight=False, markup=False, emoji=False)
    return console if console.is_terminal else Console(stderr=err, highlight=False, markup=False, width=WIDE)


def tell_time(instant: float | None) -> str:
    """Return an instant in this machine's time zone, `–` for none."""
    if instant is None:
        return "–"
    return datetime.fromtimestamp(instant, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def show_accounts(session: Session, accounts: Iterable[Mapping[str, Any]]) -> None:
    """Write accounts as a table, and under it what is the matter with those that are not well."""
    accounts = list(accounts)
    table = _table(session, "appid", "name", "kind", "mode", "state", "generation", "expires_at")
    for one in accounts:
        credential = one["credentials"][Kind.ACCESS_TOKEN.value]
        table.add_row(
            one["appid"],
            one["name"],
            one["kind"],
            one["mode"],
            _state(session, credential["state"]),
            str(credential.get("generation", "–")),
            tell_time(credential.get("expires_at")),
        )
    open_console().print(table)
    for one in accounts:
        credential = one["credentials"][Kind.ACCESS_TOKEN.value]
        if "detail" in credential:
            session.tell(credential["detail"])


def show_account(session: Session, account: Mapping[str, Any]) -> None:
    """Write one account, a line for each thing known of it; of how it is pushed to, who is told."""
    credential = account["credentials"][Kind.ACCESS_TOKEN.value]
    shown: dict[str, object] = {
        name: account[name]
        for name in ("appid", "name", "kind", "mode", "on_contest", "base_url", "is_test", "declared")
    }
    shown |= {"state": _state(session, credential["state"]), "generation": credential.get("generation", "–")}
    shown |= {name: tell_time(credential.get(name)) for name in ("minted_at", "expires_at")}
    callback = account["callback"]
    if callback["token"]:
        shown |= {"callback_handler": callback["handler"], "callback_listeners": ", ".join(callback["listeners"])}
    grid = Table.grid(padding=(0, 2))
    for name, value in shown.items():
        told = value if isinstance(value, Text) else _tell(session, value)
        grid.add_row(session.text(f"label_{name}"), told)
    open_console().print(grid)
    if "detail" in credential:
        session.tell(credential["detail"])


def show_keys(session: Session, keys: Iterable[Mapping[str, Any]]) -> None:
    """Write keys as a table."""
    table = _table(session, "id", "name", "grants", "appids", "networks", "rate", "expires_at", "last_used_at")
    for one in keys:
        table.add_row(
            one["id"],
            one["name"],
            " ".join(one["grants"]),
            " ".join(one["appids"]),
            " ".join(one["networks"]) or "–",
            str(one["rate"] or "–"),
            tell_time(one["expires_at"]),
            tell_time(one["last_used_at"]),
        )
    open_console().print(table)


def _table(session: Session, *labels: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for label in labels:
        table.add_column(session.text(f"label_{label}"))
    return table


def _state(session: Session, state: str) -> Text:
    code = f"label_state_{state}"
    known = code in codes()  # a newer hub may have another
    return Text(session.text(code) if known else state, COLOURS.get(state, "yellow"))


def _tell(session: Session, value: object) -> str:
    if isinstance(value, bool):
        return session.text("label_yes" if value else "label_no")
    return str(value) or "–"
