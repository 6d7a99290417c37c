"""The command line with all libraries' logs at debug, for the search after secrets."""

from __future__ import annotations

import logging
from typing import TextIO

from zhongkong import serving
from zhongkong.cli import main
from zhongkong.hub.logs import configure_logging

LOUD = ["", "aiohttp", "asyncio", "sqlalchemy.engine", "sqlalchemy.pool", "alembic", "uvicorn", "zhongkong"]


def configure_loudly(style: str, stream: TextIO | None = None, *, requests: bool = True) -> None:
    """Log as the hub does, and let everybody say all."""
    configure_logging(style, stream, requests=requests)
    for name in LOUD:
        logging.getLogger(name).setLevel(logging.DEBUG)


if __name__ == "__main__":
    serving.configure_logging = configure_loudly  # type: ignore[attr-defined]  # the name by which it is called there
    main()
