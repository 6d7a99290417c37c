"""Files in forms: what real clients send, and what none ought to."""

import httpx
import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from zhongkong.sandbox.multipart import Part, parse_files

names = st.text("abcdefghijklmnopqrstuvwxyz小明 ._-", min_size=1, max_size=20)


@given(content=st.binary(max_size=500), name=st.sampled_from(["media", "other"]), filename=names)
def test_what_a_client_sends_is_read_as_it_was(content: bytes, name: str, filename: str) -> None:
    """Also content with line ends, dashes and half a boundary in it."""
    request = httpx.Request("POST", "http://x/", files={name: (filename, content)}, data={"title": "x"})
    files = parse_files(request.headers["content-type"], request.read())
    assert {part.name: part.content for part in files.values()} == {name: content}


@pytest.mark.parametrize("content", [b"", b"\r\n", b"\r\n--", b"--", b"a\r\n\r\nb", bytes(range(256))])
def test_requests_sends_files_that_are_read(content: bytes) -> None:
    """Most SDKs in Python send by it."""
    prepared = requests.Request("POST", "http://x/", files={"media": ("图.jpg", content)}).prepare()
    assert isinstance(prepared.body, bytes)
    [part] = parse_files(prepared.headers["content-type"], prepared.body).values()
    assert (part.name, part.content) == ("media", content)


def test_a_part_without_a_type_and_with_a_path_for_a_name_is_read() -> None:
    """WeRoBot sends such ones."""
    body = b'--b\r\nContent-Disposition: form-data; name="media"; filename="/tmp/a b.jpg"\r\n\r\n\xff\x00\r\n--b--\r\n'
    assert parse_files('multipart/form-data; boundary="b"', body) == {
        "media": Part("media", "/tmp/a b.jpg", b"\xff\x00")  # noqa: S108 - a name
    }


def test_the_first_of_two_files_under_one_name_counts() -> None:
    """As with everything that is given twice."""
    part = b'--b\r\nContent-Disposition: form-data; name="media"; filename="a"\r\n\r\n%b\r\n'
    body = part % b"1" + part % b"2" + b"--b--"
    assert parse_files("multipart/form-data; boundary=b", body)["media"].content == b"1"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", b"--b\r\n\r\n--b--"),
        ("multipart/form-data; boundary=", b"----"),
        ("application/json", b"{}"),
        ("", b""),
        ("multipart/form-data; boundary=b", b""),
        ("multipart/form-data; boundary=b", b"--b--"),
        ("multipart/form-data; boundary=b", b"--b\r\nContent-Disposition: form-data; name=media\r\n\r\nx\r\n--b--"),
        ("multipart/form-data; boundary=b", b"--b\r\nContent-Disposition: form-data; filename=x\r\n\r\nx\r\n--b--"),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="media"; filename="a"\r\n\r\nx',
        ),
        ("multipart/form-data; boundary=b", b"--b\r\nno head\r\n--b--"),
    ],
)
def test_what_has_no_whole_file_has_none(content_type: str, body: bytes) -> None:
    """No boundary, no end, no name, a field that is no file."""
    assert parse_files(content_type, body) == {}


@given(content_type=st.text(max_size=60), body=st.binary(max_size=200))
def test_nothing_that_is_sent_breaks_it(content_type: str, body: bytes) -> None:
    """Nonsense is no file."""
    parse_files(content_type, body)
    parse_files("multipart/form-data; boundary=-", body)
