"""How the demo is shown: as lines, or live in a terminal."""

from __future__ import annotations

from collections import deque
from dataclasses import asdict

import click
from rich.console import Group as Rows
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from zhongkong.cli.events import show_event
from zhongkong.cli.key import how_to_read
from zhongkong.cli.session import Session
from zhongkong.cli.tables import open_console, tell_time
from zhongkong.core.model import Credential, Seconds
from zhongkong.core.ports import KeptEvent
from zhongkong.demo import Stage
from zhongkong.hub.api.events import describe_event

EVENTS_SHOWN = 8
BAR_WIDTH = 40
SOON = 0.1
"""Below this share of its life left, the bar turns red."""


class Lines:
    """A demo told line by line: JSON for programs, text where there is no terminal to draw in."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def open(self, stage: Stage) -> None:
        """Write where everything is; as JSON this is the first line."""
        if self._session.as_json:
            self._session.show_json(asdict(stage))
        else:
            tell_stage(self._session, stage)

    def happened(self, event: KeptEvent) -> None:
        """Write the event."""
        show_event(self._session, describe_event(event, self._session.lang))

    def look(self, credential: Credential | None, left: Seconds) -> None:
        """Write nothing: a line four times a second would be a flood."""

    def close(self) -> None:
        """Say that nothing stays, to people."""
        if not self._session.as_json:
            self._session.say("demo_over")


class Drawn:
    """A demo drawn live: the token with a bar of its remaining life, and what happened lately."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._console = open_console()
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._events: deque[KeptEvent] = deque(maxlen=EVENTS_SHOWN)

    def open(self, stage: Stage) -> None:
        """Write what to try, and begin to draw below it."""
        tell_stage(self._session, stage)
        self._live.start()

    def happened(self, event: KeptEvent) -> None:
        """Keep the event for the next drawing."""
        self._events.append(event)

    def look(self, credential: Credential | None, left: Seconds) -> None:
        """Draw."""
        rows = Rows(self._draw_token(credential, left), *map(self._draw_event, self._events))
        self._live.update(Padding(rows, (1, 2)), refresh=True)

    def close(self) -> None:
        """Draw no more, and say that nothing stays."""
        self._live.stop()
        self._session.say("demo_over")

    def _draw_token(self, credential: Credential | None, left: Seconds) -> Table:
        grid = Table.grid(padding=(0, 2))
        if credential is None:
            grid.add_row(self._session.text("demo_no_token"))
            return grid
        share = left / credential.life
        colour = "red" if share < SOON else "green"
        bar = ProgressBar(total=1.0, completed=share, width=BAR_WIDTH, complete_style=colour, finished_style=colour)
        generation = self._session.text("demo_generation", generation=credential.generation)
        grid.add_row(Text(generation, "bold"), bar, self._session.text("demo_left", seconds=round(left)))
        return grid

    def _draw_event(self, event: KeptEvent) -> Text:
        told = describe_event(event, self._session.lang)
        return Text.assemble((tell_time(event.at)[-8:], "dim"), "  ", told["text"], no_wrap=True, overflow="ellipsis")


def choose_show(session: Session) -> Lines | Drawn:
    """Return how to tell a demo here: drawn for people at a terminal, else line by line."""
    return Drawn(session) if open_console().is_terminal and not session.as_json else Lines(session)


def tell_stage(session: Session, stage: Stage) -> None:
    """Write where everything is and three things to try."""
    session.say("demo_runs", hub=stage.hub_url, sandbox=stage.sandbox_url, appid=stage.appid)
    session.say("demo_try")
    click.echo(how_to_read(stage.hub_url, stage.appid, stage.key))
    session.say("demo_look", page=f"{stage.sandbox_url}/sandbox/", hub=stage.hub_url)
    session.say("demo_end")
