"""WeChat's own host, which leads to a platform on this machine: other people's SDKs have it in their code."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter

from tests.scenario.client.platform import Keeper, Platform

WECHAT = "https://api.weixin.qq.com"


@pytest.fixture
def keeper() -> Keeper:
    """A source that holds a token, and knows a better one once that is rejected."""
    return Keeper()


@pytest.fixture
def platform(monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    """The platform, in the place of WeChat for whatever requests sends there."""
    platform = Platform()
    really_send = HTTPAdapter.send

    def send(self: HTTPAdapter, request: requests.PreparedRequest, *given: Any, **named: Any) -> requests.Response:
        assert request.url is not None
        assert request.url.startswith(WECHAT), f"a call to {request.url}"
        there = request.copy()
        there.url = request.url.replace(WECHAT, platform.url)
        response = really_send(self, there, *given, **named)
        response.request = request
        return response

    monkeypatch.setattr(HTTPAdapter, "send", send)
    yield platform
    platform.close()
