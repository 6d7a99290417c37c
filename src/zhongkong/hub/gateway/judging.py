"""What the platform's answer to a forwarded call means, and whether the call is sent once more. Pure."""

from __future__ import annotations

import re

from zhongkong.wechat.answers import BODY_LONGEST, Refused, parse_refusal
from zhongkong.wechat.errcodes import REFUSED_TOKEN

QUOTA_SPENT = 45009
JUDGED_LONGEST = BODY_LONGEST
"""Bytes. A refusal is short: an answer that is longer is none, and is passed on as it comes."""

_WORTH_READING = frozenset({*REFUSED_TOKEN, QUOTA_SPENT})
_ERRCODE = re.compile(rb'"errcode"\s*:\s*"?(-?[0-9]{1,10})')


def is_text(content_type: str) -> bool:
    """Say whether an answer is text, which may name a token: media is labelled as what it is."""
    return not content_type or content_type.lower().startswith(("application/json", "text/"))


def is_judged(status: int, content_type: str) -> bool:
    """Say whether an answer may be a refusal: one is text, also that of a call for media."""
    return status == 200 and is_text(content_type)  # noqa: PLR2004


def read_refusal(body: bytes) -> Refused | None:
    """Return the refusal that concerns us, a token's or a spent quota, in a whole answer; None for all others."""
    if not any(int(errcode) in _WORTH_READING for errcode in _ERRCODE.findall(body)):
        return None
    refused = parse_refusal(body)
    return refused if refused is not None and refused.errcode in _WORTH_READING else None


def is_tokens(refused: Refused) -> bool:
    """Say whether SDKs take this for a refused token: none is passed on, some of them would ask for ever.

    Whether the token is replaced, and the call sent once more, depends on whose words it is.
    """
    return refused.errcode in REFUSED_TOKEN
