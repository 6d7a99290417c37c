"""The files that the URL of a MySQL server names for TLS: looked at before the driver does, which names none."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path

from zhongkong.errors import SettingInvalid

LOST = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)
"""How a connection that breaks off looks through TLS."""


def check_tls_files(options: Mapping[str, str]) -> None:
    """Look whether each file can be read and holds what its option asks for.

    Raises: SettingInvalid: one cannot be used.
    """
    for option in sorted(options.keys() & {"ssl_ca", "ssl_cert", "ssl_key"}):
        _read(option, Path(options[option]))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ca, cert, key = (options.get(option) for option in ("ssl_ca", "ssl_cert", "ssl_key"))
    if ca and not Path(ca).is_dir():
        try:
            context.load_verify_locations(ca)
        except ssl.SSLError:
            raise SettingInvalid("store_tls_file_unfit", option="ssl_ca", path=ca) from None
    if cert:
        try:
            context.load_cert_chain(cert, key, password="")  # else OpenSSL asks whoever sits at the terminal
        except ssl.SSLError:
            raise SettingInvalid("store_tls_pair_unfit", cert=cert, key=key or cert) from None


def is_tls_trouble(cause: BaseException | None) -> bool:
    """Say whether PyMySQL's error is that the two sides could not agree on TLS; it keeps what it came from."""
    origin = getattr(cause, "original_exception", None)
    return isinstance(origin, ssl.SSLError) and not isinstance(origin, LOST)


def _read(option: str, path: Path) -> None:
    try:
        if not (option == "ssl_ca" and path.is_dir()):
            path.open("rb").close()
    except OSError as error:
        raise SettingInvalid(
            "store_tls_file_unreadable", option=option, path=str(path), why=error.strerror or type(error).__name__
        ) from None
