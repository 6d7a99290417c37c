"""`zhongkong backup` and `zhongkong restore`: a SQLite store as one file; other databases have tools of their own."""

from __future__ import annotations

from pathlib import Path

import click

from zhongkong.adapters.stores.addresses import FileAddress, parse_address
from zhongkong.adapters.stores.backups import back_up, put_back
from zhongkong.adapters.stores.dumps import plan_dumping
from zhongkong.adapters.stores.examining import is_there
from zhongkong.cli.moving import open_seal
from zhongkong.cli.session import Session
from zhongkong.cli.words import Command, option
from zhongkong.errors import RequestRefused
from zhongkong.settings import Settings


@click.command("backup", cls=Command, help="cli_help_backup")
@click.argument("file", type=click.Path(path_type=Path))
@option("--overwrite", is_flag=True, help="cli_option_backup_overwrite")
@click.pass_obj
def backup(session: Session, file: Path, *, overwrite: bool) -> None:
    """Write the store to a file."""
    settings = session.settings()
    address = _read_file_address(settings)
    back_up(address, settings.store_prefix, file, overwrite=overwrite)
    if session.as_json:
        session.show_json({"backup": str(file), "store": str(address), "seal_file": str(settings.seal_file)})
    if not is_there(settings.seal_file):
        session.complain(session.text("cli_backed_up_without_seal", path=file, seal=settings.seal_file))
    elif not session.as_json:
        session.say("cli_backed_up", path=file, seal=settings.seal_file)


@click.command("restore", cls=Command, help="cli_help_restore")
@click.argument("file", type=click.Path(path_type=Path))
@option("--overwrite", is_flag=True, help="cli_option_restore_overwrite")
@click.pass_obj
def restore(session: Session, file: Path, *, overwrite: bool) -> None:
    """Have the store be what a backup holds."""
    settings = session.settings()
    address = _read_file_address(settings)
    put_back(file, address, settings.store_prefix, open_seal(settings), overwrite=overwrite)
    if session.as_json:
        session.show_json({"backup": str(file), "store": str(address), "seal_file": str(settings.seal_file)})
    else:
        session.say("cli_restored", path=address, backup=file)


def _read_file_address(settings: Settings) -> FileAddress:
    """Return the store's file.

    Raises: RequestRefused: it is in a database that has tools of its own; the error says which, and what to do after.
    """
    address = parse_address(settings.store_url)
    if isinstance(address, FileAddress):
        return address
    dumping = plan_dumping(address, settings.store_prefix)
    place, seal = str(address), str(settings.seal_file)
    raise RequestRefused("backup_by_own_tools", place=place, seal=seal, dump=dumping.dump, load=dumping.load)
