"""`zhongkong ca`: a private CA for the platform's names, and the certificate that the TLS port shows."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import click

from zhongkong.adapters.certificates import (
    CA_FILE,
    CA_KEY_FILE,
    NAMES,
    TLS_FILE,
    at,
    has_authority,
    issue,
    load_authority,
    make_authority,
    read_certificate,
    save_authority,
    save_certificate,
)
from zhongkong.adapters.clock import MachineClock
from zhongkong.adapters.seal import FileSeal
from zhongkong.cli.session import Session
from zhongkong.cli.words import Group, option
from zhongkong.errors import SettingInvalid
from zhongkong.serving import seat_store
from zhongkong.settings import Settings

_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_NAME = re.compile(rf"(?=.{{1,253}}$)({_LABEL}\.)*(?![0-9]+$){_LABEL}")
"""A name in DNS; the last label of an address is a number."""


@click.group(cls=Group, help="cli_help_ca")
def ca() -> None:
    """Hold the commands about the private CA."""


@ca.command("init", help="cli_help_ca_init")
@option("--name", "names", multiple=True, metavar="NAME", help="cli_option_ca_init_name")
@click.pass_obj
def init(session: Session, names: tuple[str, ...]) -> None:
    """Make a CA, and say what it can do to whom."""
    settings = session.settings()
    more = _read_names(names)
    if has_authority(settings.data_dir):
        raise SettingInvalid("ca_exists", path=str(settings.data_dir / CA_KEY_FILE))
    seal = asyncio.run(_open_seal(settings))
    made = make_authority(more, at(MachineClock().wall()))
    save_authority(settings.data_dir, made, seal)
    path = settings.data_dir / CA_FILE
    if session.as_json:
        session.show_json({"ca_file": str(path), "names": made.names, "ends_at": int(made.ends_at.timestamp())})
        return
    if seal.was_made:
        session.say("cli_seal_made", path=settings.seal_file)
    session.say("cli_ca_made", path=path, key=settings.data_dir / CA_KEY_FILE, names=", ".join(made.names))
    session.say("cli_ca_risk")
    session.say("cli_ca_next", path=path)


@ca.command("issue", help="cli_help_ca_issue")
@option("--name", "names", multiple=True, metavar="NAME", help="cli_option_ca_issue_name")
@click.pass_obj
def issue_certificate(session: Session, names: tuple[str, ...]) -> None:
    """Issue the certificate that the TLS port shows, or a newer one in its place."""
    settings = session.settings()
    path = settings.data_dir / TLS_FILE
    more = _read_names(names) or _former_names(path)
    if not has_authority(settings.data_dir):
        raise SettingInvalid("ca_missing", path=str(settings.data_dir / CA_KEY_FILE))
    authority = load_authority(settings.data_dir, asyncio.run(_open_seal(settings)))
    save_certificate(settings.data_dir, issue(authority, more, at(MachineClock().wall())))
    shown = read_certificate(path)
    if session.as_json:
        told = {"tls_file": str(path), "names": shown.names, "ends_at": int(shown.ends_at.timestamp())}
        session.show_json(told)
        return
    session.say("cli_certificate_issued", path=path, names=", ".join(shown.names), date=shown.ends_on)
    session.say("cli_certificate_next")


def _read_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return names as they stand in certificates.

    Raises: SettingInvalid: one is no name in DNS; an address is none.
    """
    read = tuple(one.lower().removesuffix(".") for one in names)
    for one in read:
        if not _NAME.fullmatch(one):
            raise SettingInvalid("ca_name_invalid", name=one)
    return read


def _former_names(path: Path) -> tuple[str, ...]:
    """Return the names that a person added to the certificate in use: a renewed one has them too."""
    try:
        return tuple(one for one in read_certificate(path).names if one not in NAMES)
    except SettingInvalid:
        return ()


async def _open_seal(settings: Settings) -> FileSeal:
    """Return the seal of the store, which is made where there is none."""
    async with seat_store(settings) as (_, seal):
        return seal
