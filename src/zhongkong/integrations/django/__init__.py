"""Django: the source that the settings name.

INSTALLED_APPS = [..., "zhongkong.integrations.django"]        # for `manage.py check` and `manage.py zhongkong_token`
ZHONGKONG = {"url": "https://hub.internal:8600"}               # what connect takes, by the names of its parameters

from zhongkong.integrations.django import source
source.access_token(APPID)

Without a hub, `accounts` names AppSecrets as {"wx0123456789abcdef": {"secret": ...}}: what is called so (and `key`) is
masked on the error pages of DEBUG, where Django shows all settings.
"""

from __future__ import annotations

from typing import Any, cast

import zhongkong
from zhongkong.client.source import AsyncSource, Source
from zhongkong.integrations import needing, read_options

with needing("Django"):
    from django.conf import settings  # type: ignore[import-untyped]
    from django.utils.functional import SimpleLazyObject  # type: ignore[import-untyped]


def read_settings() -> dict[str, Any]:
    """Return what `connect` takes, from settings.ZHONGKONG; the URL may be in the environment, as ZHONGKONG_HUB.

    Raises: SettingInvalid.
    """
    return read_options(getattr(settings, "ZHONGKONG", {}), "settings.ZHONGKONG")


source = cast("Source", SimpleLazyObject(lambda: zhongkong.connect(**read_settings())))
"""Connected when it is first used. Raises: SettingInvalid, then; `manage.py check` tells it earlier."""

async_source = cast("AsyncSource", SimpleLazyObject(lambda: zhongkong.connect_async(**read_settings())))
"""The same for asynchronous views."""
