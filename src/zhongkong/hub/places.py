"""What of a URL may be shown."""

from __future__ import annotations

from urllib.parse import urlsplit

from zhongkong.core.model import Secret


def program_of(url: Secret) -> str:
    """Return where a program is, for who set it: without its login, and without what its query says."""
    parts = urlsplit(url.reveal())
    return f"{place_of(url)}{parts.path}{'?…' if parts.query else ''}"


def place_of(url: Secret) -> str:
    """Return scheme, host and port of a URL; its path and query may hold secrets, and what stands before the host."""
    parts = urlsplit(url.reveal())
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "")
