"""What an error means and who must do what, in words, where a program's own people see it: below the traceback."""

from __future__ import annotations

import os
from typing import TypeVar

from zhongkong.errors import ZhongkongError
from zhongkong.messages import Language, choose_language
from zhongkong.wechat.advice import explain_error

ErrorT = TypeVar("ErrorT", bound=BaseException)

LANGUAGE_FROM = ("ZHONGKONG_LANG", "LC_ALL", "LC_MESSAGES", "LANG")


def explained(error: ErrorT) -> ErrorT:
    """Return the error with its text as a note, in the language of the environment."""
    if isinstance(error, ZhongkongError) and not hasattr(error, "__notes__"):
        error.add_note(explain_error(error, speaking()))
    return error


def speaking() -> Language:
    """Return the language that the environment asks for."""
    return choose_language(*map(os.environ.get, LANGUAGE_FROM))
