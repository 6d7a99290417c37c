"""Keys as they are made: their form, and what is kept of them."""

from __future__ import annotations

import re
from hashlib import sha256
from random import Random

import pytest

from zhongkong.core.grants import Grant, create_key, parse_key_id


def make(seed: int) -> tuple[str, str, str]:
    """Return a key's id, hash and text."""
    key, text = create_key(Random(seed), 0.0, name="x", grants=[Grant.READ])
    return key.id, key.sha256, text.reveal()


def test_a_key_has_the_form_of_the_contract() -> None:
    """SDKs keep it where they keep an AppSecret: at most 64 characters, none that a URL would change."""
    for seed in range(50):
        key_id, digest, text = make(seed)
        assert re.fullmatch(r"zk_[A-Za-z0-9]{8}_[A-Za-z0-9_-]+", text)
        assert len(text) <= 64
        assert (parse_key_id(text), sha256(text.encode()).hexdigest()) == (key_id, digest)


def test_keys_differ_in_their_first_ten_characters() -> None:
    """Programs name caches and log lines by the beginning of a secret."""
    assert len({make(seed)[2][:10] for seed in range(2000)}) == 2000


def test_a_key_is_not_shown_by_accident() -> None:
    """Its text is revealed where it is shown once, nowhere else."""
    key, text = create_key(Random(1), 0.0, name="x", grants=[Grant.READ])
    assert text.reveal() not in repr((key, text))
    assert text.reveal()[12:] not in repr((key, text))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "zk_",
        "zk_abcdefgh",
        "zk_abcdefgh_",
        "zk_abcdefgh_short",
        "zk_abc-efgh_" + "x" * 43,
        "ZK_abcdefgh_" + "x" * 43,
        "zk_abcdefgh_" + "x" * 60,
        "zk_abcdefgh_" + "é" * 43,
        "zk_abcdefgh_" + "x" * 43 + "\n",
    ],
)
def test_what_has_not_the_form_is_no_key(text: str) -> None:
    """And is not even looked up."""
    assert parse_key_id(text) is None
