"""`zhongkong db` and `zhongkong seal`: the store's schema and its master key."""

from __future__ import annotations

import asyncio

import click

from zhongkong.adapters.certificates import reseal_authority
from zhongkong.adapters.stores.addresses import parse_address
from zhongkong.adapters.stores.examining import StoreFacts, examine
from zhongkong.cli.exits import Exit
from zhongkong.cli.session import Session, refuse_missing
from zhongkong.cli.words import Group
from zhongkong.errors import StoreRefused
from zhongkong.serving import seat_store
from zhongkong.settings import Settings


@click.group(cls=Group, help="cli_help_db")
def db() -> None:
    """Hold the commands about the store."""


@db.command("upgrade", help="cli_help_db_upgrade")
@click.pass_obj
def upgrade(session: Session) -> None:
    """Bring the store to this program's schema, as every start does; make it where there is none."""
    settings = session.settings()
    asyncio.run(_open(settings))
    facts = _examine(settings)
    if session.as_json:
        session.show_json({"schema": facts.schema, "known": facts.known})
    else:
        session.say("cli_db_upgraded", path=parse_address(settings.store_url), schema=facts.schema)


@db.command("check", help="cli_help_db_check")
@click.pass_obj
def check(session: Session) -> Exit:
    """Look whether the store is whole and of this program's schema; nothing is changed."""
    settings = session.settings()
    refuse_missing(settings)
    path = parse_address(settings.store_url)
    facts = _examine(settings)
    is_good = not facts.faults and facts.schema == facts.known and not facts.moved_to and not facts.is_unfinished
    if session.as_json:
        told = {"schema": facts.schema, "known": facts.known, "faults": facts.faults, "good": is_good}
        session.show_json(told)
        return Exit.DONE if is_good else Exit.STORE
    if facts.faults:
        raise StoreRefused("store_not_whole", path=str(path), faults="; ".join(facts.faults))
    if facts.moved_to:
        raise StoreRefused("store_moved", place=facts.moved_to)
    if facts.is_unfinished:
        raise StoreRefused("store_unfinished")
    if not is_good:
        code = "store_older" if facts.schema < facts.known else "store_newer"
        raise StoreRefused(code, found=facts.schema or "–", known=facts.known, version=facts.program or "?")
    session.say("cli_db_good", path=path, schema=facts.schema)
    return Exit.DONE


def _examine(settings: Settings) -> StoreFacts:
    return examine(parse_address(settings.store_url), settings.store_prefix)


async def _open(settings: Settings) -> None:
    async with seat_store(settings):
        pass


@click.group(cls=Group, help="cli_help_seal")
def seal() -> None:
    """Hold the commands about the seal."""


@seal.command("rotate", help="cli_help_seal_rotate")
@click.pass_obj
def rotate(session: Session) -> None:
    """Make a new master key and close everything with it; hubs that run go on."""
    settings = session.settings()
    refuse_missing(settings)
    sealed = asyncio.run(_rotate(settings))
    if session.as_json:
        session.show_json({"resealed": sealed, "seal_file": str(settings.seal_file)})
    else:
        session.say("cli_seal_rotated", path=settings.seal_file, count=sealed)


async def _rotate(settings: Settings) -> int:
    """Rotate, and return how many secrets and tokens were closed anew."""
    async with seat_store(settings) as (store, seal):
        if await store.sealed_by() != seal.check:
            async for _ in store.reseal():  # a rotation was cut short: what it left would be lost by another
                pass
        reseal_authority(settings.data_dir, seal)  # the same
        seal.rotate()
        resealed = 0
        async for progress in store.reseal():
            resealed = progress.done
        return resealed + reseal_authority(settings.data_dir, seal)
