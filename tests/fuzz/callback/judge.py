"""What an answer proved: it is clear, it is what the platform expects or names the step, and nothing leaked."""

from __future__ import annotations

from collections.abc import Iterator

from tests.fuzz.callback.alterations import ANSWER, ECHO, ELSEWHERE, LATE
from tests.fuzz.callback.parties import KEY_HEART, PATH_HEART, TOKEN_HEART
from tests.fuzz.callback.programs import REPLIES, Entry
from tests.fuzz.callback.tries import Try
from tests.fuzz.clients import Got
from tests.fuzz.judge import spell
from tests.fuzz.scene import HEART, SECRET_HEART
from zhongkong.sandbox.pushes import read_reply

_HEARTS = (TOKEN_HEART, KEY_HEART, PATH_HEART, HEART, SECRET_HEART)
_SECRETS = sorted({one.lower() for heart in _HEARTS for one in spell(heart)})
_ENDS = {503: LATE, 404: ELSEWHERE, 405: ELSEWHERE, 400: ELSEWHERE}


def end_of(one: Try, got: Got) -> str:
    """Return how a request ended: with an answer, or refused at a step."""
    if got.status == 403:
        return dict(got.headers).get(b"zhongkong-refused", b"?").decode()
    if got.status == 200:
        return ANSWER if one.method == "POST" else ECHO
    return _ENDS.get(got.status, f"HTTP {got.status}")


def judge(one: Try, got: Got) -> Iterator[str]:
    """Yield what is wrong."""
    if got.wrong:
        yield got.wrong
    yield from find_secrets(b"\r\n".join((*(b"%s: %s" % header for header in got.headers), got.body)))
    if one.client == "cut":
        if got.status >= 500 or got.status == 200:
            yield f"half a push was answered {got.status}"
        return
    end = end_of(one, got)
    if end not in one.ends:
        yield f"ended with {end}, not {sorted(one.ends)}: {got.body[:100]!r}"
    elif end == ECHO and got.body != one.echo:
        yield f"not the echostr: {got.body[:100]!r}"
    elif got.status == 403 and got.body != b"refused":
        yield f"a refusal that says {got.body[:100]!r}"
    elif end == ANSWER and one.entry is not None:
        yield from _judge_answer(one, one.entry, got.body)


def _judge_answer(one: Try, entry: Entry, body: bytes) -> Iterator[str]:
    """Read an answer as the platform does."""
    if one.former is not None and body != one.former:
        yield f"the same message was answered {one.former[:100]!r} before, and {body[:100]!r} now"
    try:
        reply = read_reply(entry.party.build_there(), entry.party.receiver, body)
    except ValueError as error:
        yield f"the platform cannot use the answer: {error}: {body[:100]!r}"
        return
    word = None if reply is None else reply.get("Content")
    expected = entry.word if entry.kind in REPLIES and entry.party.handler else None
    is_hurried = one.client == "slow" or entry.kind == "slow"
    if word != expected and not (word is None and is_hurried):
        yield f"the person reads {word!r}, not {expected!r}"


def find_secrets(text: bytes) -> Iterator[str]:
    """Yield where a secret shows."""
    text = text.lower()
    if found := [secret for secret in _SECRETS if secret in text]:
        at = text.index(found[0])
        yield f"a secret shows: …{text[max(0, at - 40) : at + 40]!r}"
