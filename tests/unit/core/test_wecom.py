"""WeCom: a mint repeats the token while it lives and ends none; what its platform repeats although it is dead."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.core.records import NOW, SANDBOX, SLOT, after, build_credential, build_record, events_of
from zhongkong.core.claim import Claim, Claimed, NotYet
from zhongkong.core.following import find_unfit
from zhongkong.core.freshness import Freshness, judge_freshness, trust_of
from zhongkong.core.issuing import daily_budget, first_refresh_at, life_of, mode_now, next_ask_at
from zhongkong.core.lineage import parent_of, proves_parent_dead, was_refused_with_parent
from zhongkong.core.model import (
    LEASE,
    Account,
    AccountKind,
    Attempt,
    Event,
    Kind,
    Lease,
    Mode,
    Probe,
    Record,
    Retry,
    Secret,
    Slot,
    Trouble,
    build_account,
)
from zhongkong.core.reject import AlreadyNewer, EndProbe, ProbeNow, Reject
from zhongkong.core.retry import REPEATED_APART, WECOM_QUOTA_WAITS, retry_after
from zhongkong.core.rounds import Action, plan
from zhongkong.core.save import Failed, Save, Saved
from zhongkong.wechat.answers import Granted, Refused
from zhongkong.wechat.errcodes import ProbeVerdict

APPID = "ww0123456789abcdef:crm"
TOKEN = Slot(APPID)
TICKET = Slot(APPID, Kind.AGENT_CONFIG_TICKET)
ACCOUNT = build_account(APPID, AccountKind.WECOM, Secret("s" * 43))


def build(**changed: Any) -> Record:
    """Return the record of a token that was handed out just now."""
    credential = changed.pop("credential", None) or build_credential(Mode.WECOM)
    record = build_record(Mode.WECOM, credential)
    return replace(record, slot=TOKEN, refresh_at=first_refresh_at(TOKEN, credential), **changed)


def save(outcome: Any, record: Record, now: float) -> tuple[Record, Any, list[Event]]:
    """Save what became of an ask that left a moment ago."""
    fence = f"fence at {now}"
    attempts, lease = (Attempt(fence, now - 0.1, Mode.WECOM, ends=False),), Lease(fence, now + LEASE)
    claimed, command = replace(record, attempts=attempts, lease=lease), Save(TOKEN, ACCOUNT, fence, outcome)
    return (*after(command, claimed, now), events_of(command, claimed, now))


def condemned(now: float) -> Record:
    """Return a record whose token a probe proved dead."""
    begun = build(probe=Probe(began_at=now))
    record, _ = after(EndProbe(TOKEN, begun.credential.sha256, now, ProbeVerdict.DEAD, "rejected"), begun, now)  # type: ignore[union-attr]
    return record


def test_an_account_of_wecom_asks_gettoken_on_the_host_of_wecom() -> None:
    """Unless it is said otherwise; and no other account does."""
    assert (ACCOUNT.mode, ACCOUNT.base_url) == (Mode.WECOM, "https://qyapi.weixin.qq.com")
    assert ACCOUNT.asking_mode is Mode.WECOM
    official = build_account("wx1", AccountKind.OFFICIAL, Secret("s"))
    assert (official.mode, official.base_url) == (Mode.STABLE, "https://api.weixin.qq.com")


def test_what_an_account_is_asked_by() -> None:
    """Its tickets have a mode of their own, asked for with its token; behind a leader all goes there."""
    assert mode_now(ACCOUNT, build(), NOW) is Mode.WECOM
    assert mode_now(ACCOUNT, Record(TICKET), NOW) is Mode.WECOM_TICKET
    assert parent_of(TICKET, Mode.WECOM_TICKET) == TOKEN
    assert parent_of(TOKEN, Mode.WECOM) is None
    assert mode_now(replace(ACCOUNT, mode=Mode.FOLLOW), Record(TICKET), NOW) is Mode.FOLLOW


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({}, ""),
        ({"mode": Mode.FOLLOW, "secret": Secret("zk_" + "a" * 8 + "_" + "b" * 43), "base_url": SANDBOX}, ""),
        ({"mode": Mode.STABLE}, "mode"),
        ({"mode": Mode.CLASSIC}, "mode"),
        ({"mode": Mode.WECOM_TICKET}, "mode"),
        ({"kind": AccountKind.OFFICIAL}, "appid"),
        ({"appid": "ww0123456789abcdef"}, "appid"),
        ({"appid": "wx1", "kind": AccountKind.OFFICIAL}, "mode"),
        ({"secret": Secret("zk_" + "a" * 8 + "_" + "b" * 43)}, "secret"),
    ],
)
def test_appid_kind_and_mode_go_together(changed: dict[str, Any], field: str) -> None:
    """One secret is one account: the name after the colon tells the applications of a corp apart."""
    assert find_unfit(replace(ACCOUNT, **changed)) == field


def test_a_day_has_2000_asks() -> None:
    """The platform allows more in a minute; and a sandbox's short lives need more."""
    assert daily_budget(ACCOUNT, Mode.WECOM, 7200) == 2000
    assert daily_budget(replace(ACCOUNT, base_url=SANDBOX), Mode.WECOM, 60) == 240_000


def test_only_the_rest_is_announced_so_the_longest_life_counts() -> None:
    """At the platform's own host a token lives two hours at least, whatever a late ask was told."""
    assert life_of(Record(TOKEN), ACCOUNT, Mode.WECOM, 311) == 7200
    record = replace(build_record(Mode.WECOM), longest=60)
    assert life_of(record, replace(ACCOUNT, base_url=SANDBOX), Mode.WECOM, 17) == 60


def test_it_is_asked_in_its_last_window_and_at_its_end() -> None:
    """Nobody knows whether it is replaced before its end: every 20 s at most, and the moment it is over."""
    credential = build_credential(Mode.WECOM)
    now, asks, waits = first_refresh_at(TOKEN, credential), 0, []
    assert 270 < credential.expires_at - now <= 295
    while now < credential.expires_at:
        again, asks = next_ask_at(TOKEN, credential, asks, now)
        waits.append(again - now)
        now = again
    assert waits[:4] == pytest.approx([5, 10, 20, 20])
    assert now == credential.expires_at
    assert next_ask_at(TOKEN, credential, asks, now)[0] > now


def test_the_same_token_is_the_same_generation_with_its_end_taken_anew() -> None:
    """And what nobody doubted stays undoubted."""
    now = NOW + 7000.0
    record, answer, _ = save(Granted("token-1", 200), build(), now)
    assert answer == Saved()
    assert record.generation == 1
    assert trust_of(record) == pytest.approx(now + 199.9)


def test_an_ask_ends_no_token_and_hides_no_risk() -> None:
    """An open attempt is no threat: after a crash the token is as good as before."""
    record = build(attempts=(Attempt("f", NOW + 60.0, Mode.WECOM, ends=False),))
    assert judge_freshness(record, NOW + 100.0) is Freshness.FRESH


def test_a_dead_token_that_comes_again_stays_condemned_and_is_asked_for_every_minute() -> None:
    """Nothing forces this platform. It is told once, and as an alert for as long as it lasts."""
    now = NOW + 1000.0
    record, answer, events = save(Granted("token-1", 6200), condemned(now), now + 1.0)
    assert isinstance(answer, Failed)
    assert record.condemned == "rejected"
    assert judge_freshness(record, now + 1.0) is Freshness.DEAD
    assert record.retry.trouble == Trouble("token_repeated")
    assert record.retry.next_try_at == now + 1.0 + REPEATED_APART
    assert [event.code for event in events] == ["mint_failed"]
    _, waits = after(Claim(TOKEN, ACCOUNT, "g", 1), record, now + 60.0)
    assert isinstance(waits, NotYet)
    record, waits = after(Claim(TOKEN, ACCOUNT, "g", 1), record, now + 61.0)
    assert isinstance(waits, Claimed)
    again, _, events = save(Granted("token-1", 6100), record, now + 62.0)
    assert events == []
    assert again.retry.next_try_at == now + 62.0 + REPEATED_APART


def test_a_repeated_token_that_is_found_alive_is_good_again() -> None:
    """A node may have been wrong: it is looked at as often as another one is asked for, and is served at once."""
    now = NOW + 1000.0
    record, _, _ = save(Granted("token-1", 6200), condemned(now), now + 1.0)
    assert plan(record, now + 59.0).action is Action.REST
    assert plan(record, now + 60.0).action is Action.PROBE
    alive = EndProbe(TOKEN, record.credential.sha256, now + 60.0, ProbeVerdict.ALIVE, "probed")  # type: ignore[union-attr]
    record, _ = after(alive, replace(record, probe=record.probe._replace(began_at=now + 60.0)), now + 60.1)
    assert judge_freshness(record, now + 61.0) is Freshness.FRESH
    assert record.retry == Retry()


def test_another_token_ends_the_trouble() -> None:
    """A new generation, and nothing is left of the old one's."""
    now = NOW + 1000.0
    record, _, _ = save(Granted("token-1", 6200), condemned(now), now + 1.0)
    record, answer, _ = save(Granted("token-2", 7200), record, now + 61.0)
    assert answer == Saved()
    assert (record.generation, record.condemned, record.retry) == (2, "", Retry())


def test_what_two_callers_insist_against_is_good_when_the_platform_hands_it_out_again() -> None:
    """Its probe took it, and so does its mint; there is nothing better to be had."""
    now = NOW + 1000.0
    record, answer, _ = save(Granted("token-1", 6200), build(suspected=True), now)
    assert answer == Saved()
    assert judge_freshness(record, now) is Freshness.FRESH
    assert record.probe.alive_at == now - 0.1


def test_an_early_death_is_no_strangers_work() -> None:
    """Whoever else asks with the same secret is told the same token. The platform may end it by itself."""
    assert condemned(NOW + 1000.0).contest.seen == ()
    record, answer = after(Reject(TOKEN, "a", sha256="0" * 64), build(), NOW + 10.0)
    assert answer == AlreadyNewer()
    assert record == build()


def test_a_refused_token_is_probed() -> None:
    """One caller's word is not believed unseen."""
    _, answer = after(Reject(TOKEN, "a", generation=1), build(), NOW + 10.0)
    assert isinstance(answer, ProbeNow)


@pytest.mark.parametrize(
    ("errcode", "state", "wait"),
    [
        *((code, "blocked", 300.0) for code in (40001, 40013, 40091, 60020, 48002)),
        (45009, "quota", WECOM_QUOTA_WAITS[0]),
        *((code, "refused", 1.0) for code in (-1, 45033, 42001, 99999)),
    ],
)
@pytest.mark.parametrize("mode", [Mode.WECOM, Mode.WECOM_TICKET])
def test_what_a_refusal_means(mode: Mode, errcode: int, state: str, wait: float) -> None:
    """40001 is the secret's, whatever was asked for; an address that is not trusted waits for a person."""
    retry = retry_after(Retry(), Refused(errcode, "words"), now=NOW, trust=NOW - 1.0, dice=0.0, mode=mode)
    assert retry.trouble == Trouble(state, errcode, "words")
    assert retry.next_try_at == NOW + wait


def test_a_spent_rate_is_waited_out_by_wecoms_own_rules() -> None:
    """A minute, then ten: the hour's block is found out soon after its end."""
    retry, waits = Retry(), []
    for _ in range(3):
        retry = retry_after(retry, Refused(45009), now=NOW, trust=NOW, dice=0.0, mode=Mode.WECOM)
        waits.append(retry.next_try_at - NOW)
    assert waits == [60.0, 600.0, 600.0]


@pytest.mark.parametrize(("errcode", "is_proof"), [(40014, True), (42001, True), (40001, False), (60020, False)])
def test_a_ticket_that_is_refused_for_its_token_condemns_that(errcode: int, *, is_proof: bool) -> None:
    """40001 says nothing against the token: a good one must not end for it."""
    child = Record(TICKET)
    assert proves_parent_dead(child, Refused(errcode)) is is_proof
    before = replace(child, retry=Retry(NOW, 1, Trouble("refused", errcode)))
    assert was_refused_with_parent(before) is is_proof
    assert proves_parent_dead(before, Refused(42001)) is not is_proof


def test_an_official_accounts_40001_goes_on_to_be_the_tokens() -> None:
    """One number, two platforms."""
    assert proves_parent_dead(Record(Slot(SLOT.appid, Kind.JSAPI_TICKET)), Refused(40001))


def test_a_wecom_account_shows_no_secret() -> None:
    """In no repr."""
    assert "sss" not in repr(Account(APPID, AccountKind.WECOM, Secret("sss")))
