"""`zhongkong store`: a store moved to another database, what undoes that, and what follows a restore there."""

from __future__ import annotations

import os
import sys
from contextlib import closing
from typing import Any

import click

from zhongkong.adapters.seal import FileSeal
from zhongkong.adapters.stores.addresses import Address, ServerAddress, parse_address
from zhongkong.adapters.stores.copying import Copied, Copying, Progress
from zhongkong.adapters.stores.examining import is_there
from zhongkong.adapters.stores.renewing import renew_restored, reopen
from zhongkong.adapters.stores.sides import Side
from zhongkong.cli.session import Session
from zhongkong.cli.words import Group
from zhongkong.errors import SettingInvalid, StoreRefused
from zhongkong.settings import Settings


@click.group(cls=Group, help="cli_help_store")
def store() -> None:
    """Hold the commands about where the store is."""


@store.command("copy", help="cli_help_store_copy")
@click.argument("old", metavar="FROM")
@click.argument("new", metavar="TO")
@click.pass_obj
def copy(session: Session, old: str, new: str) -> None:
    """Copy a store, and have the copy be used from then on."""
    settings = session.settings()
    source, target = _read_address(old, "FROM"), _read_address(new, "TO")
    copying = Copying(source, target, settings.store_prefix, open_seal(settings))
    with closing(_Steps(session)) as steps:
        for progress in copying.run():
            steps.show(progress)
    _tell_copied(session, settings, copying.copied, Side(source, ""), Side(target, ""))


@store.command("reopen", help="cli_help_store_reopen")
@click.pass_obj
def reopen_moved(session: Session) -> None:
    """Have the store of the settings be used again, which was copied elsewhere."""
    settings = session.settings()
    side = Side(parse_address(settings.store_url), settings.store_prefix)
    place = reopen(side)
    if session.as_json:
        session.show_json({"store": side.place, "was_moved_to": place})
    else:
        session.say("cli_store_reopened", path=side.url, place=place)


@store.command("restored", help="cli_help_store_restored")
@click.pass_obj
def restored(session: Session) -> None:
    """Have hubs know that the store of the settings was restored by the database's own tools."""
    settings = session.settings()
    side = Side(parse_address(settings.store_url), settings.store_prefix)
    renew_restored(side)
    if session.as_json:
        session.show_json({"store": side.place})
    else:
        session.say("cli_store_restored", path=side.place)


def open_seal(settings: Settings) -> FileSeal:
    """Return the seal of what is to be read; none is made.

    Raises: StoreRefused: it is not here, or cannot be read.
    """
    if not is_there(settings.seal_file):
        raise StoreRefused("seal_missing", path=str(settings.seal_file))
    return FileSeal(settings.seal_file)


def _read_address(given: str, name: str) -> Address:
    """Return the address that a URL says, or the variable that holds one: a password need not be an argument."""
    url = given if "://" in given else os.environ.get(given, "")
    if not url:
        raise SettingInvalid("cli_store_variable_absent", name=name)
    return parse_address(url, name)


class _Steps:
    """Shows the steps of a copy on stderr, each with a bar where somebody looks."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._step = ""
        self._bar: Any = None  # of a class that click does not name

    def show(self, progress: Progress) -> None:
        """Show how far it has come."""
        if self._session.as_json:
            return
        if progress.step != self._step:
            self.close()
            self._step = progress.step
            label = self._session.text(f"label_copy_{progress.step}")
            bar = click.progressbar(length=progress.total, label=label, file=sys.stderr)
            self._bar = bar.__enter__()
        if self._bar is not None:
            self._bar.length = progress.total
            self._bar.update(progress.done - self._bar.pos)

    def close(self) -> None:
        """End the step that is shown."""
        if self._bar is not None:
            self._bar.__exit__(None, None, None)
            self._bar = None


def _tell_copied(session: Session, settings: Settings, copied: Copied, old: Side, new: Side) -> None:
    count = sum(copied.rows.values())
    if session.as_json:
        told = {"from": old.url, "to": new.url, "rows": dict(copied.rows), "unreadable": copied.unreadable}
        session.show_json({**told, "seal_file": str(settings.seal_file)})
        return
    session.say("cli_store_copied", old=old.url, new=new.url, count=count)
    if copied.unreadable:
        session.say("cli_store_copied_unreadable", count=copied.unreadable)
    session.say("cli_store_copied_next", new=new.url, seal=settings.seal_file)
    if isinstance(new.address, ServerAddress):
        session.say("cli_store_copied_server")
    session.say("cli_store_copied_undo", old=old.url)
