"""The command line. `main` is what `zhongkong` starts."""

from __future__ import annotations

import os
import sys

from zhongkong.messages import choose_language, render


def main() -> None:
    """Run the command line; if what it stands on is not installed, say in one line how to install it."""
    try:
        from zhongkong.cli.program import program  # noqa: PLC0415 (its libraries come with the extra `hub`)
    except ModuleNotFoundError as missing:
        if (missing.name or "").startswith("zhongkong"):
            raise
        lang = choose_language(*(os.environ.get(name) for name in ("ZHONGKONG_LANG", "LC_ALL", "LC_MESSAGES", "LANG")))
        sys.exit(render("cli_extra_missing", lang, module=missing.name))
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]  # a nickname must not end a command in Latin-1
    program.main()
