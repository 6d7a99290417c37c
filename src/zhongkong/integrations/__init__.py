"""For frameworks and other SDKs. Each module needs the package that it is named after, and nothing else imports it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from zhongkong.client.explaining import explained, speaking
from zhongkong.errors import SettingInvalid
from zhongkong.messages import render

URL_FROM = "ZHONGKONG_HUB"


@contextmanager
def needing(package: str) -> Iterator[None]:
    """Say what to install if what is imported here is not there for want of `package`."""
    try:
        yield
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] != package.lower():
            raise
        text = render("integration_package_missing", speaking(), package=package)
        raise ModuleNotFoundError(text, name=missing.name) from missing


def read_options(given: object, where: str) -> dict[str, Any]:
    """Return what `connect` takes, `url` among it; if none is given, that of the environment (ZHONGKONG_HUB).

    Raises: SettingInvalid.
    """
    if not isinstance(given, Mapping):
        raise explained(SettingInvalid("integration_settings_malformed", where=where))
    url = given.get("url") or os.environ.get(URL_FROM)
    if not url:
        raise explained(SettingInvalid("integration_url_missing", where=where))
    return {**given, "url": url}
