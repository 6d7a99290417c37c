"""The control API under /sandbox/v1: turn the clock, break the way, read the journal, begin anew.

Everything is JSON. A slip is answered {"error": "..."} with 400, a thing that is not there with 404. What concerns one
account is in `account_control`; docs/sandbox.md lists every route.
"""

from collections.abc import Mapping
from dataclasses import asdict, replace
from ipaddress import ip_address
from typing import Any, get_type_hints

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from zhongkong.sandbox.account_control import AccountControl
from zhongkong.sandbox.exchange import read_fields, read_number, write_json
from zhongkong.sandbox.faults import Fault, Outcome
from zhongkong.sandbox.holdings_control import HoldingsControl
from zhongkong.sandbox.push_control import PushControl
from zhongkong.sandbox.pushing import Pushing
from zhongkong.sandbox.sandbox import Sandbox
from zhongkong.sandbox.switches import Switches
from zhongkong.sandbox.views import View, show_account

CALLS_A_PAGE = 1000
_CLOCK = {"forward": float, "speed": float}
_FAULT = {name: hint for name, hint in get_type_hints(Fault).items() if name not in ("id", "met")}
_SWITCHES = get_type_hints(Switches)


def build_control(sandbox: Sandbox, pushing: Pushing) -> ASGIApp:
    """Return the control API over `sandbox`, which pushes by `pushing`.

    It says `changed` after each request that may have changed something.
    """
    control = Control(sandbox)
    api = Starlette(
        routes=[
            *control.routes(),
            *AccountControl(sandbox, pushing).routes(),
            *HoldingsControl(sandbox).routes(),
            *PushControl(sandbox, pushing).routes(),
        ],
        exception_handlers={ValueError: _bad_request, LookupError: _not_found, HTTPException: _http_error},
    )

    async def noting(scope: Scope, receive: Receive, send: Send) -> None:
        await api(scope, receive, send)
        if scope.get("method") not in ("GET", "HEAD"):
            sandbox.changed()

    return noting


class Control:
    """The routes that concern the whole sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def routes(self) -> list[Route]:
        """Return the routes, relative to /sandbox/v1."""
        return [
            Route("/clock", self.show_clock, methods=["GET"]),
            Route("/clock", self.set_clock, methods=["PATCH"]),
            Route("/faults", self.list_faults, methods=["GET"]),
            Route("/faults", self.add_fault, methods=["POST"]),
            Route("/faults", self.clear_faults, methods=["DELETE"]),
            Route("/faults/{number:int}", self.remove_fault, methods=["DELETE"]),
            Route("/journal", self.read_journal, methods=["GET"]),
            Route("/journal", self.clear_journal, methods=["DELETE"]),
            Route("/switches", self.show_switches, methods=["GET"]),
            Route("/switches", self.set_switches, methods=["PATCH"]),
            Route("/client-ip", self.show_client_ip, methods=["GET"]),
            Route("/client-ip", self.set_client_ip, methods=["PUT"]),
            Route("/reset", self.reset, methods=["POST"]),
        ]

    async def show_clock(self, _request: Request) -> Response:
        """Answer the sandbox's time, in Unix seconds, and its speed."""
        return write_json(self._clock())

    async def set_clock(self, request: Request) -> Response:
        """Turn the clock `forward` by seconds, or change its `speed`, or both."""
        given = await read_fields(request, _CLOCK)
        if "speed" in given:
            self._sandbox.clock.run_at(given["speed"])
        self._sandbox.clock.turn(given.get("forward", 0))
        return write_json(self._clock())

    async def list_faults(self, _request: Request) -> Response:
        """Answer the faults in wait."""
        return write_json({"faults": [asdict(fault) for fault in self._sandbox.faults]})

    async def add_fault(self, request: Request) -> Response:
        """Let a fault lie in wait, and answer it with its id."""
        given = await read_fields(request, _FAULT, required=["path"])
        return write_json(asdict(self._sandbox.faults.add(parse_fault(given))), 201)

    async def clear_faults(self, _request: Request) -> Response:
        """Take every fault away."""
        self._sandbox.faults.clear()
        return Response(status_code=204)

    async def remove_fault(self, request: Request) -> Response:
        """Take one fault away."""
        self._sandbox.faults.remove(request.path_params["number"])
        return Response(status_code=204)

    async def read_journal(self, request: Request) -> Response:
        """Answer the calls after an id, of one account, of some paths; a page at a time."""
        journal, query = self._sandbox.journal, request.query_params
        after, limit = read_number(request, "after", 0), read_number(request, "limit", CALLS_A_PAGE)
        entries = list(journal.read(after, appid=query.get("appid"), path=query.get("path")))
        calls = [asdict(entry) for entry in entries[:limit]]
        forgotten = max(0, journal.first - 1 - after)
        return write_json({"calls": calls, "more": len(entries) > limit, "last": journal.last, "forgotten": forgotten})

    async def clear_journal(self, _request: Request) -> Response:
        """Forget the calls so far."""
        self._sandbox.journal.clear()
        return Response(status_code=204)

    async def show_switches(self, _request: Request) -> Response:
        """Answer the readings that the world goes by."""
        return write_json(asdict(self._sandbox.world.switches))

    async def set_switches(self, request: Request) -> Response:
        """Go by other readings from now on."""
        given = await read_fields(request, _SWITCHES)
        self._sandbox.world.switches = replace(self._sandbox.world.switches, **given)
        return write_json(asdict(self._sandbox.world.switches))

    async def show_client_ip(self, _request: Request) -> Response:
        """Answer the address that every call seems to come from; null: its own."""
        return write_json({"ip": self._sandbox.client_ip})

    async def set_client_ip(self, request: Request) -> Response:
        """Let every call seem to come from `ip`; null: from where it comes."""
        given = (await read_fields(request, {"ip": str | None}, required=["ip"]))["ip"]
        self._sandbox.client_ip = None if given is None else str(ip_address(given))
        return write_json({"ip": self._sandbox.client_ip})

    async def reset(self, _request: Request) -> Response:
        """Be as on the first day, and answer the accounts there are then."""
        self._sandbox.reset()
        now = self._sandbox.clock.now()
        accounts = [show_account(account, now) for account in self._sandbox.world.accounts.values()]
        return write_json({"accounts": accounts})

    def _clock(self) -> View:
        return {"now": self._sandbox.clock.now(), "speed": self._sandbox.clock.speed}


def parse_fault(given: Mapping[str, Any]) -> Fault:
    """Return the fault with what is not said filled in: an errcode is the answer, else a status is one of a gateway.

    The platform does not act on a call that is refused so, meets a gateway's page or is dropped, unless `acts` says
    it does. Raises ValueError.
    """
    answer: Outcome = given.get("answer") or _usual_answer(given)
    return Fault(**{"acts": answer in ("whole", "cut", "garbage"), **given, "answer": answer})


def _usual_answer(given: Mapping[str, Any]) -> Outcome:
    if given.get("errcode") is not None:
        return "errcode"
    return "page" if "status" in given else "whole"


async def _bad_request(_request: Request, error: Exception) -> Response:
    return write_json({"error": str(error)}, 400)


async def _not_found(_request: Request, error: Exception) -> Response:
    return write_json({"error": str(error)}, 404)


async def _http_error(_request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return write_json({"error": "no such route" if status == 404 else str(error)}, status)  # noqa: PLR2004
