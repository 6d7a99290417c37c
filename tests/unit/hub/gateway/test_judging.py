"""Which answers mean that the token was refused, and which are none of our business."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zhongkong.hub.gateway.judging import QUOTA_SPENT, is_judged, is_tokens, read_refusal
from zhongkong.wechat.answers import Refused
from zhongkong.wechat.errcodes import REFUSED_TOKEN

RID = "6720ea21-0dc53ebd-5bdb45c7"


@pytest.mark.parametrize(
    ("status", "content_type", "judged"),
    [
        (200, "application/json", True),
        (200, "application/json; encoding=utf-8", True),
        (200, "Application/JSON", True),
        (200, "text/plain", True),
        (200, "text/html; charset=UTF-8", True),
        (200, "", True),
        (200, "image/jpeg", False),
        (200, "audio/amr", False),
        (200, "application/octet-stream", False),
        (206, "application/json", False),
        (302, "text/html", False),
        (500, "application/json", False),
    ],
)
def test_only_what_may_be_a_refusal_is_held(status: int, content_type: str, judged: bool) -> None:  # noqa: FBT001 (a column)
    """All else is passed on as it comes."""
    assert is_judged(status, content_type) is judged


@pytest.mark.parametrize("errcode", [*REFUSED_TOKEN, QUOTA_SPENT])
@pytest.mark.parametrize(
    "form",
    [
        '{{"errcode":{},"errmsg":"invalid credential rid: {}"}}',
        '{{"errmsg":"invalid credential rid: {1}", "errcode" : "{0}"}}',
        '\ufeff \n{{"errcode":\t{},"errmsg":"x, rid: {}","more":[{{"errcode":0}}]}}',
    ],
)
def test_a_refusal_is_read_in_every_shape_that_was_recorded(errcode: int, form: str) -> None:
    """A number or a text, before or behind, with a BOM."""
    refused = read_refusal(form.format(errcode, RID).encode())
    assert refused is not None
    assert (refused.errcode, refused.rid) == (errcode, RID)


@pytest.mark.parametrize(
    "body",
    [
        '{"errcode":0,"errmsg":"ok"}',
        '{"errcode":40013,"errmsg":"invalid appid"}',
        '{"errcode":400011}',
        '{"errcode":-1,"errmsg":"system error"}',
        '{"results":[{"errcode":40001}]}',
        '{"errcode":0,"results":[{"errcode":40001}]}',
        '{"text":"\\"errcode\\":40001"}',
        '["errcode",40001]',
        '"errcode":40001',
        '{"errcode":40001',
        "<html>40001</html>",
        "",
    ],
)
def test_what_only_looks_like_a_refusal_is_none(body: str) -> None:
    """A list of results, another code, a text that quotes one: they are the client's to read."""
    assert read_refusal(body.encode()) is None


@given(st.binary())
def test_no_answer_raises(body: bytes) -> None:
    """Whatever it is."""
    assert read_refusal(body) is None


@given(st.integers(-(10**9), 10**9), st.text(max_size=5))
def test_only_these_codes_concern_us(errcode: int, errmsg: str) -> None:
    """Every other errcode is passed on."""
    found = read_refusal(json.dumps({"errcode": errcode, "errmsg": errmsg}).encode())
    assert (found is not None) is (errcode in {*REFUSED_TOKEN, QUOTA_SPENT})


@pytest.mark.parametrize(("errcode", "tokens"), [(40001, True), (40014, True), (42001, True), (45009, False)])
def test_a_spent_quota_is_no_matter_of_tokens(errcode: int, tokens: bool) -> None:  # noqa: FBT001 (a column)
    """Another token would not help."""
    assert is_tokens(Refused(errcode)) is tokens
