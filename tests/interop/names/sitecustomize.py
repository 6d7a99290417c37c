"""What a hosts entry and a redirected port do: the platform's names lead to NAMES_PORT on this machine. For Python."""

import os
import socket
from typing import Any

real: Any = socket.getaddrinfo


def lead(host: Any, port: Any, *more: Any, **named: Any) -> Any:
    """Return where a name leads."""
    if str(host).endswith(".weixin.qq.com"):
        host, port = "127.0.0.1", int(os.environ["NAMES_PORT"])
    return real(host, port, *more, **named)


socket.getaddrinfo = lead
