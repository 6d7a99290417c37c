"""What a command knows of how it was called, and how it speaks: language, form of the output, store or hub."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from zhongkong.adapters.stores.addresses import FileAddress, parse_address
from zhongkong.adapters.stores.examining import is_there
from zhongkong.cli.api import Api, Document, open_here, open_there
from zhongkong.core.model import Secret
from zhongkong.errors import AccessDenied, SettingInvalid, StoreRefused
from zhongkong.messages import Language, choose_language, render
from zhongkong.settings import Settings, find_file, load_settings
from zhongkong.settings.values import Unfit, read_base_url

LOCALE = ("LC_ALL", "LC_MESSAGES", "LANG")
YES = frozenset({"y", "yes", "是"})
NO = frozenset({"n", "no", "否"})
"""Answers in whichever language; who only presses Enter said no."""


@dataclass(slots=True)
class Session:
    """One call of the command line."""

    lang: Language
    as_json: bool = False
    config: str | None = None
    hub: str | None = None
    hub_said_by: str = "--hub"
    """The option or the variable."""
    flags: dict[str, object] = field(default_factory=dict)
    """Settings said on the command line, by field."""

    # --- speaking

    def text(self, code: str, **values: object) -> str:
        """Return a text of the catalogue."""
        return render(code, self.lang, **values)

    def say(self, code: str, **values: object) -> None:
        """Tell a person something on stdout; a program that reads JSON is told on stderr."""
        self.tell(self.text(code, **values))

    def tell(self, text: str) -> None:
        """Tell a person what somebody else put into words."""
        click.echo(text, err=self.as_json)

    def complain(self, text: str) -> None:
        """Tell a person what went wrong, on stderr."""
        click.echo(text, err=True)

    def ask_person(self, question: str) -> str:
        """Return what a person types at the terminal; where there is none, the next line of stdin, empty at its end."""
        if sys.stdin.isatty():
            return str(click.prompt(question, default="", show_default=False, prompt_suffix=" ", err=True)).strip()
        return sys.stdin.readline().strip()

    def confirm(self, code: str, **values: object) -> None:
        """Return once a person said yes to a question.

        Raises: click.Abort: he said no. SettingInvalid: there is no terminal, and no answer on stdin.
        """
        question = f"{self.text(code, **values)} {self.text('label_yes_or_no')}"
        while (answer := self.ask_person(question).lower()) not in YES:
            if answer in NO or (not answer and sys.stdin.isatty()):
                raise click.Abort
            if not sys.stdin.isatty():
                raise SettingInvalid("cli_yes_wanted")
            self.complain(self.text("cli_yes_or_no"))

    def show_json(self, document: Mapping[str, Any]) -> None:
        """Write one JSON object as one line."""
        click.echo(json.dumps(document, ensure_ascii=False, separators=(",", ":")))

    # --- what is worked on

    def settings(self) -> Settings:
        """Return the settings of file, environment and flags.

        Raises: SettingInvalid.
        """
        file = Path(self.config) if self.config else find_file(os.environ)
        settings = load_settings(file, os.environ, self.flags)
        self.lang = choose_language(settings.lang, default=self.lang)
        return settings

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None, *, makes: bool = False) -> Document:
        """Return what the hub's interface answers to one request, here or there; `makes` as for `api`.

        Raises: ApiRefused; as `api`.
        """

        async def ask() -> Document:
            async with self.api(makes=makes) as api:
                return await api.ask(method, path, body)

        return asyncio.run(ask())

    @asynccontextmanager
    async def api(self, *, makes: bool = False) -> AsyncIterator[Api]:
        """Open the hub that was named, else the store of the settings; only a command that `makes` something makes one.

        Raises: SettingInvalid. AccessDenied. StoreError.
        """
        if self.hub is not None:
            async with open_there(_read_url(self.hub, self.hub_said_by), _read_key(self.hub), self.lang) as there:
                yield there
            return
        settings = self.settings()
        if not makes:
            refuse_missing(settings)  # a typo in --data-dir is no wish for another store
        async with open_here(settings, self.lang) as (here, seats):
            if seats.seal_made is not None:
                self.complain(self.text("cli_seal_made", path=seats.seal_made))
            yield here


def refuse_missing(settings: Settings) -> None:
    """Return unless the store is a file that is not there. Raises: StoreRefused; nothing was made."""
    address = parse_address(settings.store_url)
    if isinstance(address, FileAddress) and not is_there(address.path):
        raise StoreRefused("store_missing", path=str(address))


def find_language(arguments: list[str], environ: Mapping[str, str]) -> Language:
    """Return the language to speak before the command line is understood: for --help and for what is wrong with it."""
    said = None
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=False):
        if argument == "--lang":
            said = following
        elif argument.startswith("--lang="):
            said = argument.removeprefix("--lang=")
    return choose_language(said, environ.get("ZHONGKONG_LANG"), next(filter(None, map(environ.get, LOCALE)), None))


def read_secret(
    session: Session, *, file: str | None, variable: str | None, prompt: str, name: str = "--secret"
) -> Secret:
    """Return a secret from a file, a variable, a person who types it unseen, or stdin. It is never an argument.

    `prompt` is the code of what a person is asked, `name` how its options begin. Raises: SettingInvalid: there is
    none; what was given in place of a file or a variable that exists is not repeated, for it may be the secret.
    """
    if file is not None:
        text, source = _read_file(file, f"{name}-file"), file
    elif variable is not None:
        if variable not in os.environ:
            raise SettingInvalid("cli_secret_variable_absent", option=f"{name}-env")
        text, source = os.environ[variable], variable
    elif sys.stdin.isatty():
        text, source = click.prompt(session.text(prompt), hide_input=True, prompt_suffix=" ", err=True), "stdin"
    else:
        text, source = sys.stdin.readline(), "stdin"
    if not text.strip():
        raise SettingInvalid("cli_secret_missing", source=source)
    return Secret(text.strip())


def _read_file(path: str, option: str) -> str:
    if path != "-" and not os.path.lexists(path):
        raise SettingInvalid("cli_secret_file_absent", option=option)
    try:
        with click.open_file(path, encoding="utf-8") as opened:
            return str(opened.read())
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or type(error).__name__
        raise SettingInvalid("cli_secret_unreadable", path=path, why=why) from error


def _read_url(hub: str, said_by: str) -> str:
    try:
        return str(read_base_url(hub, Path()))
    except Unfit:
        raise SettingInvalid("cli_hub_wanted", where=said_by) from None


def _read_key(hub: str) -> Secret:
    key = os.environ.get("ZHONGKONG_KEY", "").strip()
    if not key:
        raise AccessDenied("cli_key_wanted", hub=hub)
    return Secret(key)
