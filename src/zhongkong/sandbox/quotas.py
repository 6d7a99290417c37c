"""How often an account may call: by Shanghai day, by minute, and ten clearings a month."""

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Literal

TOKEN_PATH = "/cgi-bin/token"
STABLE_TOKEN_PATH = "/cgi-bin/stable_token"
FORCES_A_DAY = 20
CLEARINGS_A_MONTH = 10
STABLE_A_MINUTE = 10_000
UNCOUNTED_A_DAY = 10**9

Profile = Literal["test", "verified"]

CALLS_A_DAY: dict[str, dict[Profile, int]] = {
    TOKEN_PATH: {"verified": 2_000, "test": 200},
    STABLE_TOKEN_PATH: {"verified": 500_000, "test": 500_000},
    "/cgi-bin/user/get": {"verified": 500, "test": 100},
    "/cgi-bin/user/info": {"verified": 5_000_000, "test": 500_000},
    "/cgi-bin/user/info/batchget": {"verified": 5_000_000, "test": 500_000},
    "/cgi-bin/menu/create": {"verified": 1_000, "test": 100},
    "/cgi-bin/menu/get": {"verified": 10_000, "test": 1_000},
    "/cgi-bin/menu/delete": {"verified": 1_000, "test": 100},
    "/cgi-bin/media/upload": {"verified": 5_000, "test": 500},
    "/cgi-bin/media/get": {"verified": 10_000, "test": 1_000},
    "/cgi-bin/qrcode/create": {"verified": 100_000, "test": 10_000},
    "/cgi-bin/ticket/getticket": {"verified": 10_000, "test": 1_000},  # "very limited", no number published: ours
    "/cgi-bin/message/template/send": {"verified": 100_000, "test": 10_000},
    "/cgi-bin/message/custom/send": {"verified": 500_000, "test": 50_000},
    "/cgi-bin/get_api_domain_ip": {"verified": 1_000_000, "test": 100_000},  # unpublished: ours, generous
    "/cgi-bin/getcallbackip": {"verified": 1_000_000, "test": 100_000},  # the same
}
"""Calls a day at a life of 7200 s; what is not here is not counted. Source: 接口调用频次限制说明."""

_SHANGHAI = timezone(timedelta(hours=8))  # no daylight saving since 1991
_SHANGHAI_SECONDS = 8 * 3600


@dataclass(slots=True)
class Meter:
    """Counts the calls of one account to one path, by Shanghai day and by minute of the clock."""

    daily: int
    per_minute: int | None = None
    day: int = -1
    today: int = 0
    minute: int = -1
    this_minute: int = 0

    def spend(self, now: float, scale: float = 1) -> Literal["day", "minute"] | None:
        """Count one call and return None, or the quota that forbids it, uncounted. Quotas are multiplied by `scale`."""
        self._turn(now)
        if self.per_minute is not None and self.this_minute >= self.per_minute * scale:
            return "minute"
        if self.today >= self.daily * scale:
            return "day"
        self.today += 1
        self.this_minute += 1
        return None

    def used(self, now: float) -> int:
        """Return the calls counted in the Shanghai day of `now`."""
        self._turn(now)
        return self.today

    def clear(self) -> None:
        """Make both quotas whole again."""
        self.today = self.this_minute = 0

    def _turn(self, now: float) -> None:
        minute = int(now // 60)
        if minute != self.minute:
            self.minute, self.this_minute = minute, 0
            day = int((now + _SHANGHAI_SECONDS) // 86_400)
            if day != self.day:
                self.day, self.today = day, 0


def build_meters(profile: Profile, classic_minute_quota: int) -> dict[str, Meter]:
    """Return the meters, by path, of a new account."""
    per_minute = {TOKEN_PATH: classic_minute_quota, STABLE_TOKEN_PATH: STABLE_A_MINUTE}
    return {path: Meter(daily[profile], per_minute.get(path)) for path, daily in CALLS_A_DAY.items()}


def shanghai_month(now: float) -> str:
    """Return the month of `now` in Shanghai, as 2026-11."""
    return datetime.fromtimestamp(now, _SHANGHAI).strftime("%Y-%m")
