"""`zhongkong events`: the audit log, read or followed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import click

from zhongkong.cli.session import Session
from zhongkong.cli.tables import tell_time
from zhongkong.cli.words import Command, hub_option, option

LOOK_EVERY = 1.0
"""Seconds."""


@click.command("events", cls=Command, help="cli_help_events")
@option("--follow", "-f", is_flag=True, help="cli_option_follow")
@option("--appid", default="", help="cli_option_event_appid")
@option("--after", type=click.IntRange(min=0), metavar="ID", help="cli_option_after")
@option("--limit", type=click.IntRange(1, 1000), default=50, help="cli_option_limit")
@hub_option
@click.pass_obj
def events(session: Session, /, follow: bool, **asked: Any) -> None:  # noqa: FBT001 (click passes options by name)
    """Show what happened, and go on showing it until Ctrl-C."""
    asyncio.run(_show(session, follow=follow, **asked))


async def _show(session: Session, *, follow: bool, appid: str, after: int | None, limit: int) -> None:
    async with session.api() as api:
        while True:
            query = {"appid": appid, "after": after, "limit": limit}
            said = urlencode({name: value for name, value in query.items() if value not in ("", None)})
            page = await api.ask("GET", f"/v1/events?{said}")
            for event in page["events"]:
                show_event(session, event)
            after = page["next"]
            if not follow:
                return
            if len(page["events"]) < limit:
                await asyncio.sleep(LOOK_EVERY)


def show_event(session: Session, event: Mapping[str, Any]) -> None:
    """Write one event on one line."""
    if session.as_json:
        session.show_json(event)
    else:
        click.echo(f"{tell_time(event['at'])}  {event['text']}")
