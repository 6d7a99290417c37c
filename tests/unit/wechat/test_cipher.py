"""What the platform encrypts with, against published ciphertexts and hostile ones."""

from __future__ import annotations

from base64 import b64decode, b64encode

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.wechat.push_vectors import ENCRYPTED, name
from zhongkong.wechat.cipher import PushCipher, Undecipherable, is_encoding_aes_key

KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
APPID = "wx0000000000000001"
RANDOM = b"0123456789abcdef"
CIPHER = PushCipher(KEY, APPID)


def encrypt_raw(padded: bytes) -> str:
    """Return what decrypts to `padded`, whatever that is."""
    key = b64decode(KEY + "=")
    encryptor = Cipher(AES(key), CBC(key[:16])).encryptor()
    return b64encode(encryptor.update(padded) + encryptor.finalize()).decode()


def pad(whole: bytes) -> bytes:
    """Return `whole` filled up to the platform's block."""
    missing = 32 - len(whole) % 32
    return whole + bytes([missing]) * missing


@pytest.mark.parametrize("vector", ENCRYPTED, ids=name)
def test_published_ciphertexts_are_read_and_written(vector: dict[str, str]) -> None:
    """A whole block of padding among them, Chinese text whose length is counted in bytes, a key with odd spare bits."""
    cipher = PushCipher(vector["encoding_aes_key"], vector["receiver"])
    assert cipher.decrypt(vector["encrypt"]).decode() == vector["message"]
    assert cipher.encrypt(vector["message"].encode(), vector["random"].encode()) == vector["encrypt"]


@given(st.binary(max_size=300), st.binary(min_size=16, max_size=16), st.text(max_size=30))
def test_what_was_encrypted_is_decrypted(message: bytes, random: bytes, receiver: str) -> None:
    """Whatever the length: padding is 1 to 32 bytes, never none."""
    cipher = PushCipher(KEY, receiver)
    assert cipher.decrypt(cipher.encrypt(message, random)) == message


def test_the_last_two_bits_of_a_key_count_for_nothing() -> None:
    """43 characters hold 258 bits; a decoder that insists on zeros refuses keys that the platform gives."""
    twin = PushCipher(KEY[:-1] + "E", APPID)
    assert twin.decrypt(CIPHER.encrypt(b"hello", RANDOM)) == b"hello"


@pytest.mark.parametrize("key", ["", KEY[:-1], KEY + "=", KEY + "A", KEY[:-1] + "-", KEY[:-1] + "\n", "键" * 43])
def test_what_is_no_key_is_refused(key: str) -> None:
    """Of another length, or with characters that base64 has only in URLs."""
    assert not is_encoding_aes_key(key)
    with pytest.raises(ValueError, match="43 characters"):
        PushCipher(key, APPID)


def test_a_message_for_another_receiver_is_refused_as_such() -> None:
    """Whoever has a key of his own could else have his messages taken for another account's."""
    with pytest.raises(Undecipherable) as refused:
        CIPHER.decrypt(PushCipher(KEY, APPID + "0").encrypt(b"hello", RANDOM))
    assert refused.value.is_for_another


@pytest.mark.parametrize(
    "padded",
    [
        pytest.param(pad(RANDOM + b"\xff\xff\xff\xff" + b"hello"), id="longer than it is"),
        pytest.param(pad(RANDOM + b"\x00\x00\x00\x06" + b"hello"), id="longer by one"),
        pytest.param(pad(RANDOM), id="no length"),
        pytest.param(b"", id="nothing"),
        pytest.param(bytes(31) + b"\x00", id="padding of none"),
        pytest.param(bytes(31) + b"\x21", id="padding of 33"),
        pytest.param(bytes(30) + b"\x01\x02", id="uneven padding"),
        pytest.param(RANDOM, id="half a block"),
    ],
)
def test_damaged_plaintext_is_refused(padded: bytes) -> None:
    """Nothing of it gets out, and nothing else than the refusal is raised."""
    with pytest.raises(Undecipherable) as refused:
        CIPHER.decrypt(encrypt_raw(padded))
    assert not refused.value.is_for_another


@given(st.one_of(st.text(max_size=100), st.binary(max_size=128).map(lambda raw: b64encode(raw).decode())))
def test_whatever_else_comes_is_refused(encrypted: str) -> None:
    """Text, base64 that is none, ciphertexts of another key."""
    with pytest.raises(Undecipherable):
        CIPHER.decrypt(encrypted)


def test_a_reply_needs_sixteen_random_bytes() -> None:
    """Fewer would shift everything behind them."""
    with pytest.raises(ValueError, match="16 random bytes"):
        CIPHER.encrypt(b"hello", b"short")
