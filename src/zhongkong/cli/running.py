"""`zhongkong serve`, `sandbox` and `demo`: what runs until Ctrl-C."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click

from zhongkong import demo as demonstration
from zhongkong.cli.api import url_of
from zhongkong.cli.exits import Exit
from zhongkong.cli.session import Session
from zhongkong.cli.show_demo import choose_show
from zhongkong.cli.words import Command, CommandT, Option, option
from zhongkong.errors import SettingInvalid
from zhongkong.sandbox.saving import DataTaken, DataUnreadable
from zhongkong.sandbox.server import Running, serve_sandbox
from zhongkong.serving import Welcome
from zhongkong.serving import serve as serve_hub
from zhongkong.settings import read_accounts, table

COMMON = ("data_dir", "lang")
"""Settings that every command takes."""


def _setting_options(*left_out: str) -> Callable[[CommandT], CommandT]:
    """Return a decorator that adds a flag for each setting but those `left_out`."""

    def add(command: CommandT) -> CommandT:
        for setting in reversed(table()):
            if setting.field not in left_out:
                metavar = setting.unit.upper() or "VALUE"
                text = f"setting_help_{setting.field}"
                bare = {"is_flag": False, "flag_value": setting.bare} if setting.bare else {}
                command = click.option(setting.flag, setting.field, cls=Option, metavar=metavar, help=text, **bare)(
                    command
                )
        return command

    return add


# --- serve


@click.command("serve", cls=Command, help="cli_help_serve")
@_setting_options("sandbox_port", *COMMON)
@click.pass_obj
def serve(session: Session, /, **flags: str | None) -> int:
    """Serve until told to end."""
    session.flags |= flags
    settings = session.settings()
    accounts = read_accounts(settings.declarations, os.environ)
    return serve_hub(settings, accounts, partial(_welcome, session), session.lang)


def _welcome(session: Session, welcome: Welcome) -> None:
    """Say where the hub listens, its first key if it has just been made, and what to do next."""
    url = url_of(welcome.host, welcome.port)
    if session.as_json:
        first_key = welcome.first_key.reveal() if welcome.first_key else None
        session.show_json({"hub_url": url, "first_key": first_key})
        return
    session.say("cli_serving", url=url, accounts=welcome.accounts, workers=welcome.workers)
    if welcome.tls is not None:
        session.say("cli_serving_tls", host=welcome.tls[0], port=welcome.tls[1])
    if welcome.metrics is not None:
        session.say("cli_serving_metrics", url=url_of(*welcome.metrics))
    if welcome.seal_made is not None:
        session.say("cli_seal_made", path=welcome.seal_made)
    if welcome.first_key is not None:
        session.say("cli_first_key")
        click.echo(f"\n  export ZHONGKONG_KEY={welcome.first_key.reveal()}\n")
        if not welcome.accounts:
            session.say("cli_next_account")


# --- sandbox


@click.command("sandbox", cls=Command, help="cli_help_sandbox")
@option("--host", default="127.0.0.1", help="cli_option_sandbox_host")
@option("--port", metavar="PORT", help="setting_help_sandbox_port")
@option("--expires-in", type=click.IntRange(2, 86_400), metavar="S", help="cli_option_token_life")
@option("--speed", type=click.FloatRange(0, 100_000), default=1.0, metavar="N", help="cli_option_speed")
@option("--data", type=click.Path(path_type=Path, file_okay=False), help="cli_option_data")
@click.pass_obj
def sandbox(session: Session, /, host: str, port: str | None, **options: Any) -> None:
    """Serve a sandbox until told to end."""
    session.flags["sandbox_port"] = port
    settings = session.settings()
    ready = partial(_tell_sandbox, session)
    try:
        asyncio.run(serve_sandbox(host, settings.sandbox_port, ready=ready, handle_signals=True, **options))
    except DataUnreadable as error:
        raise SettingInvalid("cli_sandbox_data", path=str(options["data"])) from error
    except DataTaken as error:
        raise SettingInvalid("cli_sandbox_data_taken", path=str(options["data"])) from error
    except OSError as error:
        raise SettingInvalid(
            _why_not(error), host=host, port=settings.sandbox_port, flag="--port", path=str(options["data"])
        ) from error


def _why_not(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "port_taken"
    if error.filename is not None:
        return "cli_sandbox_data_unusable"
    return "port_forbidden" if error.errno in (errno.EACCES, errno.EPERM) else "host_not_here"


def _tell_sandbox(session: Session, running: Running) -> None:
    """Say where it is and what account is in it; it is a test account that exists nowhere else, so all is shown."""
    account = running.account
    appid, secret = (account.appid, account.secret) if account else (None, None)
    if session.as_json:
        session.show_json({"sandbox_url": running.url, "appid": appid, "secret": secret})
        return
    session.say("cli_sandbox", url=running.url)
    if appid is not None:
        click.echo(f"\n  appid   {appid}\n  secret  {secret}\n")
        session.say("cli_sandbox_try", url=running.url, appid=appid)


# --- demo


@click.command("demo", cls=Command, help="cli_help_demo")
@option("--hub-port", type=click.IntRange(0, 65_535), default=8600, metavar="PORT", help="setting_help_port")
@option(
    "--sandbox-port", type=click.IntRange(0, 65_535), default=8601, metavar="PORT", help="setting_help_sandbox_port"
)
@option("--expires-in", type=click.IntRange(2, 86_400), default=60, metavar="S", help="cli_option_token_life")
@option("--duration", type=click.FloatRange(0, min_open=True), metavar="S", help="cli_option_duration")
@click.pass_obj
def demo(session: Session, /, **options: Any) -> Exit:
    """Show a whole hub at work until Ctrl-C."""
    asyncio.run(demonstration.run(choose_show(session), **options))
    return Exit.DONE
