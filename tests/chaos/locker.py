"""Another program on the hub's file: `python locker.py FILE lock|fold`.

`lock` holds the write lock until its input ends, and says `locked` once it has it. `fold` has the write-ahead log
folded into the file, as a backup does: every write of the hub needs new room from then on.
"""

from __future__ import annotations

import sqlite3
import sys

PATIENCE = 10.0


def main(path: str, what: str) -> None:
    """Do it."""
    connection = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)
    if what == "fold":
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    else:
        connection.execute("BEGIN EXCLUSIVE")
        print("locked", flush=True)
        sys.stdin.read()
        connection.execute("ROLLBACK")
    connection.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
