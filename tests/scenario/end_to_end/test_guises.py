"""A search that finds nothing anywhere would prove nothing."""

from __future__ import annotations

from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest

from tests.scenario.end_to_end.guises import find_secrets

SECRETS = [b"0123456789abcdef0123456789ABCDEF", b"a+b/c=d%e&f-~0123456789?>", bytes(range(200, 232)), b"short!"]
ENCODINGS: dict[str, Callable[[bytes], bytes]] = {
    "clear": bytes,
    "hex": lambda raw: raw.hex().encode(),
    "upper hex": lambda raw: raw.hex().upper().encode(),
    "base64": b64encode,
    "base64url": urlsafe_b64encode,
    "URL": lambda raw: quote(raw, safe="").encode(),
    "form": lambda raw: quote_plus(raw).encode(),
    "URL, paths": lambda raw: quote(raw).replace("/", "%2f").encode(),
}


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("secret", SECRETS)
def test_it_finds_a_secret_wherever_it_stands_in_what_was_encoded(secret: bytes, encoding: str) -> None:
    """At every alignment, since base64 looks different three times over."""
    for before in range(6):
        for after in range(4):
            content = ENCODINGS[encoding](b"x" * before + secret + b"y" * after)
            assert find_secrets({"it": secret}, {"here": b"..." + content + b"..."}), (before, after)


@pytest.mark.parametrize("cut", [slice(0, 16), slice(-16, None), slice(8, 24)])
def test_it_finds_a_secret_that_was_shortened(cut: slice) -> None:
    """The beginning, the end or the middle of a token is enough to be a leak."""
    assert find_secrets({"it": SECRETS[0]}, {"here": b"token " + SECRETS[0][cut] + b"..."})


def test_it_finds_nothing_where_there_is_nothing() -> None:
    """Nor does it take a digest for the secret, nor one secret for another."""
    places = {"here": SECRETS[0][:12] + b"..." + b64encode(SECRETS[1]), "there": b""}
    assert find_secrets({"it": SECRETS[0]}, places) == []
    assert find_secrets({"it": SECRETS[1]}, places) != []
