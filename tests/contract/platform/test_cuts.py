"""An answer that breaks off is no answer, wherever it breaks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.contract.platform.calls import Seen, mint
from tests.contract.platform.conftest import Run
from tests.contract.platform.wire import GRANT, Script, answer, sends, sends_then_resets
from zhongkong.core.model import Ambiguous
from zhongkong.wechat.answers import Granted

HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = (
    HEAD + b"Transfer-Encoding: chunked\r\n\r\n18\r\n" + GRANT[:24] + b"\r\n19\r\n" + GRANT[24:] + b"\r\n0\r\n\r\n"
)
FORMS = {"with its length": answer(), "in chunks": CHUNKED, "to the end of the stream": HEAD + b"\r\n" + GRANT}


async def mint_with_cuts(whole: bytes, ending: Callable[[bytes], Script]) -> dict[int, Seen]:
    """Mint once for every length that the answer may be cut to, nothing and everything included."""
    return {length: await mint(ending(whole[:length])) for length in range(len(whole) + 1)}


@pytest.mark.parametrize("form", FORMS)
def test_an_answer_cut_anywhere_is_ambiguous_and_not_asked_for_again(run: Run[Any], form: str) -> None:
    """Half a token is none, and the whole one may exist at the platform."""
    seen = run(mint_with_cuts(FORMS[form], sends))
    assert isinstance(seen.pop(len(FORMS[form])).told, Granted)
    assert {type(one.told) for one in seen.values()} == {Ambiguous}
    assert {one.requests for one in seen.values()} == {1}


@pytest.mark.parametrize("form", FORMS)
def test_an_answer_reset_anywhere_is_ambiguous_unless_all_of_it_came(run: Run[Any], form: str) -> None:
    """A reset may swallow what was sent before it, never add to it."""
    seen = run(mint_with_cuts(FORMS[form], sends_then_resets))
    assert isinstance(seen.pop(len(FORMS[form])).told, Granted | Ambiguous)
    assert {type(one.told) for one in seen.values()} == {Ambiguous}
    assert {one.requests for one in seen.values()} == {1}
