"""How often WeCom may be called: by corp and API, by address. Who goes beyond is shut out for a while. Pure.

Sources: 访问频率限制 (企业微信); for wrong secrets an answer of its staff, about 2,000 in an hour.
"""

from dataclasses import dataclass

from zhongkong.sandbox.holdings import keep_newest

MINUTE, HOUR = 60, 3600
OF_CORP = {MINUTE: 10_000, HOUR: 150_000}
"""Calls of one corp to one API: seconds of the window, and how many may be in it."""
OF_ADDRESS = {MINUTE: 20_000, HOUR: 600_000}
OF_TICKETS = {HOUR: 400}
"""Instead of the corp's: its calls for a ticket."""
OF_APPLICATION = {HOUR: 100}
"""Besides: those of one application."""
TICKET_PATHS = frozenset({"/cgi-bin/get_jsapi_ticket", "/cgi-bin/ticket/get"})
KEPT = 4000


@dataclass(slots=True)
class Gate:
    """One rule for one caller. A rule by the minute shuts for a minute, one by the hour for an hour."""

    seconds: int
    most: float
    began: float = 0.0
    count: int = 0
    shut_until: float = 0.0

    def admits(self, now: float) -> bool:
        """Say whether one more call may come, and shut the gate if it is one too many."""
        if now < self.shut_until:
            return False
        if now >= self.began + self.seconds:
            self.began, self.count = now - now % self.seconds, 0
        if self.count >= self.most:
            self.shut_until = now + self.seconds
            return False
        return True


class Rates:
    """All gates of a world. What they count is not kept with it."""

    def __init__(self) -> None:
        self._gates: dict[tuple[str, ...], Gate] = {}

    def spend(self, appid: str, path: str, ip: str, now: float, scale: float = 1) -> bool:
        """Count a call and say whether it may be made; one that may not is not counted.

        Quotas are multiplied by `scale`, as where tokens live shorter than the platform's.
        """
        corpid, is_ticket = appid.partition(":")[0], path in TICKET_PATHS
        gates = [*self._find(OF_TICKETS if is_ticket else OF_CORP, scale, "corp", corpid, path)]
        gates += self._find(OF_ADDRESS, scale, "address", ip)
        gates += self._find(OF_APPLICATION, scale, "application", appid, path) if is_ticket else []
        if sum(gate.admits(now) for gate in gates) < len(gates):  # each is asked: any of them may shut now
            return False
        for gate in gates:
            gate.count += 1
        return True

    def admits_wrong(self, ip: str, most: int, now: float) -> bool:
        """Say whether an address may still show secrets, right or wrong ones."""
        return self._find({HOUR: most}, 1, "wrong", ip)[0].admits(now)

    def note_wrong(self, ip: str, most: int) -> None:
        """Count a wrong secret that an address showed."""
        self._find({HOUR: most}, 1, "wrong", ip)[0].count += 1

    def clear(self) -> None:
        """Forget who was shut out."""
        self._gates.clear()

    def _find(self, rules: dict[int, int], scale: float, *whose: str) -> list[Gate]:
        gates = [
            self._gates.setdefault((*whose, str(seconds)), Gate(seconds, most * scale))
            for seconds, most in rules.items()
        ]
        keep_newest(self._gates, KEPT)
        return gates
