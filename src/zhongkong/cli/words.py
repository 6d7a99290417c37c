"""click's commands and options, speaking the reader's language: a `help` is the code of a text.

Whatever click says itself (headings, what is wrong with a command line) comes from the catalogue too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any, TypeVar

import click

from zhongkong.cli.session import Session
from zhongkong.messages import LANGUAGES, Language, codes, render

HUB_VARIABLE = "ZHONGKONG_HUB"
CommandT = TypeVar("CommandT", bound=Callable[..., Any])


def language_of(context: click.Context) -> Language:
    """Return the language of this call."""
    session = context.find_object(Session)
    return session.lang if session is not None else "zh"


class Formatter(click.HelpFormatter):
    """Has headings in the reader's language."""

    lang: Language = "zh"

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        """Write the line of the usage."""
        super().write_usage(prog, args, render("label_usage", self.lang) + " " if prefix is None else prefix)

    @contextmanager
    def section(self, name: str) -> Iterator[None]:
        """Write a heading and what stands under it."""
        code = f"label_{name.lower()}"
        with super().section(render(code, self.lang) if code in codes() else name):
            yield


class Context(click.Context):
    """Makes the formatter for the reader's language."""

    def make_formatter(self) -> click.HelpFormatter:
        """Return the formatter."""
        formatter = Formatter(width=self.terminal_width, max_width=self.max_content_width)
        formatter.lang = language_of(self)
        return formatter


class Option(click.Option):
    """An option whose help is the code of a text."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Return how it is written and what it is for."""
        record = super().get_help_record(ctx)
        if record is None or not self.help:
            return record
        return record[0], record[1].replace(self.help, render(self.help, language_of(ctx)))


class Command(click.Command):
    """A command whose help is the code of a text, and which takes the options that all commands take."""

    context_class = Context

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Add the options of all commands behind its own."""
        super().__init__(*args, **kwargs)
        self.params = [*self.params, *common_options()]

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what it does."""
        _write_help_text(self, ctx, formatter)

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        """Return --help, told in the reader's language."""
        return _told_help_option(super().get_help_option(ctx), ctx)


class Group(click.Group):
    """A group whose help, and that of its commands, is the code of a text."""

    context_class = Context
    command_class = Command

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Add the options of all commands: they may stand before the command too."""
        super().__init__(*args, **kwargs)
        self.params = [*self.params, *common_options()]

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what it is about."""
        _write_help_text(self, ctx, formatter)

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        """Return --help, told in the reader's language."""
        return _told_help_option(super().get_help_option(ctx), ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's own signature)
        """Return its commands in the order in which they were added: what one needs first stands first."""
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write its commands with the first line of each help."""
        lang = language_of(ctx)
        rows = [
            (name, render(command.help or "", lang).partition("\n")[0])
            for name in self.list_commands(ctx)
            if (command := self.get_command(ctx, name)) is not None
        ]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


Group.group_class = Group


def _write_help_text(command: click.Command, ctx: click.Context, formatter: click.HelpFormatter) -> None:
    formatter.write_paragraph()
    with formatter.indentation():
        formatter.write_text(render(command.help or "", language_of(ctx)))


def _told_help_option(option: click.Option | None, ctx: click.Context) -> click.Option | None:
    if option is not None:
        option.help = render("cli_help_help", language_of(ctx))
    return option


# --- options


def option(*names: str, help: str, **attributes: Any) -> Callable[[CommandT], CommandT]:  # noqa: A002 (click's)
    """Return a decorator that adds an option whose help is the code of a text."""
    return click.option(*names, cls=Option, help=help, **attributes)


def hub_option(command: CommandT) -> CommandT:
    """Add --hub: the command asks a hub over HTTP instead of the store here."""
    return _common("--hub", "hub", envvar=HUB_VARIABLE, metavar="URL", help="cli_option_hub")(command)


def secret_options(command: CommandT) -> CommandT:
    """Add the ways to give a secret that are no argument."""
    command = option("--secret-env", metavar="NAME", help="cli_option_secret_env")(command)
    return option("--secret-file", metavar="PATH", help="cli_option_secret_file")(command)


def common_options() -> list[click.Parameter]:
    """Return the options that every command takes, and the program itself before them."""

    def build(*names: str, **attributes: Any) -> click.Parameter:
        return Option(names, expose_value=False, callback=_note, **attributes)

    return [
        build("--json", "as_json", is_flag=True, default=None, help="cli_option_json"),
        build("--config", metavar="PATH", help="cli_option_config"),
        build("--data-dir", metavar="PATH", help="setting_help_data_dir"),
        build("--lang", type=click.Choice(LANGUAGES), help="setting_help_lang"),
    ]


def _common(*names: str, **attributes: Any) -> Callable[[CommandT], CommandT]:
    return option(*names, expose_value=False, callback=_note, **attributes)


def _note(context: click.Context, parameter: click.Parameter, value: object) -> None:
    """Keep a common option in the session, if it was given."""
    session = context.find_object(Session)
    if session is None or value is None or parameter.name is None:
        return
    if parameter.name in ("as_json", "config", "hub"):
        setattr(session, parameter.name, value)
        if parameter.name == "hub" and context.get_parameter_source("hub") is click.ParameterSource.ENVIRONMENT:
            session.hub_said_by = HUB_VARIABLE
    else:
        session.flags[parameter.name] = value


# --- what is wrong with a command line


def explain_usage(error: click.ClickException, lang: Language) -> str:
    """Return what is wrong with a command line.

    A word that is like none of ours is not repeated, nor is a value: it may be a misplaced secret.
    """
    match error:
        case click.NoSuchOption():
            meant = _meant(error.option_name, error.possibilities, lang)
            return render("cli_no_such_option", lang, option=error.option_name, meant=meant)
        case click.NoSuchCommand():
            meant = _meant(error.command_name, error.possibilities, lang)
            code = "cli_no_such_command" if meant else "cli_nothing_like_a_command"
            return render(code, lang, command=error.command_name, meant=meant)
        case click.MissingParameter():
            return render("cli_missing", lang, name=_name_of(error))
        case click.BadOptionUsage():
            return render("cli_option_wants_value", lang, option=error.option_name)
        case click.BadParameter():
            return _explain_value(_name_of(error), error.param.type if error.param else None, lang)
        case _:
            return render("cli_not_understood", lang)


def _explain_value(name: str, kind: click.ParamType[Any] | None, lang: Language) -> str:
    """Return what the option or argument `name` wants."""
    match kind:
        case click.IntRange() | click.FloatRange():
            what = render("label_whole_number" if isinstance(kind, click.IntRange) else "label_number", lang)
            code = "cli_wants_above" if kind.min_open else "cli_wants_at_least"
            if kind.max is not None:
                code = "cli_wants_between"
            return render(code, lang, name=name, what=what, low=kind.min, high=kind.max)
        case click.Choice():
            return render("cli_bad_value", lang, name=name, wanted=f" ({' | '.join(map(str, kind.choices))})")
        case _:
            return render("cli_bad_value", lang, name=name, wanted="")


def _meant(given: str, possibilities: Sequence[str] | None, lang: Language) -> str:
    """Return the question which of `possibilities` was meant; nothing if none is like what was given."""
    bare = given.lstrip("-")  # two dashes are like two dashes
    like = [one for one in possibilities or () if get_close_matches(bare, [one.lstrip("-")])]
    return render("cli_meant", lang, meant=f" {render('label_or', lang)} ".join(like)) if like else ""


def _name_of(error: click.BadParameter) -> str:
    parameter = error.param
    if parameter is None:
        return error.param_hint if isinstance(error.param_hint, str) else "?"
    return parameter.opts[0] if isinstance(parameter, click.Option) else parameter.human_readable_name
