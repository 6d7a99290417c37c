"""`zhongkong token` and `zhongkong reject`: read a token, report one that was refused."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import click

from zhongkong.cli.session import Session, read_secret
from zhongkong.cli.words import Command, hub_option, option
from zhongkong.core.model import Kind

kind_option = option(
    "--kind",
    type=click.Choice([kind.value for kind in Kind]),
    default=Kind.ACCESS_TOKEN.value,
    help="cli_option_credential_kind",
)


@click.command("token", cls=Command, help="cli_help_token")
@click.argument("appid")
@kind_option
@hub_option
@click.pass_obj
def token(session: Session, appid: str, kind: str) -> None:
    """Print a credential: alone on its line, or with all that is known of it."""
    handed = session.ask("GET", _path(appid, kind))
    if session.as_json:
        session.show_json(handed)
    else:
        click.echo(handed[kind])


@click.command("reject", cls=Command, help="cli_help_reject")
@click.argument("appid")
@option("--sha256", metavar="HEX", help="cli_option_sha256")
@option("--generation", type=click.IntRange(min=1), help="cli_option_generation")
@option("--force", is_flag=True, default=None, help="cli_option_force")
@option("--token-file", metavar="PATH", help="cli_option_token_file")
@kind_option
@hub_option
@click.pass_obj
def reject(session: Session, /, appid: str, kind: str, token_file: str | None, **naming: Any) -> None:
    """Report a refused credential, and say what became of it; the new one is not shown."""
    names = {"sha256": "rejected_sha256", "generation": "generation", "force": "force"}
    body = {names[name]: value for name, value in naming.items() if value is not None}
    if not body:
        refused = read_secret(session, file=token_file, variable=None, prompt="cli_ask_token", name="--token")
        body = {"rejected": refused.reveal()}
    answered = session.ask("POST", f"{_path(appid, kind)}/reject", body)
    if session.as_json:
        del answered[kind]
        session.show_json(answered)
    else:
        became, named = answered["outcome"], body.get("generation", 0)
        if became == "refreshed" and body.get("force"):
            became = "by_force"  # nobody looked whether it was dead
        elif became == "already_newer" and named > answered["generation"]:
            became = "never_issued"
        session.say(f"cli_rejected_{became}", appid=appid, generation=answered["generation"], named=named)


def _path(appid: str, kind: str) -> str:
    return f"/v1/accounts/{quote(appid, safe='')}/{kind}"
