"""Virtual tokens: signed, read back by any hub on the store, and each good for as long as was said."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from zhongkong.hub.gateway.virtual import LEAST_ANNOUNCED, LIFE, PREFIX, Signer, VirtualToken

SIGNER = Signer(b"k" * 32)
NOW = 1_800_000_000.0
KEY_ID = "aB3dE6gH"
APPID = "wx0123456789abcdef"
LONGEST = f"ww{'0123456789abcdef' * 2}:{'a' * 32}"
"""An account of WeCom: a corpid with a name of ours."""

nows = st.floats(NOW, NOW + 1e9)
key_ids = st.text("ABCXYZabcxyz0189", min_size=8, max_size=8)
appids = st.sampled_from((APPID, "wx1", LONGEST))
nonces = st.binary(min_size=4, max_size=4)


@given(key_ids, appids, nows, nonces)
@example("00000000", LONGEST, NOW, b"\0\0\0\0")
def test_a_token_says_whose_it_is_to_every_hub_on_the_store(key_id: str, appid: str, now: float, nonce: bytes) -> None:
    """No replica needs to have seen it before."""
    text, announced = SIGNER.make(key_id, appid, now, nonce)
    token = Signer(b"k" * 32).read(text)
    assert token is not None
    assert (token.key_id, token.appid) == (key_id, appid)
    assert announced == LIFE
    assert now + announced <= token.until <= now + announced + 1


@given(key_ids, appids, nows)
def test_tokens_fit_where_sdks_put_them(key_id: str, appid: str, now: float) -> None:
    """Into query strings as they are, into caches and databases that take 512 characters."""
    for text, _ in (SIGNER.make(key_id, appid, now, b"\xff\xff\xff\xff"), SIGNER.repeat(key_id, appid, now)):
        assert text == quote(text, safe="")
        assert len(text) <= 512
        assert text.startswith(PREFIX)


def test_another_nonce_is_another_token() -> None:
    """Two calls of one second are told apart."""
    assert SIGNER.make(KEY_ID, APPID, NOW, b"1111") != SIGNER.make(KEY_ID, APPID, NOW, b"2222")


def test_every_changed_character_is_noticed() -> None:
    """Including those whose change a decoder would pass over: spare bits at the end, characters of no alphabet."""
    text, _ = SIGNER.make(KEY_ID, APPID, NOW, b"1234")
    others = {
        text[:at] + char + text[at + 1 :]
        for at in range(len(text))
        for char in {chr(code) for code in range(256)} | {"中", "\ud800", ""}
    } | {text[:at] + char + text[at:] for at in range(len(text) + 1) for char in "A=\n +%/"}
    assert [other for other in others - {text} if SIGNER.read(other) is not None] == []


@given(st.one_of(st.text(), st.text().map(PREFIX.__add__), st.binary().map(lambda raw: PREFIX + raw.hex())))
@example("")
@example(PREFIX)
@example(PREFIX + "AAAA" * 40)
@example("x" * 100_000)
def test_nothing_else_is_a_token(text: str) -> None:
    """And nothing that is shown raises."""
    assert SIGNER.read(text) is None


def test_a_token_of_another_store_is_none() -> None:
    """The key that signs is the store's."""
    assert Signer(b"j" * 32).read(SIGNER.make(KEY_ID, APPID, NOW, b"1234")[0]) is None


@given(key_ids, appids, nows, st.floats(0, 3 * LIFE))
def test_a_token_is_repeated_and_each_is_good_for_its_life_after_it_was_last_handed_out(
    key_id: str, appid: str, now: float, later: float
) -> None:
    """Whatever was announced: some clients take no notice of it, and count two hours by themselves."""
    text, announced = SIGNER.repeat(key_id, appid, now)
    token = SIGNER.read(text)
    assert isinstance(token, VirtualToken)
    assert LEAST_ANNOUNCED < announced <= LIFE
    assert token.until >= now + LIFE
    again, rest = SIGNER.repeat(key_id, appid, now + later)
    if again == text:
        assert token.until >= now + later + LIFE
        assert announced - rest == int(now + later) - int(now)
    assert (again == text) is (int(now + later) - int(now) < announced - LEAST_ANNOUNCED)


def test_replicas_repeat_one_token_without_a_word_between_them() -> None:
    """It follows from the key, the account, the time, and what the store signs with."""
    assert {Signer(b"k" * 32).repeat(KEY_ID, APPID, NOW + moment / 7)[0] for moment in range(7)} == {
        SIGNER.repeat(KEY_ID, APPID, NOW)[0]
    }


@pytest.mark.parametrize("other", [("aB3dE6gI", APPID), (KEY_ID, "wx1")])
def test_another_key_or_account_has_another_token(other: tuple[str, str]) -> None:
    """To revoke one key ends its own tokens only."""
    assert SIGNER.repeat(*other, NOW)[0] != SIGNER.repeat(KEY_ID, APPID, NOW)[0]


def test_tokens_do_not_all_change_at_once() -> None:
    """A thousand servers would otherwise fetch in the same second."""
    announced = {SIGNER.repeat(f"{index:08}", APPID, NOW)[1] for index in range(100)}
    assert len(announced) > 80
