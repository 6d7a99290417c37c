"""Verdicts: what the keeper does after each refusal, and what the table tells people."""

from __future__ import annotations

import pytest

from zhongkong.wechat.errcodes import (
    _TOKEN_ROUTES,
    REFUSED_TOKEN,
    Action,
    ProbeVerdict,
    Verdict,
    _meanings,
    is_refused_token,
    judge_probe,
    meaning_of,
    verdict,
)

PERSON = [40001, 40002, 40013, 40125, 40164, 40243, 41002, 41004, 48001, 48004, 50004, 50007]
RISK = [89501, 89503, 89506, 89507]


@pytest.mark.parametrize("endpoint", ["token", "stable_token"])
@pytest.mark.parametrize(
    ("errcode", "expected"),
    [
        (-1, Verdict.TRANSIENT),
        (45009, Verdict.QUOTA),
        (45011, Verdict.QUOTA),
        *((errcode, Verdict.PERSON) for errcode in PERSON + RISK),
        (99999, Verdict.TRANSIENT),
        (40014, Verdict.TRANSIENT),
        (42001, Verdict.TRANSIENT),
    ],
)
def test_a_refused_mint_has_one_verdict(endpoint: str, errcode: int, expected: Verdict) -> None:
    """A person must act, or a quota is spent, or it passes; an unknown code is taken to pass."""
    assert verdict("mp", endpoint, errcode) is expected


def test_40001_on_a_token_route_is_never_a_stale_token() -> None:
    """There is no token in the request; to refresh because of it would ask for ever."""
    assert verdict("mp", "token", 40001) is Verdict.PERSON
    assert is_refused_token(40001)


def test_an_endpoint_that_mints_nothing_has_no_verdict() -> None:
    """A guess would be wrong in the other domain: WeCom's 40001 is a wrong secret on every call."""
    with pytest.raises(KeyError):
        verdict("wecom", "user/get", 40001)


@pytest.mark.parametrize(
    ("errcode", "expected"),
    [
        (0, ProbeVerdict.ALIVE),
        (40001, ProbeVerdict.DEAD),
        (40014, ProbeVerdict.DEAD),
        (42001, ProbeVerdict.DEAD),
        (45009, ProbeVerdict.ALIVE),
        (48001, ProbeVerdict.ALIVE),
        (41001, ProbeVerdict.ALIVE),
        (-1, ProbeVerdict.UNKNOWN),
        (None, ProbeVerdict.UNKNOWN),
    ],
)
def test_a_probe_kills_only_by_the_three_codes(errcode: int | None, expected: ProbeVerdict) -> None:
    """Three codes are death, silence and -1 prove nothing, all else is life."""
    assert judge_probe(errcode) is expected


def test_business_answers_and_probes_agree_on_what_refuses_a_token() -> None:
    """Two tables for one question would drift apart."""
    codes = range(-2, 100_000)
    refused = {errcode for errcode in codes if is_refused_token(errcode)}
    assert refused == {errcode for errcode in codes if judge_probe(errcode) is ProbeVerdict.DEAD} == REFUSED_TOKEN


@pytest.mark.parametrize(("errcode", "expected"), sorted(_TOKEN_ROUTES.items()))
def test_the_table_for_people_agrees_with_the_verdict(errcode: int, expected: Verdict) -> None:
    """A page that says "retry" beside a state that says "a person must act" helps nobody."""
    meaning = meaning_of("mp", errcode, "token")
    assert meaning is not None
    fitting = {
        Verdict.PERSON: {Action.FIX_CONFIG},
        Verdict.QUOTA: {Action.QUOTA, Action.RETRY_LATER},
        Verdict.TRANSIENT: {Action.RETRY_LATER},
    }
    assert meaning.action in fitting[expected]


def test_an_endpoints_own_meaning_goes_before_the_domains() -> None:
    """40001 on a token route is about the secret, elsewhere about the token."""
    anywhere, at_token = meaning_of("mp", 40001), meaning_of("mp", 40001, "token")
    assert anywhere is not None
    assert at_token is not None
    assert (anywhere.action, at_token.action) == (Action.REFRESH_TOKEN, Action.FIX_CONFIG)


def test_a_number_means_different_things_in_different_domains() -> None:
    """WeCom reuses numbers."""
    mp, wecom = meaning_of("mp", 40001), meaning_of("wecom", 40001)
    assert mp is not None
    assert wecom is not None
    assert mp.zh != wecom.zh


def test_an_unrecorded_code_has_no_meaning() -> None:
    """Nothing is better than a guess."""
    assert meaning_of("mp", 123456789) is None


def test_every_meaning_is_whole() -> None:
    """A hole would be found by the person who needs the line."""
    assert len(_meanings()) > 140
    for key, meaning in _meanings().items():
        assert all((meaning.zh, meaning.en)), key
        assert meaning.known in {"doc", "recorded", "sdk", "unsure"}, key
        assert not meaning.errmsg.endswith("{rid}"), key
