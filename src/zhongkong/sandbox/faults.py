"""What goes wrong on the way to the platform and back, by order: which call meets which fault, and what it becomes."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from http import HTTPStatus
from random import Random
from typing import Literal

from zhongkong.sandbox.answers import Answer, File

Outcome = Literal["whole", "errcode", "page", "garbage", "cut", "drop"]

JSON_TYPE = "application/json; encoding=utf-8"  # recorded so, word for word
SNS_TYPE = "text/plain"  # of the same JSON under /sns, recorded too
GATEWAY_ERROR = 502
GARBAGE = b'\x1f\x8b\xff\xfe\x00{"access_token":"83_\xc3\x28\x00'  # neither UTF-8 nor JSON nor gzip
_PAGE = "<html>\r\n<head><title>{0}</title></head>\r\n<body>\r\n<center><h1>{0}</h1></center>\r\n</body>\r\n</html>\r\n"
_LONGEST_WAIT = 3600.0


@dataclass(slots=True, kw_only=True)
class Fault:
    """A fault that lies in wait for calls to `path` (* and ? allowed), of one account or of all.

    `answer` is what the caller gets: `whole` the platform's own, `errcode` that refusal, `page` a gateway's HTML,
    `garbage` bytes that are nothing, `cut` half of the platform's body under its full length, `drop` not one byte;
    after the last two the connection is closed. `acts`: whether the platform carries the call out all the same.
    Real seconds pass before it acts (`latency`) and between acting and answering (`answer_latency`).
    `times` counts down and ends it; `probability` is drawn from the seed of `Faults`.
    """

    path: str
    appid: str | None = None
    answer: Outcome = "whole"
    acts: bool = True
    errcode: int | None = None
    errmsg: str | None = None
    status: int = 200
    latency: float = 0.0
    answer_latency: float = 0.0
    times: int | None = None
    probability: float = 1.0
    id: int = 0
    met: int = 0

    def __post_init__(self) -> None:
        """Raise ValueError for what cannot be."""
        for right, msg in (
            ((self.answer == "errcode") == (self.errcode is not None), "errcode goes with answer errcode, and only so"),
            (self.errcode != 0, "errcode 0 is no fault"),
            (self.errmsg is None or self.errcode is not None, "errmsg goes with errcode"),
            (self.acts or self.answer not in ("whole", "cut"), f"answer {self.answer} is the platform's: it must act"),
            (200 <= self.status <= 599, "status must be from 200 to 599"),  # noqa: PLR2004 - HTTP's
            (0 <= self.latency <= _LONGEST_WAIT, "latency must be from 0 to 3600 seconds"),
            (0 <= self.answer_latency <= _LONGEST_WAIT, "answer_latency must be from 0 to 3600 seconds"),
            (self.times is None or self.times > 0, "times must be above 0"),
            (0 < self.probability <= 1, "probability must be above 0 and at most 1"),
        ):
            if not right:
                raise ValueError(msg)

    def meets(self, path: str, appid: str | None) -> bool:
        """Say whether it lies in wait for such a call."""
        return fnmatchcase(path, self.path) and self.appid in (None, appid)


class Faults:
    """The faults in wait, in the order they were added; a call meets the first one that fits and is drawn."""

    def __init__(self, seed: int = 0) -> None:
        """Begin with none; the same seed, faults and calls meet alike."""
        self._seed = seed
        self._random = Random(seed)  # noqa: S311 - to be repeatable, not secret
        self._faults: dict[int, Fault] = {}
        self._made = 0

    def __iter__(self) -> Iterator[Fault]:
        """Yield the faults still in wait."""
        return iter(list(self._faults.values()))

    def add(self, fault: Fault) -> Fault:
        """Let `fault` lie in wait, and return it with its id."""
        self._made += 1
        fault.id = self._made
        self._faults[fault.id] = fault
        return fault

    def remove(self, number: int) -> None:
        """Take one fault away. Raises LookupError."""
        if self._faults.pop(number, None) is None:
            raise LookupError(f"the sandbox has no fault {number}")

    def clear(self) -> None:
        """Take all faults away and begin the draws anew."""
        self._faults.clear()
        self._random.seed(self._seed)

    def draw(self, path: str, appid: str | None) -> Fault | None:
        """Return the fault that this call meets, counted, or None."""
        for fault in self:
            if fault.meets(path, appid) and (fault.probability == 1 or self._random.random() < fault.probability):
                self._count(fault)
                return fault
        return None

    def _count(self, fault: Fault) -> None:
        fault.met += 1
        if fault.times is not None:
            fault.times -= 1
            if fault.times == 0:
                del self._faults[fault.id]


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes over the wire. `until`: bytes of the content that leave before the connection is closed.

    None: all of them, and it stays open. 0: not even the head leaves. `name`: what a file is to be saved as.
    """

    content: bytes
    status: int = 200
    content_type: str = JSON_TYPE
    until: int | None = None
    name: str | None = None


def build_reply(said: Answer | None, fault: Fault | None, path: str = "/cgi-bin/") -> Reply:
    """Return what the caller of `path` gets of what the platform `said` (None: nothing) under `fault`."""
    status = fault.status if fault else 200
    match fault.answer if fault else "whole":
        case "drop":
            return Reply(b"", until=0)
        case "garbage":
            return Reply(GARBAGE, status)
        case "page":
            return _page(status if status >= 400 else GATEWAY_ERROR)  # noqa: PLR2004 - below, it would be no error
        case "cut":
            reply = _whole(said, status, path)
            return replace(reply, until=max(1, len(reply.content) // 2))
        case _:
            return _whole(said, status, path)


def dump(body: object) -> bytes:
    """Return `body` as the platform writes it: compact, raw UTF-8. Half a surrogate pair, which is no text, is a ?."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _whole(said: Answer | None, status: int, path: str) -> Reply:
    if isinstance(said, File):
        status = said.status if status == HTTPStatus.OK else status
        return Reply(said.content, status, said.content_type, name=said.name)
    return Reply(dump(said), status, SNS_TYPE if path.startswith("/sns/") else JSON_TYPE)


def _page(status: int) -> Reply:
    try:
        title = f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        title = str(status)
    return Reply(_PAGE.format(title).encode(), status, "text/html")
