"""`manage.py zhongkong_token APPID`: shows that the settings lead to a token."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError  # type: ignore[import-untyped]

from zhongkong.client.explaining import speaking
from zhongkong.errors import ZhongkongError
from zhongkong.integrations.django import source
from zhongkong.wechat.advice import explain_error


class Command(BaseCommand):  # type: ignore[misc]
    """Print the access_token of an account."""

    help = "Print the access_token of an account, and what it is promised to be good for."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the account."""
        parser.add_argument("appid")

    def handle(self, *_given: object, appid: str, **_options: Any) -> None:
        """Print it. Raises: CommandError: in words, who must do what."""
        try:
            self.stdout.write(source.access_token(appid))
        except ZhongkongError as error:
            raise CommandError(explain_error(error, speaking())) from error
