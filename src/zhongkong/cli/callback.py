"""The callback on the command line: what `account set` takes for it, and `zhongkong callback`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import click

from zhongkong.cli.exits import Exit
from zhongkong.cli.session import Session, read_secret
from zhongkong.cli.words import Group, hub_option, option
from zhongkong.errors import SettingInvalid

CommandT = TypeVar("CommandT", bound=Callable[..., Any])
LONGEST_FILE = 4096


@dataclass(frozen=True, slots=True)
class _Word:
    """A secret of the callback, by its options and its field."""

    field: str
    flag: str
    prompt: str

    @property
    def option(self) -> str:
        return f"--{self.flag}"

    @property
    def argument(self) -> str:
        return self.flag.replace("-", "_")


_WORDS = (
    _Word("token", "callback-token", "cli_ask_callback_token"),
    _Word("encoding_aes_key", "encoding-aes-key", "cli_ask_encoding_aes_key"),
)


def callback_options(command: CommandT) -> CommandT:
    """Add what `account set` takes about the callback."""
    for name, metavar, text in (
        ("--verify-file", "PATH", "cli_option_verify_file"),
        ("--listener", "URL", "cli_option_listener"),
    ):
        command = option(name, f"{name[2:].replace('-', '_')}s", multiple=True, metavar=metavar, help=text)(command)
    command = option("--no-listeners", is_flag=True, help="cli_option_no_listeners")(command)
    command = option("--handler", metavar="URL", help="cli_option_handler")(command)
    for word in reversed(_WORDS):
        text = f"cli_option_{word.argument}"
        command = option(f"--make-{word.flag}", is_flag=True, help=f"cli_option_make_{word.argument}")(command)
        command = option(f"{word.option}-env", metavar="NAME", help=f"{text}_env")(command)
        command = option(f"{word.option}-file", metavar="PATH", help=f"{text}_file")(command)
        command = option(word.option, f"asks_{word.argument}", is_flag=True, help=text)(command)
    return command


def take_callback(session: Session, given: dict[str, Any]) -> dict[str, Any]:
    """Take the callback's options out of `given`, and return what the hub is asked for; empty if nothing is.

    Raises: SettingInvalid: a secret or a file is not where it should be.
    """
    body: dict[str, Any] = {}
    for word in _WORDS:
        asks, file, variable, makes = (
            given.pop(name)
            for name in (
                f"asks_{word.argument}",
                f"{word.argument}_file",
                f"{word.argument}_env",
                f"make_{word.argument}",
            )
        )
        if asks or file or variable:
            secret = read_secret(session, file=file, variable=variable, prompt=word.prompt, name=word.option)
            body[word.field] = secret.reveal()
        if makes:
            body[f"make_{word.field}"] = True
    handler, listeners, none = (given.pop(name) for name in ("handler", "listeners", "no_listeners"))
    if handler is not None:
        body["handler"] = handler
    if listeners or none:
        body["listeners"] = list(listeners)
    if files := _read_files(given.pop("verify_files")):
        body["verify_files"] = files
    return body


def _read_files(paths: Sequence[str]) -> dict[str, str]:
    files = {}
    for path in map(Path, paths):
        try:
            with path.open("rb") as file:
                files[path.name] = file.read(LONGEST_FILE).decode("utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or type(error).__name__
            raise SettingInvalid("cli_verify_file_unreadable", path=str(path), why=why) from error
    return files


def tell_callback(session: Session, shown: Mapping[str, Any]) -> None:
    """Say what to paste into the platform's page, and what else is set."""
    session.say("cli_callback_paste")
    made = shown.get("made", {})
    lines = {
        "callback_url": shown["url"] or f"https://YOUR-HOST{shown['path']}",
        "callback_token": made.get("token"),
        "encoding_aes_key": made.get("encoding_aes_key"),
        "callback_handler": shown["handler"] or "–",
        "callback_listeners": ", ".join(shown["listeners"]) or "–",
        "callback_files": ", ".join(f"/{name}" for name in shown["verify_files"]),
    }
    for name, value in lines.items():
        if value:
            session.tell(f"{session.text(f'label_{name}')}: {value}")
    if not shown["url"]:
        session.say("cli_callback_no_url")
    if made:
        session.say("cli_callback_shown_once")
    has_key = "cli_callback_with_key" if shown["encoding_aes_key"] else "cli_callback_without_key"
    session.say(has_key if shown["token"] else "cli_callback_without_token", appid=shown["appid"])


def callback_path(appid: str) -> str:
    """Return the route of an account's callback."""
    return f"/v1/accounts/{quote(appid, safe='')}/callback"


@click.group(cls=Group, help="cli_help_callback")
def callback() -> None:
    """Hold the commands about the callback."""


@callback.command("show", help="cli_help_callback_show")
@click.argument("appid")
@hub_option
@click.pass_obj
def show(session: Session, appid: str) -> None:
    """Show how an account is pushed to."""
    shown = session.ask("GET", callback_path(appid))
    if session.as_json:
        session.show_json(shown)
    else:
        tell_callback(session, shown)


@callback.command("verify", help="cli_help_callback_verify")
@click.argument("appid")
@option("--url", metavar="URL", help="cli_option_callback_url")
@hub_option
@click.pass_obj
def verify(session: Session, appid: str, url: str | None) -> Exit:
    """Ask our own address as the platform would, and say what fails."""
    found = session.ask("POST", f"{callback_path(appid)}/verify", {} if url is None else {"url": url})
    if session.as_json:
        session.show_json(found)
    elif found["ok"]:
        session.tell(found["detail"])
    else:
        session.complain(found["detail"])
        session.complain(session.text("cli_see_doctor"))
    return Exit.DONE if found["ok"] else Exit.FAILED
