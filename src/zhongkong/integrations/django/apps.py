"""What Django learns of the application: its name, and a check of the settings."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig  # type: ignore[import-untyped]
from django.core.checks import Error, register  # type: ignore[import-untyped]

import zhongkong
from zhongkong.client.explaining import speaking
from zhongkong.errors import SettingInvalid
from zhongkong.integrations.django import read_settings
from zhongkong.wechat.advice import explain_error


class ZhongkongConfig(AppConfig):  # type: ignore[misc]
    """The application, `zhongkong` for short."""

    name = "zhongkong.integrations.django"
    label = "zhongkong"
    verbose_name = "中控"

    def ready(self) -> None:
        """Add the check."""
        register(check_settings)


def check_settings(**_given: Any) -> list[Error]:
    """Return what is wrong with settings.ZHONGKONG. Nothing is opened or sent."""
    try:
        zhongkong.connect(**read_settings())
    except SettingInvalid as error:
        return [Error(explain_error(error, speaking()), id="zhongkong.E001")]
    return []
