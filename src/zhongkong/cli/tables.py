"""Tables for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from zhongkong.cli.session import Session
from zhongkong.core.model import Kind
from zhongkong.messages import codes

WIDE = 200
"""Columns where no terminal says how many there are."""
ENDLESS = 100_000
"""Columns that no table needs."""
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
    rows = []
    for one in accounts:
        credential = one["credentials"][Kind.ACCESS_TOKEN.value]
        row = {name: Text(one[name]) for name in ("appid", "name", "kind", "mode")}
        row["state"] = _state(session, credential["state"])
        row["generation"] = Text(str(credential.get("generation", "–")))
        row["expires_at"] = Text(tell_time(credential.get("expires_at")))
        rows.append(row)
    _show_rows(session, rows)
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
    told = {name: value if isinstance(value, Text) else Text(_tell(session, value)) for name, value in shown.items()}
    open_console().print(_lines(session, told))
    if "detail" in credential:
        session.tell(credential["detail"])


def show_keys(session: Session, keys: Iterable[Mapping[str, Any]]) -> None:
    """Write keys as a table."""
    rows = []
    for one in keys:
        row = {
            "id": one["id"],
            "name": one["name"],
            "grants": " ".join(one["grants"]),
            "appids": " ".join(one["appids"]),
            "networks": " ".join(one["networks"]) or "–",
            "rate": str(one["rate"] or "–"),
            "expires_at": tell_time(one["expires_at"]),
            "last_used_at": tell_time(one["last_used_at"]),
        }
        rows.append({name: Text(value) for name, value in row.items()})
    _show_rows(session, rows)


def build_grid(columns: int, *, gap: int = 1) -> Table:
    """Return a grid without lines; what is longer than the last column goes on below: nothing of it is dropped."""
    grid = Table.grid(padding=(0, gap))
    for _ in range(columns - 1):
        grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    return grid


def _show_rows(session: Session, rows: Sequence[Mapping[str, Text]]) -> None:
    """Write rows below each other; where a terminal is too narrow for that, each value on a line of its own.

    Nothing is cut: two appids that are cut look the same. Where there is no terminal, a row is a line.
    """
    if not rows:
        return
    console = open_console()
    for cells in (rows, [_stack(row) for row in rows]):
        table = _table(session, cells)
        width = console.measure(table, options=console.options.update(max_width=ENDLESS)).maximum
        if not console.is_terminal:
            console.width = width
        if width <= console.width:
            console.print(table)
            return
    for number, row in enumerate(rows):
        console.print(*[""] * bool(number), _lines(session, row), sep="\n")


def _table(session: Session, rows: Sequence[Mapping[str, Text]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in rows[0]:
        table.add_column(session.text(f"label_{name}"), no_wrap=True)
    for row in rows:
        table.add_row(*row.values())
    return table


def _stack(row: Mapping[str, Text]) -> dict[str, Text]:
    """Return a row with each word of a cell on a line of its own."""
    return {name: Text("\n").join(cell.split(" ")) for name, cell in row.items()}


def _lines(session: Session, row: Mapping[str, Text]) -> Table:
    grid = build_grid(2, gap=2)
    for name, cell in row.items():
        grid.add_row(session.text(f"label_{name}"), cell)
    return grid


def _state(session: Session, state: str) -> Text:
    code = f"label_state_{state}"
    known = code in codes()  # a newer hub may have another
    return Text(session.text(code) if known else state, COLOURS.get(state, "yellow"))


def _tell(session: Session, value: object) -> str:
    if isinstance(value, bool):
        return session.text("label_yes" if value else "label_no")
    return str(value) or "–"
