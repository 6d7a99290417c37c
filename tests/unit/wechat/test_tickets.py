"""How a ticket is asked for, and how its answer is read."""

from __future__ import annotations

import json
from typing import Any

import pytest

from zhongkong.core.model import KINDS_OF, TICKETS, AccountKind, Kind
from zhongkong.wechat.answers import Granted, Refused, Unreadable, parse_grant
from zhongkong.wechat.endpoints import Domain, build_ticket_request, ticket_kind
from zhongkong.wechat.errcodes import Verdict, verdict

OK = {"errcode": 0, "errmsg": "ok", "ticket": "sM4AOVdWfPE4DxkXGEs8VMCP_-qg", "expires_in": 7200}


def read(**changed: Any) -> Granted | Refused | Unreadable:
    """Return what is read of an answer, changed as told; None removes a member."""
    body = {name: value for name, value in {**OK, **changed}.items() if value is not None}
    return parse_grant(200, json.dumps(body).encode(), "ticket")


@pytest.mark.parametrize(("kind", "named"), [("jsapi_ticket", "jsapi"), ("wx_card_ticket", "wx_card")])
def test_a_ticket_is_asked_for_by_type_with_the_token_in_the_query(kind: str, named: str) -> None:
    """And the token is in no repr."""
    request = build_ticket_request("mp", "83_secret", kind)
    assert (request.method, request.path, request.body) == ("GET", "/cgi-bin/ticket/getticket", b"")
    assert request.query == {"access_token": "83_secret", "type": named}
    assert "83_secret" not in repr(request)


@pytest.mark.parametrize(
    ("kind", "path", "asked"),
    [
        ("jsapi_ticket", "/cgi-bin/get_jsapi_ticket", {}),
        ("agent_config_ticket", "/cgi-bin/ticket/get", {"type": "agent_config"}),
    ],
)
def test_wecom_has_a_path_for_each_of_its_own(kind: str, path: str, asked: dict[str, str]) -> None:
    """That of the corp, and that of the application."""
    request = build_ticket_request("wecom", "secret", kind)
    assert (request.method, request.path, request.query) == ("GET", path, {"access_token": "secret", **asked})
    assert ticket_kind("wecom", path, asked.get("type", "")) == kind
    assert ticket_kind("mp", path, asked.get("type", "")) is None


@pytest.mark.parametrize("account_kind", AccountKind)
def test_every_ticket_that_an_account_can_have_can_be_asked_for(account_kind: AccountKind) -> None:
    """And nothing else."""
    domain: Domain = "wecom" if account_kind is AccountKind.WECOM else "mp"
    for kind in Kind:
        if kind in TICKETS and kind in KINDS_OF[account_kind]:
            assert build_ticket_request(domain, "t", kind).query["access_token"] == "t"
        else:
            with pytest.raises(KeyError):
                build_ticket_request(domain, "t", kind)


def test_a_clean_answer_is_a_ticket_with_what_it_lives() -> None:
    """`errcode` 0 is the platform's way to say so."""
    assert read() == Granted("sM4AOVdWfPE4DxkXGEs8VMCP_-qg", 7200)
    assert read(errcode=None, errmsg=None) == Granted("sM4AOVdWfPE4DxkXGEs8VMCP_-qg", 7200)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"ticket": None}, "token_missing"),
        ({"ticket": ""}, "token_missing"),
        ({"ticket": "has blank"}, "token_malformed"),
        ({"ticket": None, "access_token": "83_x"}, "token_missing"),
        ({"expires_in": 0}, "expires_in_malformed"),
        ({"expires_in": None}, "expires_in_malformed"),
        ({"errcode": 40001}, "token_and_errcode"),
    ],
)
def test_an_empty_ticket_is_never_one(changed: dict[str, Any], why: str) -> None:
    """Nor one that lives for nothing, nor one with an errcode."""
    assert read(**changed) == Unreadable(why)


def test_a_refusal_is_told() -> None:
    """With its code."""
    assert read(ticket=None, expires_in=None, errcode=48001, errmsg="api unauthorized") == Refused(
        48001, "api unauthorized"
    )


@pytest.mark.parametrize(
    ("errcode", "means"),
    [
        *((code, Verdict.TRANSIENT) for code in (-1, 40001, 40014, 42001, 99999)),
        *((code, Verdict.QUOTA) for code in (45009, 45011)),
        *((code, Verdict.PERSON) for code in (48001, 40097, 50007)),
    ],
)
def test_what_a_refusal_means_here(errcode: int, means: Verdict) -> None:
    """A refused token is no wrong secret on this route."""
    assert verdict("mp", "getticket", errcode) is means
