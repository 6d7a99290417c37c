"""An account's callback: what its pushes are checked with and where they go on to, and which pushes were here before.

The platform repeats a push that was not answered within 5 s. All replicas together deliver it once, and whoever gets
the repetition answers what the first one did.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from hashlib import sha256
from typing import NamedTuple

from zhongkong.core.model import Instant, Seconds, Secret

WINDOW: Seconds = 300.0
"""How far a push's timestamp may be from our time, to either side."""
TURN: Seconds = 5.0
"""How long the replica that got a push has it for itself: the platform waits no longer for an answer either."""
PUSHES_KEPT: Seconds = 900.0
"""Longer than a timestamp is good for (twice the window), and than the platform repeats."""
VERIFIER = "zhongkong-verify"
"""Whom a push is from with which we try our own address; it is brought to nobody."""
DEBUG_EVENT = "debug_demo"
"""The platform's own name for an event that only tries. Source: 消息推送."""
REFUSED_STEP = "Zhongkong-Refused"
"""The header that names the step of a refusal, for whoever tries his own address."""
ANSWER_LONGEST = 32_768
"""Bytes of an answer. A reply of the platform's has a few thousand."""


@dataclass(frozen=True, slots=True)
class Callback:
    """How an account is pushed to. URLs of handlers are secrets too: they may hold passwords."""

    appid: str
    token: Secret
    """The Token of 接口配置信息."""
    encoding_aes_key: Secret = Secret("")
    """Empty where only plaintext is pushed."""
    handler: Secret = Secret("")
    """The URL of the one program that answers; empty: nobody does."""
    listeners: tuple[Secret, ...] = ()
    """The URLs of programs that are told, and whose answers count for nothing."""


class Proof(NamedTuple):
    """A file by which the platform sees whose a domain is: MP_verify_….txt, WW_verify_….txt."""

    name: str
    appid: str
    body: str


_PROOF_NAME = re.compile(r"(?:MP|WW)_verify_[A-Za-z0-9]{1,40}\.txt")


def is_proof_name(name: str) -> bool:
    """Say whether a file that proves a domain can be called so."""
    return _PROOF_NAME.fullmatch(name) is not None


def receiver_of(appid: str) -> str:
    """Return whom messages to the account are encrypted for: WeCom's corpid, of all others the appid."""
    return appid.partition(":")[0]


class Push(NamedTuple):
    """A push whose signature is good."""

    appid: str
    identity: str
    """What it has in common with its repetitions: `wechat.pushes.identify_push`."""
    stamp: str
    """Timestamp and nonce that were signed."""

    @property
    def row(self) -> str:
        """Return what it is kept under, 64 characters of hex."""
        return _hash("push", self.appid, self.identity)

    @property
    def stamp_row(self) -> str:
        """Return what its stamp is kept under."""
        return _hash("stamp", self.appid, self.stamp)


def _hash(*parts: str) -> str:
    return sha256("\n".join(parts).encode()).hexdigest()


class Standing(Enum):
    """What a push is to the replica that got it."""

    FIRST = "first"
    """It is this replica's to deliver and to answer."""
    UNDER_WAY = "under_way"
    """Another request has it, and has not answered yet."""
    ANSWERED = "answered"
    REPLAYED = "replayed"
    """Its stamp was used with another message: in plaintext mode the signature does not cover what is said."""


class Taken(NamedTuple):
    """What `Pushes.take_push` found."""

    standing: Standing
    answer: str = ""
    """Of ANSWERED: what was answered."""


class KeptPush(NamedTuple):
    """A push as it is kept."""

    taken_at: Instant
    fence: str
    answer: str | None = None


def judge_push(push: Push, stamped: str | None, kept: KeptPush | None, now: Instant) -> Taken:
    """Return what `push` is, where its stamp was used before for the identity `stamped`, and it was `kept` before.

    A push that nobody answered within its turn is first again: whoever had it is gone.
    """
    if stamped is not None and stamped != push.identity:
        return Taken(Standing.REPLAYED)
    if kept is None:
        return Taken(Standing.FIRST)
    if kept.answer is not None:
        return Taken(Standing.ANSWERED, kept.answer)
    has_turn = kept.taken_at <= now < kept.taken_at + TURN
    return Taken(Standing.UNDER_WAY if has_turn else Standing.FIRST)
