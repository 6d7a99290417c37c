"""A URL that is told every credential: a signed POST, once over a connection of its own; redirects are not followed."""

from __future__ import annotations

import hmac
import json
from http import HTTPStatus
from urllib.parse import urlsplit

from zhongkong.adapters.connections import DIRECT, Answer, Message, Way, ask
from zhongkong.core.model import Account, Kind, Seconds, Secret, Slot
from zhongkong.core.ports import Clock
from zhongkong.core.sinks import Aim, Entry, Placed, Placing
from zhongkong.errors import SinkRefused, SinkUnavailable

DEADLINE: Seconds = 8.0
CONNECT_SHARE = 0.5
TIMESTAMP = "Zhongkong-Timestamp"
SIGNATURE = "Zhongkong-Signature"


class WebhookSink:
    """One URL for all its accounts. Nothing is held between two posts."""

    def __init__(self, aim: Aim, secret: Secret, clock: Clock, way: Way = DIRECT, deadline: Seconds = DEADLINE) -> None:
        """Take the sink as it is set, and what its posts are signed with."""
        self._aim = aim
        self._secret = secret
        self._clock = clock
        self._way = way
        self._deadline = deadline
        parts = urlsplit(aim.url)
        self._place = f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")

    @property
    def name(self) -> str:
        """The name that people gave it."""
        return self._aim.name

    def takes(self, slot: Slot) -> bool:
        """Say whether this slot's credential goes there."""
        return self._aim.takes(slot)

    async def write(self, entry: Entry, *, insist: bool = False) -> Placed:  # noqa: ARG002 (it knows nothing to insist on)
        """Post the entry. It can neither be read before nor guarded: the receiver compares generations."""
        body = build_body(entry)
        message = Message("POST", self._aim.url, body, sign(self._secret, int(self._clock.wall()), body))
        answer = await ask(message, self._way, self._clock, self._clock.boot() + self._deadline, CONNECT_SHARE)
        if not isinstance(answer, Answer):
            raise SinkUnavailable("sink_away", place=self._place, why=answer.why)
        if HTTPStatus.MULTIPLE_CHOICES <= answer.status < HTTPStatus.BAD_REQUEST:
            raise SinkRefused("sink_webhook_redirects", place=self._place, status=answer.status)
        if not HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
            raise SinkRefused("sink_webhook_refused", place=self._place, status=answer.status)
        return Placed(Placing.WRITTEN)

    async def remove(self, account: Account, kind: Kind, generation: int) -> bool:  # noqa: ARG002 (one signature for all)
        """Return false: what was posted runs out by itself."""
        return False

    async def close(self) -> None:
        """There is nothing to let go of."""


def build_body(entry: Entry) -> bytes:
    """Return what is posted: JSON, with `doubtful` only where it is true."""
    told = {
        "appid": entry.account.appid,
        "kind": entry.kind,
        "value": entry.value,
        "expires_in": entry.expires_in,
        "expires_at": int(entry.expires_at),
        "generation": entry.generation,
        **({"doubtful": True} if entry.doubtful else {}),
    }
    return json.dumps(told, separators=(",", ":")).encode()


def sign(secret: Secret, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the headers that prove who posts and when: HMAC-SHA256 over the timestamp, a full stop and the body."""
    signed = hmac.new(secret.reveal().encode(), f"{timestamp}.".encode() + body, "sha256").hexdigest()
    return {TIMESTAMP: str(timestamp), SIGNATURE: f"sha256={signed}"}
