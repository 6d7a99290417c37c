"""Bodies of pushes and replies: what is read, what is refused, and which pushes are the same."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zhongkong.wechat.pushes import (
    DEEPEST,
    LONGEST,
    Answer,
    BodyUnreadable,
    Shape,
    build_encrypted,
    identify_push,
    judge_answer,
    parse_body,
)

TEXT = (
    "<xml><ToUserName><![CDATA[gh_1]]></ToUserName>\n<FromUserName><![CDATA[oA]]></FromUserName>"
    "<CreateTime>1700000000</CreateTime><MsgType><![CDATA[text]]></MsgType>"
    "<Content><![CDATA[你好 <b>&amp;]]></Content><MsgId>24000000000000001</MsgId></xml>"
)


def identity(body: str | bytes) -> str:
    """Return what the push is known by."""
    raw = body if isinstance(body, bytes) else body.encode()
    return identify_push(parse_body(raw))


def event(**fields: object) -> str:
    """Return an event in JSON."""
    base = {"FromUserName": "oA", "CreateTime": 1700000000, "MsgType": "event", "Event": "CLICK", "EventKey": "K1"}
    return json.dumps({**base, **fields})


def test_a_message_in_xml_is_read() -> None:
    """CDATA as it stands; what is nested deeper is passed over."""
    body = parse_body(TEXT.replace("</xml>", "<Scan><Kind>qr</Kind></Scan></xml>").encode())
    assert body.shape is Shape.XML
    assert body.get("Content") == "你好 <b>&amp;"
    assert (body.get("MsgId"), body.get("Scan"), body.get("Kind")) == ("24000000000000001", "", "")


def test_a_message_in_json_is_read() -> None:
    """Numbers become text, as they are in XML."""
    body = parse_body(b'\xef\xbb\xbf {"MsgId": 24000000000000001, "List": [1], "Is": true, "Content": "\xe4\xbd\xa0"}')
    assert body.shape is Shape.JSON
    assert dict(body.fields) == {"MsgId": "24000000000000001", "Content": "你"}


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"hello", id="neither"),
        pytest.param(b"[1]", id="a list"),
        pytest.param(b"<html></html>", id="a page"),
        pytest.param(b"<xml><a></xml>", id="not closed"),
        pytest.param(b"<xml></xml><xml></xml>", id="two"),
        pytest.param(b"<!DOCTYPE xml><xml><a>1</a></xml>", id="a document type"),
        pytest.param(b'<!DOCTYPE x [<!ENTITY a "b">]><xml><a>&a;</a></xml>', id="an entity"),
        pytest.param(b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><xml><a>&a;</a></xml>', id="a file"),
        pytest.param(b"<xml><a>&unknown;</a></xml>", id="an entity that nobody declared"),
        pytest.param(b"<xml><?php echo 1 ?></xml>", id="an instruction"),
        pytest.param(b"<xml><a>1</a><a>2</a></xml>", id="a field twice"),
        pytest.param(b'{"a":1,"a":2}', id="a member twice"),
        pytest.param(b'{"a":NaN}', id="no number"),
        pytest.param(b'{"a":"\\ud800"}', id="half a character"),
        pytest.param(b'{"a":' + b"9" * 5000 + b"}", id="a number without end"),
        pytest.param(b'{"a":' + b"[" * 100_000, id="deep json"),
        pytest.param(b"<xml>" + b"<a>" * DEEPEST, id="deep xml"),
        pytest.param(b"<xml>" + b"<a/>" * 3000 + b"</xml>", id="many elements"),
        pytest.param(b"<xml><a>" + b"x" * LONGEST + b"</a></xml>", id="too long"),
        pytest.param(TEXT.encode("utf-16"), id="another encoding"),
        pytest.param(b"<xml><a>\xff\xfe</a></xml>", id="no text"),
        pytest.param(b"<xml><a>\x00</a></xml>", id="a null"),
    ],
)
def test_what_is_no_message_is_refused(body: bytes) -> None:
    """By one error, whatever is the matter; nothing outside is opened for it, and nothing grows."""
    with pytest.raises(BodyUnreadable):
        parse_body(body)


@given(st.one_of(st.binary(max_size=200), st.text(alphabet='<xml>/![CDATA]&;"a ', max_size=80).map(str.encode)))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    """No other error is raised, and what is read can be signed and stored."""
    try:
        read = parse_body(body)
    except BodyUnreadable:
        return
    assert all(value.encode() or value == "" for value in read.fields.values())


def test_a_declared_encoding_is_not_believed() -> None:
    """Messages are UTF-8; a declaration would let one reader see another text than the next."""
    body = parse_body('<?xml version="1.0" encoding="gbk"?><xml><a>你</a></xml>'.encode())
    assert body.get("a") == "你"


def test_a_message_is_known_by_its_id() -> None:
    """A repetition may be written otherwise."""
    assert identity(TEXT) == identity(TEXT.replace("\n", "")) == identity('{"MsgId":24000000000000001}')
    assert identity(TEXT) != identity(TEXT.replace("0001</MsgId>", "0002</MsgId>"))


@pytest.mark.parametrize(
    "other",
    [
        *({"CreateTime": 1700000001}, {"FromUserName": "oB"}, {"Event": "VIEW"}, {"EventKey": "2"}),
        *({"MsgID": 2, "Status": "success"}, {"ApprovalInfo": {"SpNo": 2}}, {"ApprovalInfo": {"SpNo": 3}}),
    ],
)
def test_an_event_is_known_by_all_that_it_says(other: dict[str, object]) -> None:
    """Many may come of one person, or of `sys`, in one second, and differ in what is nested alone."""
    assert identity(event()) == identity(json.dumps(dict(reversed(json.loads(event()).items())), indent=1))
    assert identity(event()) != identity(event(**other))
    assert len({identity(event()), identity(event(ApprovalInfo={"SpNo": 1})), identity(event(**other))}) == 3


def test_an_event_in_xml_may_be_laid_out_otherwise() -> None:
    """Blanks and comments between elements say nothing; which element holds what does."""
    written = "<xml><Event>a</Event><Info><No>1</No></Info></xml>"
    laid_out = (
        "<?xml version='1.0'?>\n<xml>\n <Event><![CDATA[a]]></Event> <!-- b -->\n<Info >\n<No>1</No></Info>\n</xml>"
    )
    assert identity(written) == identity(laid_out)
    others = [written.replace("1", "2"), written.replace("No>", "Nr>"), "<xml><Event>a</Event><Info/><No>1</No></xml>"]
    assert len({identity(one) for one in (written, *others)}) == 4


@pytest.mark.parametrize(
    ("answer", "judged"),
    [
        (b"", Answer.NOTHING),
        (b"success", Answer.NOTHING),
        (b" success\r\n", Answer.NOTHING),
        (TEXT.encode(), Answer.PLAIN),
        (b'{"MsgType":"text"}', Answer.PLAIN),
        (b"<xml><Encrypt>a</Encrypt></xml>", Answer.ENCRYPTED),
        (b'{"Encrypt":"a"}', Answer.ENCRYPTED),
        (b"ok", Answer.UNFIT),
        (b"<!DOCTYPE html><html></html>", Answer.UNFIT),
        (b"successful", Answer.UNFIT),
    ],
)
def test_answers_are_judged(answer: bytes, judged: Answer) -> None:
    """What is unfit would show the person that the account is out of order."""
    assert judge_answer(answer) is judged


def test_an_encrypted_reply_has_the_platforms_two_shapes() -> None:
    """As its example shows, the time as a number."""
    encrypt = "ELGduP2YcVatjqIS+eZbp80MNLoAUWvzzyJxgGzxZO/5sAvd070Bs6qrLARC9nVHm48Y4hyRbtzve1L32tmxSQ=="
    signature = "1b9339964ed2e271e7c7b6ff2b0ef902fc94dea1"
    in_json = build_encrypted(Shape.JSON, "AAAAA", encrypt, 1713424427, "415670741")
    assert json.loads(in_json) == {
        "Encrypt": encrypt,
        "MsgSignature": signature,
        "TimeStamp": 1713424427,
        "Nonce": "415670741",
    }
    in_xml = build_encrypted(Shape.XML, "AAAAA", encrypt, 1713424427, "415670741")
    assert dict(parse_body(in_xml).fields) == {
        "Encrypt": encrypt,
        "MsgSignature": signature,
        "TimeStamp": "1713424427",
        "Nonce": "415670741",
    }
    assert b"<TimeStamp>1713424427</TimeStamp>" in in_xml


def test_a_nonce_cannot_break_out_of_the_reply() -> None:
    """It comes from outside, when a reply repeats the nonce of its push."""
    with pytest.raises(ValueError, match="nonce"):
        build_encrypted(Shape.XML, "AAAAA", "a", 1, "]]></Nonce>")
