"""The program `zhongkong`: its commands, and how each of its ends is told."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import click

from zhongkong import __version__
from zhongkong.cli.account import account
from zhongkong.cli.api import ApiRefused
from zhongkong.cli.backups import backup, restore
from zhongkong.cli.ca import ca
from zhongkong.cli.callback import callback
from zhongkong.cli.credentials import reject, token
from zhongkong.cli.doctor.command import doctor
from zhongkong.cli.events import events
from zhongkong.cli.exits import Exit, exit_of_error, exit_of_problem
from zhongkong.cli.key import key
from zhongkong.cli.moving import store
from zhongkong.cli.running import demo, sandbox, serve
from zhongkong.cli.session import Session, find_language
from zhongkong.cli.store import db, seal
from zhongkong.cli.streams import OutputLost, end_unread
from zhongkong.cli.words import Group, Option, explain_usage
from zhongkong.errors import ZhongkongError
from zhongkong.keeper.upkeep import describe_bug
from zhongkong.messages import codes
from zhongkong.wechat.advice import explain_error

KEY_WANTED = "zk_…"
"""What the interface says it wants as the secret of an account that follows."""


class Program(Group):
    """The root of all commands. Whatever goes wrong below ends here, in words and with an exit code."""

    def main(self, args: Sequence[str] | None = None, **extra: Any) -> NoReturn:  # type: ignore[override]
        """Run the command line and exit."""
        arguments = list(sys.argv[1:] if args is None else args)
        session = Session(find_language(arguments, os.environ), as_json="--json" in arguments)
        extra = {**extra, "prog_name": "zhongkong", "standalone_mode": False, "obj": session}
        try:
            ended = super().main(arguments, **extra)
        except click.exceptions.NoArgsIsHelpError as asked:
            asked.show()
            ended = Exit.USAGE
        except click.Abort:
            ended = Exit.STOPPED
        except OutputLost as lost:
            ended = end_unread() if lost.is_unread else tell_failure(session, lost)
        except Exception as error:  # noqa: BLE001 (every failure is told in words)
            ended = tell_failure(session, error)
        sys.exit(int(ended or Exit.DONE))


def tell_failure(session: Session, error: Exception) -> Exit:
    """Tell on stderr what went wrong and what to do, and return the exit code."""
    exit_code, problem = _judge(session, error)
    if session.as_json:
        session.complain(_as_line(problem))
        return exit_code
    if isinstance(error, click.UsageError) and error.ctx is not None:
        session.complain(error.ctx.get_usage())
    session.complain(problem["detail"])
    session.complain(session.text("cli_see_doctor"))
    return exit_code


def _judge(session: Session, error: Exception) -> tuple[Exit, dict[str, Any]]:
    match error:
        case ApiRefused():
            problem = {**error.problem, "detail": _in_options(session, error.problem)}
            return exit_of_problem(problem["status"], problem["code"], problem.get("cause", "")), problem
        case ZhongkongError():
            return exit_of_error(error), {"code": error.code, "detail": explain_error(error, session.lang)}
        case OutputLost():
            return Exit.FAILED, {"code": "output_lost", "detail": session.text("cli_output_lost", why=error.why)}
        case click.ClickException():
            return Exit.USAGE, {"code": "usage", "detail": explain_usage(error, session.lang)}
        case _:
            what = describe_bug(error)
            return Exit.BUG, {"code": "bug", "detail": f"{session.text('cli_bug')}\n{what}"}


def _in_options(session: Session, problem: Mapping[str, Any]) -> str:
    """Return what the interface says was wrong; of a field that it refuses what the command line has in its place."""
    field, wanted = str(problem.get("field", "")), str(problem.get("wanted", ""))
    name = "secret_key" if (field, wanted) == ("secret", KEY_WANTED) else field.partition(" ")[0]
    code = f"cli_field_{name}"
    if problem["code"] != "request_invalid" or code not in codes():
        return str(problem["detail"])
    return session.text(code, wanted=wanted)


def _as_line(problem: dict[str, Any]) -> str:
    return json.dumps(problem, ensure_ascii=False, separators=(",", ":"))


@click.group(cls=Program, help="cli_help_zhongkong", context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="zhongkong %(version)s", cls=Option, help="cli_help_version")
def program() -> None:
    """Be the root."""


for command in (
    demo,
    serve,
    sandbox,
    account,
    callback,
    key,
    token,
    reject,
    events,
    store,
    backup,
    restore,
    db,
    seal,
    ca,
    doctor,
):
    program.add_command(command)
