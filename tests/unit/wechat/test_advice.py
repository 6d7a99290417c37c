"""What a person is told: each trouble has a text that says who must do what."""

from __future__ import annotations

import pytest

from zhongkong.errors import (
    AccountRejected,
    AccountUnknown,
    CredentialUnavailable,
    PlatformBusy,
    PlatformError,
    QuotaExhausted,
    Value,
)
from zhongkong.messages import LANGUAGES, Language, codes
from zhongkong.wechat.advice import (
    ADVISED,
    ADVISED_OF_WECOM,
    UNREACHED,
    action_on,
    advise,
    build_error,
    explain_error,
    explain_event,
    explain_trouble,
)
from zhongkong.wechat.answers import Refused
from zhongkong.wechat.errcodes import _TOKEN_ROUTES, _WECOM_ROUTES, Action

IP_ERRMSG = "invalid ip 1.2.3.4 ipv6 ::ffff:1.2.3.4, not in whitelist rid: 61250a39-612fed42-36740516"
STATES = ["blocked", "quota", "refused", "unanswered", "unreachable", "too_early", "budget", "contested", "refreshing"]


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("errcode", [*sorted(_TOKEN_ROUTES), 40014, 99999])
def test_every_refusal_is_told_in_words(lang: Language, errcode: int) -> None:
    """A number alone sends people to a search engine."""
    text = explain_trouble("blocked", lang, "wx1", errcode, "the platform's words")
    assert str(errcode) in text
    assert "the platform's words" in text


def test_the_advised_codes_and_the_catalogue_are_one_list() -> None:
    """A text that no code leads to is dead; a code without its text would fail when it is needed."""
    own = {code for code in codes() if code.startswith("errcode_") and code[8:].removeprefix("-").isdigit()}
    assert own == {f"errcode_{errcode}" for errcode in ADVISED}


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("state", sorted(UNREACHED))
def test_what_was_not_reached_is_named_where_it_may_be(lang: Language, state: str) -> None:
    """A typing error in an address is seen by who reads the address; anybody may read the other text."""
    url = "http://192.0.2.1"
    assert url in explain_trouble(state, lang, "wx1", errmsg="connect_failed", values={"base_url": url})
    bare = explain_trouble(state, lang, "wx1", errmsg="connect_failed")
    assert "wx1" in bare
    assert url not in bare


@pytest.mark.parametrize("lang", LANGUAGES)
def test_40164_names_the_address_and_where_to_add_it(lang: Language) -> None:
    """The address is the platform's view of us; from the inside of a network nobody knows it."""
    text = explain_trouble("blocked", lang, "wx1", 40164, IP_ERRMSG)
    assert "1.2.3.4" in text
    assert "mp.weixin.qq.com" in text
    assert "zhongkong account set wx1" in text


@pytest.mark.parametrize("errcode", [40164, 45035, 61004])
def test_an_allow_list_refusal_without_an_address_says_how_to_find_it(errcode: int) -> None:
    """A masked or missing address must not become an empty word in the sentence."""
    assert advise("wx1", errcode, "not in whitelist")[0] == "errcode_40164_unnamed"
    assert "zhongkong doctor" in explain_trouble("blocked", "en", "wx1", errcode, "not in whitelist")


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("state", STATES)
def test_every_state_of_a_slot_is_told_in_words(lang: Language, state: str) -> None:
    """States come from the record; the one without a text would break the page that shows it."""
    text = explain_trouble(state, lang, "wx1")
    assert explain_trouble(state, lang, "wx1", None, "timeout") == f"{text} [timeout]"


@pytest.mark.parametrize(
    ("errcode", "expected"),
    [(-1, PlatformBusy), (99999, PlatformBusy), (45009, QuotaExhausted), (40125, AccountRejected)],
)
def test_a_refusal_becomes_the_error_that_says_who_acts(errcode: int, expected: type[PlatformError]) -> None:
    """Callers tell waiting from fixing by the class."""
    error = build_error("wx1", Refused(errcode, "words", "r"))
    assert type(error) is expected
    assert (error.errcode, error.errmsg, error.rid, error.values["appid"]) == (errcode, "words", "r", "wx1")
    assert "words" in explain_error(error, "en")


def test_a_missing_credential_is_told_with_its_wait_and_its_cause() -> None:
    """The wait alone hides that a person must act; whole seconds, never early."""
    error = CredentialUnavailable(
        "wx1", "access_token", "blocked", retry_after=12.01, errcode=40125, errmsg="invalid appsecret", rid=""
    )
    text = explain_error(error, "en")
    assert "13 s" in text
    assert "account set wx1 --secret" in text


def test_a_missing_credential_without_a_refusal_is_told_by_its_state() -> None:
    """Most waits are our own: a refresh that runs, a budget, a store."""
    error = CredentialUnavailable("wx1", "access_token", "budget", retry_after=60.0)
    assert "budget" in explain_error(error, "en")


@pytest.mark.parametrize("retry_after", [0.0, 0.2, 1.0])
def test_nobody_is_told_to_wait_zero_seconds(retry_after: float) -> None:
    """A caller who comes back at once finds the same and comes back at once."""
    error = CredentialUnavailable("wx1", "access_token", "refreshing", retry_after=retry_after)
    assert "in 1 s" in explain_error(error, "en")


def test_an_error_without_a_cause_is_told_by_its_own_text() -> None:
    """Nothing is appended where there is nothing to add."""
    assert explain_error(AccountUnknown("wx1"), "zh").count("wx1") == 2


def test_a_failed_mint_is_told_with_its_cause() -> None:
    """The event is what an alert is made of."""
    values: dict[str, Value] = {"state": "blocked", "errcode": 40164, "errmsg": IP_ERRMSG, "rid": ""}
    text = explain_event("mint_failed", "en", "wx1", values)
    assert text.startswith("wx1: the mint of its access_token failed. IP 1.2.3.4 is not in the allow-list")


def test_a_refused_token_is_the_secret_on_a_token_route_and_the_token_when_a_ticket_is_asked_for() -> None:
    """Nobody should look for a wrong AppSecret because a ticket was refused."""
    assert "--secret" in explain_trouble("blocked", "en", "wx1", 40001, "invalid credential")
    assert "--secret" not in explain_trouble("refused", "en", "wx1", 40001, "invalid credential")
    assert "ticket" in explain_trouble("refused", "en", "wx1", 42001, "access_token expired")


@pytest.mark.parametrize("lang", LANGUAGES)
def test_an_event_names_its_account(lang: Language) -> None:
    """The audit log is read across accounts."""
    values: dict[str, Value] = {"generation": 3, "mode": "stable", "life": 7200}
    assert explain_event("minted", lang, "wx1", values).startswith("wx1")


AGENT = "ww0123456789abcdef:crm"
FROM_IP = (
    "not allow to access from your ip, hint: [1658286717354964018506079], from ip: 1.2.3.4, more info at https://x"
)


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("errcode", [*sorted(_WECOM_ROUTES), 40014, 99999])
def test_every_refusal_of_wecom_is_told_in_its_own_words(lang: Language, errcode: int) -> None:
    """Its console is another one, and its numbers mean other things."""
    text = explain_trouble("blocked", lang, AGENT, errcode, "the words")
    assert str(errcode) in text
    assert "mp.weixin.qq.com" not in text


def test_the_advised_codes_of_wecom_and_the_catalogue_are_one_list() -> None:
    """As above."""
    own = {code for code in codes() if code.startswith("wecom_") and code[6:].removeprefix("-").isdigit()}
    assert own == {f"wecom_{errcode}" for errcode in ADVISED_OF_WECOM}


@pytest.mark.parametrize("lang", LANGUAGES)
def test_60020_names_the_address_and_where_to_add_it(lang: Language) -> None:
    """The platform tells it; without it the text says what to look for."""
    text = explain_trouble("blocked", lang, AGENT, 60020, FROM_IP)
    assert "1.2.3.4" in text
    assert "work.weixin.qq.com" in text
    assert f"zhongkong account set {AGENT}" in text
    assert advise(AGENT, 60020, "not allow")[0] == "wecom_60020_unnamed"


def test_wecoms_40001_is_the_secret_and_final() -> None:
    """On whatever route; and so a program that asks over HTTP is told."""
    assert type(build_error(AGENT, Refused(40001, "invalid credential"))) is AccountRejected
    assert action_on(AGENT, 40001) is Action.FIX_CONFIG
    assert "--secret" in explain_trouble("refused", "en", AGENT, 40001, "invalid credential")
    assert "ticket" in explain_trouble("refused", "en", AGENT, 42001, "access_token expired")
    assert action_on(AGENT, 99999) is Action.RETRY_LATER


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_repeated_dead_token_is_told_in_words(lang: Language) -> None:
    """Only a person can look at the console."""
    assert AGENT in explain_trouble("token_repeated", lang, AGENT)


def test_another_store_is_told_of_without_guessing_what_became_of_the_old_one() -> None:
    """It may have been lost, keys and all, or put back with its keys, and it need not be in a directory."""
    text = explain_event("store_replaced", "en", "", {"accounts": 2})
    assert "zhongkong key list" in text
    assert "that are missing" in text
    assert "data directory" not in text
