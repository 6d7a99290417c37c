"""The programs behind the hub, and the book of what may be brought to them: what the platform rightly signed, once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from random import Random

from tests.fuzz.callback.letters import Letter, pack, seal, sign, write
from tests.fuzz.callback.parties import Party
from zhongkong.core.callbacks import ANSWER_LONGEST
from zhongkong.core.model import Seconds, Secret
from zhongkong.core.ports import Clock, Delivered, Undelivered

TRIES = 3
KINDS: tuple[str, ...] = (
    *(("reply",) * 6),
    *("success", "empty", "sealed", "slow", "late", "page", "noise", "huge", "403", "500", "away", "soon", "cut"),
)
REPLIES = frozenset({"reply", "sealed", "slow", "soon"})
"""Of which the person reads a word."""
_SLOW: Seconds = 2.5
_LATE: Seconds = 9.0


@dataclass(slots=True)
class Entry:
    """A message, and what came of it."""

    party: Party
    number: int
    stamp: tuple[str, str]
    at: Seconds
    kind: str
    """What its handler does."""
    letters: set[tuple[bytes, bytes, str]] = field(default_factory=set)
    """Query, body and content type of each push of it that is rightly signed."""
    brought: dict[str, list[str]] = field(default_factory=dict)
    """What programs said to it, by their URL."""
    answer: bytes | None = None
    """What the first one was answered that was."""
    is_answered: bool = False
    is_odd: bool = False
    """Whether it may be another message on the way, so that nobody can repeat it."""

    @property
    def word(self) -> str:
        """Return what its handler has to say."""
        return f"re {self.number} 好"

    def judge_brought(self) -> list[str]:
        """Return what is wrong with how it was brought on, once all is over."""
        wrong = []
        for place in self.party.places:
            said = self.brought.get(place, [])
            if bool(said) != self.is_answered:
                wrong.append(
                    f"{place.partition('.')[0][-9:]} {'was brought' if said else 'was not brought'} {self.number}"
                )
            if len(said) > TRIES or "final" in said[:-1]:
                wrong.append(f"message {self.number} was brought twice: {said}")
        return wrong


class Programs:
    """A `Courier` to handlers and listeners, which do as the entry of the message has it."""

    def __init__(self, clock: Clock, wrong: list[str]) -> None:
        self._clock = clock
        self._wrong = wrong
        self._by_body: dict[bytes, Entry] = {}

    def expect(self, entry: Entry, letter: Letter) -> None:
        """Take down a push that may be brought."""
        entry.letters.add((letter.query, letter.body, letter.content_type or "text/xml"))
        self._by_body[letter.body] = entry

    def forget(self, entry: Entry) -> None:
        """Forget a message; of what is over for long nothing comes any more."""
        for _, body, _ in entry.letters:
            self._by_body.pop(body, None)

    async def bring(self, url: Secret, content_type: str, body: bytes, until: Seconds) -> Delivered | Undelivered:
        """Have the program do what it does with this message."""
        entry, text = self._by_body.get(body), url.reveal()
        places = entry.party.places if entry else ()
        place = next((one for one in places if text.startswith(f"{one}{'&' if '?' in one else '?'}")), "")
        if entry is None or not place:
            self._wrong.append(f"brought, and nobody signed it: {body[:200]!r}")
            return Delivered(200, b"success")
        if (text[len(place) + 1 :].encode("latin-1"), body, content_type) not in entry.letters:
            self._wrong.append(f"brought with another query or type than it came with: {body[:100]!r}")
        said = entry.brought.setdefault(place, [])
        random = Random(f"{entry.number} {place} {len(said)}")
        kind = entry.kind if place == entry.party.handler else random.choice(("success", "500", "away", "403"))
        done, takes = _do(random, kind, entry, len(said))
        left = until - self._clock.boot()
        is_late = takes > left
        is_final = isinstance(done, Delivered) and done.status < 500 and not is_late
        said.append("final" if is_final else "again")
        await asyncio.sleep(min(takes, left))
        return Undelivered("timeout", was_sent=True) if is_late else done

    async def look(self, url: Secret, until: Seconds) -> Delivered | Undelivered:
        """Nobody tries his own address here."""
        return await self.bring(url, "", b"", until)


def _do(random: Random, kind: str, entry: Entry, tried: int) -> tuple[Delivered | Undelivered, Seconds]:
    """Return what a program says, and after how long."""
    if kind in ("away", "cut") or (kind == "soon" and not tried):
        return Undelivered("connect_failed" if kind == "away" else "cut", was_sent=kind == "cut"), 0.0
    if kind == "500":
        return Delivered(random.choice((500, 502, 503)), b"<html></html>"), 0.0
    body = {
        "success": b"success",
        "empty": random.choice((b"", b" \n")),
        "page": b"<!DOCTYPE html><html><body>hi</body></html>",
        "noise": random.choice((b"ok", b"\xff\xfe", b"\x00", b"{", b"<xml>", b"[]", random.randbytes(30))),
        "huge": b"<xml><a>" + b" " * ANSWER_LONGEST + b"</a></xml>",
        "403": b"no",
    }.get(kind) or _reply(random, kind, entry)
    takes = {"slow": _SLOW, "late": _LATE}.get(kind, random.choice((0.0, 0.0, 0.3)))
    return Delivered(403 if kind == "403" else 200, body), takes


def _reply(random: Random, kind: str, entry: Entry) -> bytes:
    """Return a passive reply, encrypted as the platform's documents have it if that is how this handler answers."""
    party = entry.party
    if kind == "empty":
        return b""
    message = {"ToUserName": "o1", "FromUserName": "gh_1", "CreateTime": 1, "MsgType": "text", "Content": entry.word}
    plain = write(message, party.shape)
    if kind != "sealed" or not party.is_sealed:
        return plain
    encrypt, nonce = seal(party.key, pack(random, plain, party.receiver)), str(random.randrange(10**9))
    signature = sign(party.token, "1", nonce, encrypt)
    return write({"Encrypt": encrypt, "MsgSignature": signature, "TimeStamp": 1, "Nonce": nonce}, party.shape)
