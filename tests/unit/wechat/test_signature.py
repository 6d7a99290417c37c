"""The signature of pushes, against the platform's own examples."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.wechat.push_vectors import ENCRYPTED, SIGNED, name
from zhongkong.wechat.signature import is_signed, sign_push


@pytest.mark.parametrize("vector", SIGNED, ids=name)
def test_a_push_is_signed_as_the_documents_show(vector: dict[str, str]) -> None:
    """Digits come before capitals and these before small letters; the values are never compared as numbers."""
    said = vector["token"], vector["timestamp"], vector["nonce"]
    assert sign_push(*said) == vector["signature"]
    assert is_signed(vector["signature"], *said)


@pytest.mark.parametrize("vector", ENCRYPTED, ids=name)
def test_a_ciphertext_is_signed_along(vector: dict[str, str]) -> None:
    """`msg_signature` covers what is encrypted; in both directions."""
    said = vector["token"], vector["timestamp"], vector["nonce"], vector["encrypt"]
    assert sign_push(*said) == vector["msg_signature"]


@given(st.text(), st.text(), st.text(), st.text(max_size=60))
def test_no_other_signature_is_taken(token: str, timestamp: str, nonce: str, other: str) -> None:
    """Nor one with letters that no signature has, nor a part of the right one."""
    right = sign_push(token, timestamp, nonce)
    assert is_signed(other, token, timestamp, nonce) is (other == right)
    assert not is_signed(right[:-1], token, timestamp, nonce)
    assert not is_signed(right.upper() + "é", token, timestamp, nonce)
