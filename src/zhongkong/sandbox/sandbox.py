"""One sandbox: the world with its clock, the faults in its way, the journal of its calls, and how it begins."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from zhongkong.sandbox.accounts import PLATFORM_LIFE, Account
from zhongkong.sandbox.answers import Answer, Body, File
from zhongkong.sandbox.clock import Clock
from zhongkong.sandbox.endpoints import Asked, answer, caller_of, refusal
from zhongkong.sandbox.faults import Fault, Faults
from zhongkong.sandbox.journal import Entry, Journal
from zhongkong.sandbox.switches import Switches
from zhongkong.sandbox.world import World

_NAMES_THE_CALLER = (40164, 61004)


def furnish(
    world: World, now: float, *, expires_in: int = PLATFORM_LIFE, appid: str | None = None, secret: str | None = None
) -> Account:
    """Return the test account (测试号) that a sandbox begins with: two followers and one template are in it."""
    account = world.add_account(appid, secret, profile="test", expires_in=expires_in)
    world.add_follower(account.appid, "小明", now)
    world.add_follower(account.appid, "Alice", now)
    world.add_template(account.appid, "发货通知", "{{first.DATA}}\n订单：{{order.DATA}}\n时间：{{time.DATA}}")
    return account


@dataclass(slots=True, kw_only=True)
class Sandbox:
    """What stands behind the HTTP surface, and changes only through it.

    `client_ip`, while set, is where every call seems to come from. `expires_in` is the life of tokens of accounts to
    come. `begin` puts into an empty world what a reset leaves; `changed` is told after whatever changed the world.
    """

    world: World
    clock: Clock
    faults: Faults = field(default_factory=Faults)
    journal: Journal = field(default_factory=Journal)
    expires_in: int = PLATFORM_LIFE
    begin: Callable[[World, float], object] = lambda _world, _now: None
    changed: Callable[[], None] = lambda: None
    client_ip: str | None = None
    pushes: dict[str, deque[dict[str, Any]]] = field(default_factory=dict)
    """The last pushes of each account, as they ended."""
    _first_switches: Switches = field(init=False)

    def __post_init__(self) -> None:
        """Remember what a reset goes back to."""
        self._first_switches = self.world.switches

    def meet(self, asked: Asked) -> Fault | None:
        """Return the fault that this call meets, counted, or None."""
        return self.faults.draw(asked.path, caller_of(self.world, asked))

    def act(self, asked: Asked, arrived_at: float, fault: Fault | None = None) -> Answer | None:
        """Carry out the call, unless `fault` keeps the platform from it, and return what was written.

        None when none was. The call is in the journal afterwards, whatever becomes of its answer.
        """
        now = self.clock.now()
        appid = caller_of(self.world, asked)  # before acting, which may forget the token
        said = answer(self.world, asked, now) if fault is None or fault.acts else None
        done = said if isinstance(said, dict) else {}
        written = said if fault is None or fault.errcode is None else self._refusal(fault, asked, now)
        self.journal.write(
            Entry(
                at=arrived_at,
                acted_at=None if said is None else now,
                ip=asked.ip,
                method=asked.method,
                path=asked.path,
                appid=appid,
                access_token=asked.access_token,
                force_refresh=asked.force_refresh,
                issued=done.get("access_token"),
                expires_in=done.get("expires_in"),
                errcode=_errcode_of(written),
                answer="whole" if fault is None else fault.answer,
                fault=None if fault is None else fault.id,
            )
        )
        self.changed()
        return written

    def reset(self) -> None:
        """Be as on the first day: real time, no faults, no calls, the first switches, and what `begin` makes."""
        self.world.reset()
        self.world.switches = self._first_switches
        self.clock.start_over()
        self.faults.clear()
        self.journal.clear()
        self.client_ip = None
        self.pushes.clear()
        self.begin(self.world, self.clock.now())

    def _refusal(self, fault: Fault, asked: Asked, now: float) -> Body:
        errcode = fault.errcode or 0
        values = {"ip": asked.ip} if errcode in _NAMES_THE_CALLER and fault.errmsg is None else {}
        return refusal(self.world, errcode, asked, now, errmsg=fault.errmsg, **values)


def _errcode_of(written: Answer | None) -> int | None:
    """Return the errcode that a reader finds: 0 in a file, None where nothing was written."""
    if written is None or isinstance(written, File):
        return None if written is None else 0
    errcode: int = written.get("errcode", 0)
    return errcode
