"""The error tree: what an error carries, and that each one can be told to a person."""

from __future__ import annotations

import pickle

import pytest

from zhongkong import errors
from zhongkong.errors import (
    AccountRejected,
    AccountUnknown,
    CredentialUnavailable,
    PlatformError,
    StoreError,
    StoreUnavailable,
    ZhongkongError,
)

EXAMPLES = [
    AccountUnknown("wx1"),
    CredentialUnavailable("wx1", "access_token", "budget", retry_after=2.5),
    StoreUnavailable("store_locked", path="/data/zk.db", retry_after=1.0),
    AccountRejected("errcode_40125", 40125, "invalid appsecret", "6720ea21-0dc53ebd-5bdb45c7", appid="wx1"),
]


def _all_errors() -> list[type[ZhongkongError]]:
    return [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, ZhongkongError)]


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_an_error_comes_out_of_pickle_as_it_went_in(error: ZhongkongError) -> None:
    """Worker processes send their errors home; one that cannot be sent breaks the pool instead of being told."""
    back = pickle.loads(pickle.dumps(error))  # noqa: S301 (our own bytes)
    assert type(back) is type(error)
    assert (str(back), vars(back)) == (str(error), vars(error))


def test_an_error_shows_its_code_and_values_on_one_line() -> None:
    """A log line with a line break in it can be forged by whoever chose the value."""
    shown = str(StoreUnavailable("store_locked", path="a\nb"))
    assert shown == "store_locked (path='a\\nb')"


def test_an_error_without_values_shows_its_code_alone() -> None:
    """Empty parentheses tell nobody anything."""
    assert str(StoreUnavailable("store_unavailable")) == "store_unavailable"


def test_a_value_may_be_called_code() -> None:
    """Values are named by the text; the parameter of the constructor must not take a name away from it."""
    assert ZhongkongError("x", code="y").values == {"code": "y"}


def test_the_refusal_keeps_what_the_platform_said() -> None:
    """The hub's problem documents carry errcode, errmsg and rid as members of their own."""
    error = AccountRejected("errcode_40125", 40125, "invalid appsecret", "rid-1", appid="wx1")
    assert (error.errcode, error.errmsg, error.rid) == (40125, "invalid appsecret", "rid-1")
    assert error.values == {"errcode": 40125, "errmsg": "invalid appsecret", "rid": "rid-1", "appid": "wx1"}


def test_a_missing_credential_names_its_cause_and_the_wait() -> None:
    """A caller waits that long; the cause says whether a person must act meanwhile."""
    error = CredentialUnavailable("wx1", "access_token", "blocked", retry_after=300.0, errcode=40125)
    assert (error.cause, error.retry_after, error.values["errcode"]) == ("blocked", 300.0, 40125)


@pytest.mark.parametrize("kind", _all_errors(), ids=lambda kind: kind.__name__)
def test_every_error_has_the_one_base_and_says_who_acts(kind: type[ZhongkongError]) -> None:
    """Callers catch ZhongkongError and miss nothing; a class without a word on who acts is no use to them."""
    assert issubclass(kind, ZhongkongError)
    assert kind.__doc__


def test_store_and_platform_errors_are_told_apart() -> None:
    """Serving goes on from memory after the first, and backs off after the second."""
    assert not issubclass(PlatformError, StoreError)
    assert not issubclass(StoreError, PlatformError)
