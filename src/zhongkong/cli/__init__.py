"""The command line. `main` is what `zhongkong` starts."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

from zhongkong.cli.streams import prepare_streams

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from zhongkong.cli.program import Program

STOPPED = 128 + signal.SIGINT


def main() -> None:
    """Run the command line; if what it stands on is not installed, say in one line how to install it.

    Ctrl-C is quiet, also in the second of imports before anybody can catch it, and while Python ends.
    """
    _interrupt_by(signal.SIG_DFL)
    program = _import_program()
    prepare_streams()
    try:
        _interrupt_by(signal.default_int_handler)
        program.main()
    except KeyboardInterrupt:
        sys.exit(STOPPED)
    finally:
        _interrupt_by(signal.SIG_DFL)


def _interrupt_by(handler: Callable[[int, FrameType | None], None] | signal.Handlers) -> None:
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # whoever started us may have it ignored
        signal.signal(signal.SIGINT, handler)


def _import_program() -> Program:
    try:
        from zhongkong.cli.program import program  # noqa: PLC0415 (its libraries come with the extra `hub`)
    except ModuleNotFoundError as missing:
        if (missing.name or "").startswith("zhongkong"):
            raise
        from zhongkong.messages import choose_language, render  # noqa: PLC0415 (what is imported above is imported late)

        lang = choose_language(*(os.environ.get(name) for name in ("ZHONGKONG_LANG", "LC_ALL", "LC_MESSAGES", "LANG")))
        sys.exit(render("cli_extra_missing", lang, module=missing.name))
    return program
