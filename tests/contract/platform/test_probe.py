"""A probe says alive or dead only where the platform said so."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.platform.calls import Seen, probe
from tests.contract.platform.conftest import Run
from tests.contract.platform.wire import (
    Script,
    answer,
    closes_at_once,
    resets_at_once,
    sends,
    sends_then_resets,
    sends_then_stalls,
)
from zhongkong.wechat.errcodes import ProbeVerdict

ADDRESSES = b'{"ip_list":["101.226.62.77"]}'


def refusal(errcode: int) -> Script:
    """Return the script of a platform that refuses the call."""
    return sends(answer(b'{"errcode":%d,"errmsg":"x"}' % errcode))


VERDICTS: dict[str, tuple[Script, ProbeVerdict]] = {
    "the list": (sends(answer(ADDRESSES)), ProbeVerdict.ALIVE),
    "48001": (refusal(48001), ProbeVerdict.ALIVE),
    "45009": (refusal(45009), ProbeVerdict.ALIVE),
    "40001": (refusal(40001), ProbeVerdict.DEAD),
    "40014": (refusal(40014), ProbeVerdict.DEAD),
    "42001": (refusal(42001), ProbeVerdict.DEAD),
    "-1": (refusal(-1), ProbeVerdict.UNKNOWN),
    "40001 in a 500": (sends(answer(b'{"errcode":40001}', b"500 Oops")), ProbeVerdict.UNKNOWN),
    "a redirect": (sends(answer(ADDRESSES, b"302 Found", b"Location: /")), ProbeVerdict.UNKNOWN),
    "a page": (sends(answer(b"<html>")), ProbeVerdict.UNKNOWN),
    "half the list": (sends(answer(ADDRESSES)[:-1]), ProbeVerdict.UNKNOWN),
    "rubbish": (sends(b"\x00\xff\r\n\r\n"), ProbeVerdict.UNKNOWN),
    "nothing": (sends(), ProbeVerdict.UNKNOWN),
    "a reset": (sends_then_resets(), ProbeVerdict.UNKNOWN),
}


@pytest.mark.parametrize("name", VERDICTS)
def test_a_probe_proves_what_the_platform_said_and_no_more(run: Run[Any], name: str) -> None:
    """Dead condemns and alive lifts doubt, so neither may be guessed; one request, whatever came."""
    script, verdict = VERDICTS[name]
    seen: Seen = run(probe(script))
    assert seen.told is verdict
    assert seen.requests == 1


@pytest.mark.parametrize("script", [closes_at_once, resets_at_once, sends_then_stalls()])
def test_a_silent_platform_proves_nothing(run: Run[Any], script: Script) -> None:
    """An outage is no proof of death."""
    seen: Seen = run(probe(script, 0.2))
    assert seen.told is ProbeVerdict.UNKNOWN
    assert seen.connections == 1
