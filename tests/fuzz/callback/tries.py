"""Pushes, good and hostile, as they are drawn: each with what may become of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

from tests.fuzz.callback.alterations import (
    ANSWER,
    ECHO,
    ELSEWHERE,
    LATE,
    OF_PLAIN,
    OF_SEALED,
    SKEW,
    Ends,
    harmless,
    no_nonce,
    no_time,
    noise,
    other_token,
    stale,
)
from tests.fuzz.callback.letters import Letter, draw_message, pack, seal, sign, write_letter
from tests.fuzz.callback.parties import MUTE, PARTIES, STRANGERS, TWINS, Party
from tests.fuzz.callback.programs import KINDS, Entry, Programs
from zhongkong.core.model import Seconds
from zhongkong.core.ports import Clock

REPEATED_FOR: Seconds = 200.0
"""How long a push may be told again, or its stamp be stolen, in this trial: stamps are good for longer."""
KEPT = 6000
"""Messages that are remembered here: more than are under way."""
WAYS: tuple[str, ...] = (
    *(("right",) * 8 + ("again",) * 3 + ("altered",) * 8 + ("echo",) * 2),
    *("stolen", "twisted", "twin", "stranger", "mute", "hostile_echo", "nothing"),
)
PATHS = ("/callback", "/callback/", "/callback/wxplain/", "/callback/wxplain/x", "/callback//", "//callback/wxplain")
METHODS = ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "get", "PROPFIND")


@dataclass(slots=True)
class Try:
    """One request, and what may become of it."""

    what: str
    method: str
    path: bytes
    query: bytes
    headers: list[tuple[bytes, bytes]]
    body: list[bytes]
    ends: Ends
    appid: str
    entry: Entry | None = None
    echo: bytes = b""
    """The answer to a check of the URL."""
    stamp: tuple[str, str] = ("", "")
    former: bytes | None = None
    """What the same message was answered before this was sent."""
    framing: str = "length"
    client: str = "stays"
    takes: Seconds = 0.0
    """How long a slow client takes for the whole of it."""
    replica: int = 0
    after: Seconds = field(default=0.0)


class Drawing:
    """Draws tries. Some come back to what was said before."""

    def __init__(self, random: Random, clock: Clock, programs: Programs) -> None:
        self._random = random
        self._clock = clock
        self._programs = programs
        self._recent: deque[Entry] = deque()

    def draw(self, number: int) -> list[Try]:
        """Return one try, or several that are made at one time."""
        way = self._random.choice(WAYS)
        tries: list[Try] = getattr(self, f"_{way}")(number)
        for one in tries:
            one.what = f"{way} {one.what}".strip()
            one.replica = self._random.randrange(2)
            one.after = self._random.random() * 0.2 if len(tries) > 1 else 0.0
            self._hinder(one)
        return tries

    def over(self) -> Iterator[Entry]:
        """Yield messages of which nothing comes any more, and forget them."""
        while len(self._recent) > KEPT:
            entry = self._recent.popleft()
            self._programs.forget(entry)
            yield entry

    def rest(self) -> list[Entry]:
        """Return all that are left."""
        return list(self._recent)

    # --- what the platform does

    def _right(self, number: int) -> list[Try]:
        letter, entry = self._new(number)
        harmless(self._random, letter)
        self._programs.expect(entry, letter)
        tries = [self._try(letter, {ANSWER}, entry)]
        if self._random.random() < 0.1:  # it is repeated although nobody was slow
            tries += [self._repeat(entry, letter) for _ in range(self._random.choice((1, 3)))]
        return tries

    def _again(self, number: int) -> list[Try]:
        entry = self._former()
        if entry is None:
            return self._right(number)
        return [self._repeat(entry, None)]

    def _repeat(self, entry: Entry, letter: Letter | None) -> Try:
        """Return a repetition: the same bytes, or signed anew."""
        if letter is None or self._random.random() < 0.5:
            message = draw_message(Random(entry.kind + str(entry.number)), entry.number, 0)
            letter = write_letter(self._random, entry.party, message, self._stamp())
            self._programs.expect(entry, letter)
        return self._try(letter, {ANSWER}, entry)

    def _echo(self, _number: int) -> list[Try]:
        party = self._random.choice(PARTIES)
        return [self._check(party, str(self._random.getrandbits(63)), self._stamp(), {ECHO})]

    # --- what others do

    def _altered(self, number: int) -> list[Try]:
        party = self._random.choice(PARTIES)
        alteration = self._random.choice(OF_SEALED if party.is_sealed else OF_PLAIN)
        letter, entry = self._new(number, party, is_odd=alteration is noise)
        ends = alteration(self._random, letter)
        if ANSWER in ends:
            self._programs.expect(entry, letter)
        one = self._try(letter, ends, entry if ANSWER in ends else None)
        one.what = alteration.__name__
        return [one]

    def _stolen(self, number: int) -> list[Try]:
        """Somebody who saw a URL says something else with it."""
        entry = self._answered()
        if entry is None:
            return self._right(number)
        message = draw_message(self._random, number, self._clock.wall())
        letter = write_letter(self._random, entry.party, message, entry.stamp)
        return [self._try(letter, {"nonce"})]

    def _twisted(self, number: int) -> list[Try]:
        """The same message once more, in which something else is said: the first one stands."""
        entry = self._answered()
        if entry is None:
            return self._right(number)
        message = draw_message(Random(entry.kind + str(entry.number)), entry.number, 0) | {"Content": f"pay {number}"}
        if "MsgId" not in message:  # an event that says something else is another one
            return self._right(number)
        letter = write_letter(self._random, entry.party, message, self._stamp())
        return [self._try(letter, {ANSWER}, entry)]

    def _twin(self, number: int) -> list[Try]:
        """What was encrypted for one account is sent to another with the same Token and key."""
        mine, other = self._random.sample(TWINS, 2)
        letter, _ = self._new(number, mine)
        one = self._try(letter, {"appid"})
        one.path, one.appid = f"/callback/{other.appid}".encode(), other.appid
        return [one]

    def _stranger(self, number: int) -> list[Try]:
        letter, _ = self._new(number)
        one, name = self._try(letter, {"appid"}), self._random.choice(STRANGERS)
        one.path, one.appid = f"/callback/{name}".encode(), ""
        return [one]

    def _mute(self, number: int) -> list[Try]:
        letter, _ = self._new(number)
        one = self._try(letter, {"token"})
        one.path, one.appid = f"/callback/{MUTE}".encode(), MUTE
        return [one]

    def _hostile_echo(self, number: int) -> list[Try]:
        party = self._random.choice(PARTIES)
        if self._random.random() < 0.3:
            odd = self._random.choice(("", "x" * 1025, "中", "a\nb", "\x00"))
            return [self._check(party, odd, self._stamp(), {"body"}, is_raw=True)]
        entry = self._answered()
        if entry is not None and self._random.random() < 0.5:
            return [self._check(entry.party, f"e{number}", entry.stamp, {"nonce"})]
        letter, _ = self._new(number, party)
        if not party.is_wecom:
            letter = Letter(party, letter.message, {**letter.words, "echostr": str(number)}, b"", "")
            letter.words.pop("msg_signature", None)
        else:
            letter.enclose(seal(party.key, pack(self._random, str(number).encode(), party.receiver)))
            letter.words |= {"echostr": letter.encrypted}
        alteration = self._random.choice((stale, no_time, no_nonce, other_token))
        ends = alteration(self._random, letter)
        one = self._try(letter, ends)
        one.method, one.what, one.body = "GET", alteration.__name__, []
        return [one]

    def _nothing(self, number: int) -> list[Try]:
        """It is no push at all."""
        letter, _ = self._new(number)
        one = self._try(letter, {ELSEWHERE})
        if self._random.random() < 0.5:
            one.method = self._random.choice(METHODS)
        else:
            one.path = self._random.choice(PATHS).encode()
        return [one]

    # --- of what they are made

    def _new(self, number: int, party: Party | None = None, *, is_odd: bool = False) -> tuple[Letter, Entry]:
        """Return a message that was never said, as a letter in which nothing is wrong."""
        random, party = self._random, party or self._random.choice(PARTIES)
        kind, stamp = random.choice(KINDS), self._stamp()
        message = draw_message(Random(kind + str(number)), number, 0)
        if is_odd:
            message |= {"FromUserName": f"n{number}", "MsgId": f"n{number}"}  # whatever changes in it, it is no other's
        entry = Entry(party, number, stamp, self._clock.boot(), kind, is_odd=is_odd)
        self._recent.append(entry)
        return write_letter(random, party, message, stamp), entry

    def _stamp(self) -> tuple[str, str]:
        skew = self._random.choice((0, 0, 0, 1, -1, SKEW, -SKEW))
        return str(int(self._clock.wall()) + skew), str(self._random.getrandbits(60))

    def _former(self) -> Entry | None:
        """Return a message of the last minutes that was rightly pushed, if one is found soon."""
        for _ in range(10):
            entry = self._random.choice(self._recent) if self._recent else None
            if entry and entry.letters and not entry.is_odd and self._clock.boot() - entry.at < REPEATED_FOR:
                return entry
        return None

    def _answered(self) -> Entry | None:
        """Return one of them that was answered, and whose stamp is good for a while."""
        entry = self._former()
        if entry is None or entry.answer is None or abs(int(entry.stamp[0]) - self._clock.wall()) > SKEW:
            return None
        return entry

    def _try(self, letter: Letter, ends: set[str] | Ends, entry: Entry | None = None) -> Try:
        random, kind = self._random, letter.content_type
        headers = [(b"host", b"hub.test")] + ([(b"content-type", kind.encode("latin-1"))] if kind else [])
        if random.random() < 0.05:
            headers += [(b"x-forwarded-for", random.choice((b"1.2.3.4", b"evil, \xff", b",,,")))]
        cuts = sorted(random.randrange(len(letter.body) + 1) for _ in range(random.choice((0, 0, 0, 1, 3))))
        pieces = [letter.body[a:b] for a, b in zip([0, *cuts], [*cuts, len(letter.body)], strict=True)]
        return Try(
            what="",
            method="POST",
            path=f"/callback/{letter.party.appid}".encode(),
            query=letter.query,
            headers=headers,
            body=pieces,
            ends=frozenset(ends),
            appid=letter.party.appid,
            entry=entry,
            stamp=(letter.words.get("timestamp", ""), letter.words.get("nonce", "")),
            former=entry.answer if entry else None,
            framing=random.choice(("length", "chunked")),
        )

    def _check(
        self, party: Party, echostr: str, stamp: tuple[str, str], ends: set[str], *, is_raw: bool = False
    ) -> Try:
        """Return a check of the URL."""
        words = {"timestamp": stamp[0], "nonce": stamp[1], "echostr": echostr}
        if party.is_wecom:
            if not is_raw:
                words["echostr"] = seal(party.key, pack(self._random, echostr.encode(), party.receiver))
            words["msg_signature"] = sign(party.token, *stamp, words["echostr"])
        else:
            words["signature"] = sign(party.token, *stamp)
        letter = Letter(party, {}, words, b"", "")
        one = self._try(letter, ends)
        one.method, one.body, one.echo = "GET", [], echostr.encode()
        return one

    def _hinder(self, one: Try) -> None:
        """Have some clients leave, or take their time."""
        roll = self._random.random()
        if one.method != "POST" or roll > 0.06:
            return
        if roll < 0.02:
            one.client = "leaves"
        elif roll < 0.04:
            one.client, one.ends = "cut", frozenset({ELSEWHERE})
        else:
            one.client, one.takes = "slow", self._random.choice((1.0, 9.0))
            if one.takes > 5:
                one.ends = frozenset({LATE, *(one.ends & {"body"}), *(one.ends & {ELSEWHERE})})
