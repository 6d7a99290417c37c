"""A caller: who asks a world for the tokens of its one account."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from zhongkong.sandbox.switches import Switches
from zhongkong.sandbox.world import World

APPID = "wx0123456789abcdef"
SECRET = "0123456789abcdef0123456789abcdef"
START = 1_700_000_000.0


@dataclass
class Caller:
    """Asks a world for tokens of one account, with everything right unless said otherwise."""

    world: World

    def classic(self, now: float, **changed: Any) -> dict[str, Any]:
        """Return the body of a classic call."""
        return self.world.token(**self._right(now) | changed)

    def stable(self, now: float, **changed: Any) -> dict[str, Any]:
        """Return the body of a stable call."""
        return self.world.stable_token(**self._right(now) | changed)

    def probe(self, access_token: str | None, now: float) -> int:
        """Return the errcode of a harmless call with the token, 0 when it is taken."""
        body = self.world.call("/cgi-bin/get_api_domain_ip", access_token=access_token, now=now)
        return int(body.get("errcode", 0))

    def _right(self, now: float) -> dict[str, Any]:
        credentials = {"appid": APPID, "secret": SECRET, "grant_type": "client_credential"}
        return credentials | {"ip": "1.2.3.4", "now": now}


def build_caller(*, switches: Switches | None = None, seed: int = 0, **account: Any) -> Caller:
    """Return a caller of a new world with one account, whose minute quota is out of the way."""
    world = World(seed=seed, switches=switches)
    world.add_account(APPID, SECRET, **account).meters["/cgi-bin/token"].per_minute = None
    return Caller(world)
