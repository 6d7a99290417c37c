"""The values: what they hide, when a lease holds, what makes two accounts mint otherwise."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.core.records import NOW, SANDBOX, build_account, build_credential, build_record
from zhongkong.core.model import LEASE, AccountKind, Lease, Mode, Secret, Slot, hash_value, spread


def test_a_secret_shows_itself_only_when_asked_by_name() -> None:
    """Whoever logs, formats or prints one by mistake prints nothing."""
    secret = Secret("s3cr3t")
    assert "s3cr3t" not in f"{secret} {secret!r} {secret!s} {[secret]}"
    assert secret.reveal() == "s3cr3t"


def test_secrets_are_equal_by_their_text() -> None:
    """An account put again unchanged must be seen to be unchanged."""
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a")}) == 1
    assert not Secret("")


def test_no_representation_holds_a_token_or_a_secret() -> None:
    """Reprs end up in logs, tracebacks and failing tests."""
    account = build_account()
    credential = build_credential(value="83_very-secret-token")
    shown = f"{account!r} {credential!r} {build_record(credential=credential)!r}"
    assert "83_very-secret-token" not in shown
    assert account.secret.reveal() not in shown


@pytest.mark.parametrize(
    ("until", "holds"),
    [(NOW, False), (NOW + 0.1, True), (NOW + LEASE, True), (NOW + LEASE + 0.1, False), (NOW - 1.0, False)],
)
def test_a_lease_holds_between_now_and_its_length(until: float, *, holds: bool) -> None:
    """One that seems longer than a lease was given before the clock stepped back: it must not freeze the slot."""
    assert Lease("fence", until).holds(NOW) is holds


@pytest.mark.parametrize(
    ("changed", "otherwise", "elsewhere"),
    [
        ({"secret": Secret("1" * 32)}, True, False),
        ({"mode": Mode.STABLE}, True, False),
        ({"base_url": SANDBOX}, True, True),
        ({"kind": AccountKind.MINIPROGRAM}, True, True),
        ({"name": "our shop"}, False, False),
        ({"on_contest": Mode.CLASSIC}, False, False),
        ({"is_test": True}, False, False),
        ({"revision": 9}, False, False),
    ],
)
def test_what_makes_an_account_mint_otherwise(changed: dict[str, Any], *, otherwise: bool, elsewhere: bool) -> None:
    """A new name must void no lease; another host's token is none of ours."""
    old = build_account()
    new = replace(old, **changed)
    assert new.mints_otherwise_than(old) is otherwise
    assert new.lives_elsewhere_than(old) is elsewhere


def test_a_value_is_known_by_its_sha256() -> None:
    """The one that everybody computes: callers name a token by it."""
    assert hash_value("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@given(st.text(max_size=30))
def test_a_slots_share_of_jitter_is_its_own_and_never_changes(appid: str) -> None:
    """All replicas compute the same one, in [0, 1)."""
    share = spread(Slot(appid))
    assert 0.0 <= share < 1.0
    assert spread(Slot(appid)) == share


def test_slots_are_spread_evenly() -> None:
    """A hub of a thousand accounts must not renew them all in one second."""
    shares = sorted(spread(Slot(f"wx{number:016x}")) for number in range(1000))
    tenths = [sum(1 for share in shares if tenth / 10 <= share < (tenth + 1) / 10) for tenth in range(10)]
    assert min(tenths) > 50
