"""TLS for those who call the hub by the platform's names: which certificate is shown, and when it is another one."""

from __future__ import annotations

import asyncio
import logging
import ssl
from contextlib import suppress
from pathlib import Path

from zhongkong.adapters.certificates import at, read_certificate
from zhongkong.core.model import Seconds
from zhongkong.core.ports import Clock
from zhongkong.errors import SettingInvalid
from zhongkong.messages import Language, render

logger = logging.getLogger("zhongkong.tls")

A_DAY: Seconds = 86_400.0


def build_context(path: Path, log_in: Language | None) -> ssl.SSLContext:
    """Return what a server speaks TLS with; it follows the file, so that a renewed certificate is shown at once.

    Whatever name is asked for, the one certificate is shown: a client tells a name that it does not have better than
    we could. With `log_in` what becomes of the file is logged in that language.
    Raises: SettingInvalid: there is no certificate, or it cannot be used. An ended one can: clients tell people.
    """
    return _Following(path, log_in).first


class _Following:
    """Chooses the context of each connection that begins."""

    def __init__(self, path: Path, log_in: Language | None) -> None:
        self._path = path
        self._log_in = log_in
        self._stamp = _stamp_of(path)
        self.first, _ = _load(path)
        self._context = self.first
        self.first.sni_callback = self._choose

    def _choose(self, connection: ssl.SSLObject, _name: str | None, _first: ssl.SSLContext) -> None:
        self._follow()
        connection.context = self._context

    def _follow(self) -> None:
        """Load the file again if it is another one; one that cannot be used changes nothing, and is told once."""
        if (stamp := _stamp_of(self._path)) == self._stamp:
            return
        self._stamp = stamp
        try:
            self._context, ends_on = _load(self._path)
        except SettingInvalid as error:
            self._log(logging.WARNING, error.code, **error.values)
        else:
            self._log(logging.INFO, "tls_certificate_taken_up", date=ends_on)

    def _log(self, level: int, code: str, **values: object) -> None:
        if self._log_in is not None:
            logger.log(level, "%s", render(code, self._log_in, **values))


def _stamp_of(path: Path) -> tuple[int, int]:
    """Return by what a file is told from another in its place, or from none."""
    with suppress(OSError):
        status = path.stat()
        return status.st_ino, status.st_mtime_ns
    return 0, 0


def _load(path: Path) -> tuple[ssl.SSLContext, str]:
    """Return what shows the file's certificate, and the day of its end."""
    ends_on = read_certificate(path).ends_on
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(path)
    except (ssl.SSLError, OSError) as error:
        raise SettingInvalid("tls_certificate_damaged", path=str(path)) from error
    return context, ends_on


async def warn_of_end(path: Path, clock: Clock, lang: Language) -> None:
    """Log every day that the certificate is near its end, or past it."""
    while True:
        with suppress(SettingInvalid):  # told when it was tried to be shown
            shown = read_certificate(path)
            if (code := shown.judge_end(at(clock.wall()))) is not None:
                logger.warning("%s", render(code, lang, path=path, date=shown.ends_on))
        await asyncio.sleep(A_DAY)
