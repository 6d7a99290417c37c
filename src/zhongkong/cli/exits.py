"""The exit codes: one table, told in docs/cli.md."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from http import HTTPStatus

from zhongkong.core.retry import PERSON_STATES
from zhongkong.errors import AccessDenied, AccountUnknown, SettingInvalid, StoreError, StoreUnavailable, ZhongkongError
from zhongkong.hub.health import WELL, WRONG_SEAL


class Exit(IntEnum):
    """How a command ended."""

    DONE = 0
    FAILED = 1
    """Not done; also: `doctor` found something to do."""
    USAGE = 2
    """The command line, a setting or a request cannot be used as it is."""
    UNKNOWN = 3
    """There is no such account or key."""
    PERSON = 4
    """The platform refused and a person must act: secret, allow-list, a freeze."""
    LATER = 5
    """Not now; the same may succeed later: quota, a busy platform, a locked store, a hub out of reach."""
    DENIED = 6
    """The key is missing, unknown, or may not do this."""
    STORE = 7
    """Store or seal cannot be used and a person must act."""
    BUG = 70
    """A mistake of zhongkong itself."""
    STOPPED = 130
    """A person stopped it: Ctrl-C, or no to a question."""


_OF_STATUS: Mapping[int, Exit] = {
    HTTPStatus.BAD_REQUEST: Exit.USAGE,
    HTTPStatus.METHOD_NOT_ALLOWED: Exit.USAGE,
    HTTPStatus.CONFLICT: Exit.USAGE,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: Exit.USAGE,
    HTTPStatus.UNAUTHORIZED: Exit.DENIED,
    HTTPStatus.FORBIDDEN: Exit.DENIED,
    HTTPStatus.NOT_FOUND: Exit.UNKNOWN,
    HTTPStatus.UNPROCESSABLE_ENTITY: Exit.PERSON,
    HTTPStatus.TOO_MANY_REQUESTS: Exit.LATER,
    HTTPStatus.SERVICE_UNAVAILABLE: Exit.LATER,
}


def exit_of_problem(status: int, code: str, cause: str = "") -> Exit:
    """Return the exit code for a problem that the hub's interface told; `cause` is why there is no credential."""
    if code == WRONG_SEAL:
        return Exit.STORE
    return Exit.PERSON if cause in PERSON_STATES else _OF_STATUS.get(status, Exit.FAILED)


def exit_of_error(error: ZhongkongError) -> Exit:
    """Return the exit code for an error that was met before anything could be asked."""
    match error:
        case SettingInvalid():
            return Exit.USAGE
        case AccountUnknown():
            return Exit.UNKNOWN
        case AccessDenied():
            return Exit.DENIED
        case StoreUnavailable():
            return Exit.LATER
        case StoreError():
            return Exit.STORE
        case _:
            return Exit.FAILED


def exit_of_state(state: str) -> Exit:
    """Return the exit code after an account was tried: how its credential is now."""
    if state in (WELL, WRONG_SEAL):
        return Exit.DONE if state == WELL else Exit.STORE
    return Exit.PERSON if state in PERSON_STATES else Exit.LATER
