"""Stdin, stdout and stderr as whoever started us left them: closed, full, or with nobody at the other end."""

from __future__ import annotations

import io
import os
import signal
import sys
from typing import NoReturn, cast


class OutputLost(Exception):
    """What a command says could not be written to stdout; from then on stdout takes everything and keeps nothing."""

    def __init__(self, cause: OSError) -> None:
        """Hold why, in the system's words."""
        super().__init__(cause.strerror)
        self.why = cause.strerror or type(cause).__name__
        self.is_unread = isinstance(cause, BrokenPipeError)


class Output(io.TextIOWrapper):
    """Stdout whose own failures cannot be taken for those of a store or a socket."""

    def write(self, text: str, /) -> int:
        """Write. Raises: OutputLost."""
        try:
            return super().write(text)
        except OSError as error:
            raise self._give_up(error) from error

    def flush(self) -> None:
        """Have all be written. Raises: OutputLost."""
        try:
            super().flush()
        except OSError as error:
            raise self._give_up(error) from error

    def _give_up(self, error: OSError) -> OutputLost:
        _point(self.fileno(), os.O_WRONLY)  # or Python would fail once more, aloud, when it flushes at its end
        return OutputLost(error)


def prepare_streams() -> None:
    """Have all three be there, stdout tell what is wrong with it, and no letter that a terminal lacks end a command.

    One that is closed (`>&-`) is opened: stdin at its end, stdout as one that cannot be written, stderr unread.
    Else the next file to be opened, such as the store, would stand in its place.
    """
    for number, name, flags in ((0, "stdin", os.O_RDONLY), (1, "stdout", os.O_RDONLY), (2, "stderr", os.O_WRONLY)):
        if getattr(sys, name) is None:
            _point(number, flags)
            setattr(sys, name, open(number, "w" if number else "r", encoding="utf-8", closefd=False))  # noqa: SIM115
    former = cast("io.TextIOWrapper", sys.stdout)
    encoding, is_live = former.encoding, former.line_buffering
    sys.stdout = Output(former.detach(), encoding, "replace", line_buffering=is_live)
    sys.stderr.reconfigure(errors="replace")  # type: ignore[union-attr]


def end_unread() -> NoReturn:
    """End as a program does whose reader had enough (`… | head -1`): without a word, by SIGPIPE where there is one."""
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGPIPE)
    sys.exit(1)


def _point(number: int, flags: int) -> None:
    nothing = os.open(os.devnull, flags)
    if nothing != number:
        os.dup2(nothing, number)
        os.close(nothing)
