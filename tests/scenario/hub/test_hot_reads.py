"""Reads that are answered ahead of the routes: nobody can tell that they are."""

from __future__ import annotations

import logging
from ipaddress import ip_network
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.types import Message, Receive, Scope, Send

from tests.scenario.hub.house import ADDRESS, APPID, OTHER, SECRET, House
from zhongkong.core.grants import Grant
from zhongkong.core.model import Ambiguous, Mode, Slot
from zhongkong.testing.fake_clock import START

LIFE = 120
PATH = f"/v1/accounts/{APPID}/access_token"
PROXY = "192.0.2.1"


class Asked(NamedTuple):
    """A request."""

    key: str = "reader"
    path: str = PATH
    query: str = ""
    method: str = "GET"
    scheme: str = "Bearer "
    held: str | None = None
    accept: str | None = "*/*"
    forwarded: tuple[str, ...] = ()
    peer: str | None = ADDRESS
    twice: str = ""


class Turned(NamedTuple):
    """Time that passes."""

    seconds: float


class Done(NamedTuple):
    """Something that happens in the world."""

    what: str


ODDITIES: dict[str, list[Any]] = {
    "key": ["twin", "other", "gateway", "expiring", "bound", "rated", "unknown", "none"],
    "path": [PATH.replace(APPID, OTHER), PATH + "/", "/v1/accounts//access_token", "/v1/whoami"],
    "query": ["wait=0", "wait=x", "lang=en"],
    "method": ["HEAD", "POST"],
    "scheme": ["bearer ", "BEARER   ", "Basic ", ""],
    "held": ["last", "first", "list", "strong", "next", "*", ""],
    "accept": [
        *(None, "", "application/json", "text/plain", "text/html", "application/json, text/plain, */*"),
        *("text/plain;q=0.5, application/json;q=0.4", "TEXT/PLAIN"),
    ],
    "forwarded": [("10.1.2.3",), ("203.0.113.9, 10.9.9.9",), ("10.1.2.3", "203.0.113.9"), ("?",)],
    "peer": [PROXY, "::ffff:10.1.2.3", "10.7.7.7", "unix", None],
    "twice": ["authorization", "accept", "if-none-match", "user-agent"],
}
asked = st.lists(
    st.one_of(*(st.tuples(st.just(name), st.sampled_from(values)) for name, values in ODDITIES.items())), max_size=3
).map(lambda oddities: Asked(**dict(oddities)))
turned = st.builds(Turned, st.sampled_from([0.0, 0.05, 0.3, 0.999, 1.0, 1.7, 5.0, 20.0, 60.0]))
done = st.builds(
    Done,
    st.sampled_from(["away", "back", "mute", "heard", "reject", "revoke", "remove", "classic", "stable", "contact"]),
)


class Told(logging.Handler):
    """What is logged of requests."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the line."""
        self.lines.append(record.getMessage())


class Side:
    """One of two hubs in the same world: one answers as it does, the other by its routes alone."""

    def __init__(self, *, hot: bool) -> None:
        self.house = House(trusted_proxies=(ip_network(f"{PROXY}/32"),))
        self.house.open()
        self.house.world.add_account(APPID, SECRET, expires_in=LIFE)
        self.house.add_account()
        self.app = self.house.app if hot else self.house.app.app
        self.keys = {
            "reader": self.house.add_key(Grant.READ, name="reader"),
            "twin": self.house.add_key(Grant.READ, appids=(APPID,)),
            "other": self.house.add_key(Grant.READ, appids=(OTHER,)),
            "gateway": self.house.add_key(Grant.GATEWAY),
            "expiring": self.house.add_key(Grant.ADMIN, expires_at=START + 30),
            "bound": self.house.add_key(Grant.READ, networks=(ip_network("10.0.0.0/8"),)),
            "rated": self.house.add_key(Grant.READ, rate=2),
            "unknown": "zk_ZZZZZZZZ_" + "x" * 43,
        }
        self.etags = ["", ""]

    def ask(self, asked: Asked) -> list[Message]:
        """Return the whole answer, as ASGI has it."""
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(dict(message))

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        self.house.clock.run(self.app(self._scope(asked), receive, send))
        for name, value in sent[0]["headers"]:
            if name == b"etag":
                self.etags[1] = value.decode()
                self.etags[0] = self.etags[0] or self.etags[1]
        return sent

    def _scope(self, asked: Asked) -> Scope:
        first, last = self.etags
        held = {
            "last": last,
            "first": first,
            "strong": last.removeprefix("W/"),
            "next": 'W/"9.01234567"',
            "list": f'{first}, W/"x", {last}',
        }
        fields = [("host", "hub.test"), ("user-agent", "test"), *((name, "x") for name in [asked.twice] if name)]
        if asked.key != "none":
            fields.append(("authorization", asked.scheme + self.keys[asked.key]))
        if asked.held is not None:
            fields.append(("if-none-match", held.get(asked.held, asked.held)))
        if asked.accept is not None:
            fields.append(("accept", asked.accept))
        fields += [("x-forwarded-for", one) for one in asked.forwarded]
        return {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": asked.method,
            "scheme": "http",
            "path": asked.path,
            "raw_path": asked.path.encode(),
            "query_string": asked.query.encode(),
            "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in fields],
            "client": None if asked.peer is None else (asked.peer, 4711),
            "server": ("hub.test", 80),
        }

    def do(self, what: str) -> None:
        """Let something happen."""
        house, slot = self.house, Slot(APPID)
        match what:
            case "away" | "back":
                house.store.is_away = what == "away"
            case "mute" | "heard":
                house.platform.fails_with = Ambiguous("silence") if what == "mute" else None
            case "revoke" if not house.store.is_away:
                house.clock.run(house.store.remove_key(self.keys["twin"][3:11]))
            case "remove" if not house.store.is_away:
                house.clock.run(house.store.remove_account(APPID))
            case "classic" | "stable" if not house.store.is_away:
                house.add_account(mode=Mode(what))
            case "reject" if not house.store.is_away:
                house.call("POST", f"{PATH}/reject", self.keys["reader"], json={"generation": 1})
            case "contact":
                house.clock.run(house.keeper.poll())
                house.keeper.peek(slot)

    def counts(self) -> str:
        """Return what was counted of reads and requests."""
        exposition = self.house.call("GET", "/metrics", self.keys["reader"]).text
        return "\n".join(line for line in exposition.splitlines() if "_reads_total" in line or "requests_total" in line)

    def uses(self) -> dict[str, float | None]:
        """Return when each key was used last, as it will be noted."""
        self.house.store.is_away = False
        self.house.clock.run(self.house.keyring.note_uses())
        return {key.name + key.id: key.last_used_at for key in self.house.clock.run(self.house.store.keys())}


@settings(max_examples=200)
@given(st.lists(asked | asked | turned | done, min_size=3, max_size=30))
def test_a_read_is_answered_ahead_of_the_routes_as_by_them(steps: list[Asked | Turned | Done]) -> None:
    """Status, headers, body, counts and log lines, whatever is asked by whom, and whatever happened meanwhile."""
    told: list[Any] = []
    access, sides = logging.getLogger("zhongkong.access"), [Side(hot=hot) for hot in (True, False)]
    for side in sides:
        handler = Told()
        access.addHandler(handler)
        access.setLevel(logging.INFO)
        try:
            answers = [_play(side, step) for step in steps]
            told.append((answers, handler.lines, side.counts(), side.uses()))
        finally:
            access.removeHandler(handler)
            access.setLevel(logging.NOTSET)
            side.house.close()
    assert told[0] == told[1]


def _play(side: Side, step: Asked | Turned | Done) -> list[Message] | None:
    match step:
        case Asked():
            return side.ask(step)
        case Turned(seconds):
            side.house.clock.turn(seconds)
        case Done(what):
            side.do(what)
    return None


class Routes:
    """Stands for the routes, and counts who comes that far."""

    def __init__(self) -> None:
        self.came = 0

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Answer something else."""
        self.came += 1
        await send({"type": "http.response.start", "status": 418, "headers": []})
        await send({"type": "http.response.body", "body": b""})


@pytest.mark.parametrize(
    ("request_", "is_hot"),
    [
        (Asked(), True),
        (Asked(held="last"), True),
        (Asked(accept=None), True),
        (Asked(accept="application/json, text/plain, */*"), True),
        (Asked(forwarded=("10.1.2.3",)), True),
        (Asked(key="bound", peer=PROXY, forwarded=("10.1.2.3",)), True),
        (Asked(key="twin"), True),
        (Asked(query="wait=1"), False),
        (Asked(accept="text/plain"), False),
        (Asked(key="unknown"), False),
        (Asked(held="first2"), False),
    ],
)
def test_what_is_plain_never_comes_to_the_routes(request_: Asked, *, is_hot: bool) -> None:
    """Else it would be right, and slow."""
    side, routes = Side(hot=True), Routes()
    side.ask(Asked())
    side.house.app.app.app = routes
    for _ in range(3):
        side.house.clock.turn(0.7)
        status = side.ask(request_)[0]["status"]
        assert status == ((304 if request_.held else 200) if is_hot else 418)
    assert routes.came == (0 if is_hot else 3)
    side.house.close()
