"""A hub as a program of its own, for the tests that need real processes and sockets.

The environment may say where its store is, if it is no file in the directory, and how it hears of changes there.
With a third argument, the number of a signal, it sends itself that signal in the moment in which it says where it is.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

from zhongkong.serving import Welcome, serve
from zhongkong.settings import load_settings

OF_THE_ENVIRONMENT = ("store_url", "store_prefix", "store_bell", "poll_seconds")


def announce(welcome: Welcome) -> None:
    """Tell the test where the hub listens, and its first key."""
    told = {
        "url": f"http://{welcome.host}:{welcome.port}",
        "metrics": f"http://{welcome.metrics[0]}:{welcome.metrics[1]}" if welcome.metrics else None,
        "key": welcome.first_key.reveal() if welcome.first_key else None,
        "seal_made": welcome.seal_made is not None,
    }
    print(json.dumps(told), flush=True)
    for number in sys.argv[3:]:
        os.kill(os.getpid(), int(number))


def main() -> int:
    """Serve with the directory and the workers that the command line says."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whoever runs the tests may ignore it, and that is inherited
    directory, workers = Path(sys.argv[1]), sys.argv[2]
    flags: dict[str, object] = {
        "data_dir": directory,
        "port": 0,
        "workers": workers,
        "metrics_bind": "127.0.0.1:0",
        "log_format": "json",
    }
    flags |= {name: os.environ.get(name.upper()) for name in OF_THE_ENVIRONMENT}
    return serve(load_settings(flags=flags), [], announce, "en")


if __name__ == "__main__":
    sys.exit(main())
