"""Which of the platform's hosts to ask: the nearest, or one that stands in for it."""

from __future__ import annotations

from functools import lru_cache

from yarl import URL

from zhongkong.core.model import NEVER, Seconds
from zhongkong.core.ports import Clock
from zhongkong.wechat.endpoints import stand_ins_of

DETOUR: Seconds = 600.0
"""How long a host that answered in place of a nearer one is asked first."""


class Hosts:
    """Remembers which host answered in place of another."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._detours: dict[str, tuple[str, Seconds]] = {}

    def addresses(self, base_url: str) -> list[str]:
        """Return the base URLs to try in order: the platform's hosts stand in for each other, other hosts alone."""
        if not stand_ins_of(base_url):
            return [base_url]
        own = str(_parse(base_url).host)
        return list(_in_order(base_url, self._first_choice(own)))

    def answered(self, base_url: str, address: str) -> None:
        """Note that `address` answered what was asked of `base_url`."""
        if address == base_url and not self._detours:
            return
        own, host = str(_parse(base_url).host), str(_parse(address).host)
        if host != self._first_choice(own):
            self._detours[own] = (host, self._clock.boot() + DETOUR)

    def _first_choice(self, host: str) -> str:
        """Return the host that stands in for `host` at present, or `host` itself."""
        stand_in, until = self._detours.get(host, (host, NEVER))
        return stand_in if self._clock.boot() < until else host


_parse = lru_cache(maxsize=1024)(URL)


@lru_cache(maxsize=1024)
def _in_order(base_url: str, first: str) -> tuple[str, ...]:
    own = _parse(base_url)
    return tuple(str(own.with_host(host)) for host in dict.fromkeys((first, str(own.host), *stand_ins_of(base_url))))
