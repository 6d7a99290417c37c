"""Every error, one tree.

    ZhongkongError
      SettingInvalid · RequestRefused · AccountUnknown · AccessDenied · CredentialUnavailable
      StoreError     -> StoreUnavailable (by itself, later) · StoreRefused · WrongSeal (a person must act)
      SinkError      -> SinkUnavailable (nothing gets there) · SinkRefused (this one write does not)
      PlatformError  -> PlatformBusy · QuotaExhausted · AccountRejected
      PlatformUnreachable

An error holds a stable `code` and the named values of its text; the text itself, in Chinese or English, is made where
a person reads it (`zhongkong.messages.explain`). Values are shown, logged and sent: never put a secret, a key or a
token into one. A class exists only if somebody does something different on catching it.
"""

from __future__ import annotations

from copyreg import __newobj__  # type: ignore[attr-defined]  # what pickle itself calls; typeshed omits it
from typing import Any, TypeAlias

Value: TypeAlias = str | int | float


class ZhongkongError(Exception):
    """Whatever zhongkong reports to a caller. Who acts next is told by the classes below."""

    def __init__(self, code: str, /, *, retry_after: float | None = None, **values: Value) -> None:
        """Hold what happened; `retry_after` is how many seconds to wait before the same may succeed, if time helps."""
        super().__init__(code)
        self.code = code
        self.retry_after = retry_after
        self.values = values

    def __str__(self) -> str:
        """Return code and values on one line, for tracebacks and logs."""
        shown = ", ".join(f"{name}={value!r}" for name, value in self.values.items())
        return f"{self.code} ({shown})" if shown else self.code

    def __reduce__(self) -> tuple[Any, ...]:
        """Return what pickle needs, so that an error survives its way out of a worker process."""
        return __newobj__, (type(self), *self.args), self.__dict__


class SettingInvalid(ZhongkongError):
    """A setting cannot be used. The person who wrote it corrects it; nothing was started or changed."""


class RequestRefused(ZhongkongError):
    """What was asked cannot be done as it was asked. Whoever asked corrects it; nothing was changed."""


class AccountUnknown(ZhongkongError):
    """No account with this appid is kept here. Whoever asked corrects the appid, or adds the account."""

    def __init__(self, appid: str) -> None:
        """Name the appid that nobody knows."""
        super().__init__("account_unknown", appid=appid)
        self.appid = appid


class AccessDenied(ZhongkongError):
    """A key is missing, unknown, or may not do this. The business server's people get a key with the grant."""


class CredentialUnavailable(ZhongkongError):
    """No credential could be handed out within the deadline. The caller waits `retry_after` seconds and asks again.

    `cause` is the code of the text that says why, and whether a person must act meanwhile; it is rendered with the
    same values. Where the platform spoke they hold its `errcode`, `errmsg` and `rid`.
    """

    def __init__(
        self,
        appid: str,
        kind: str,
        cause: str,
        *,
        retry_after: float,
        code: str = "credential_unavailable",
        text: str = "",
        **values: Value,
    ) -> None:
        """Say which credential is missing, why, and when to ask again; `code` where it was asked for otherwise.

        `text` is the code of the words for people where those of `code`, by which programs go, would not be true.
        """
        super().__init__(code, retry_after=retry_after, appid=appid, kind=kind, cause=cause, **values)
        self.text = text or code
        self.appid = appid
        self.kind = kind
        self.cause = cause


class StoreError(ZhongkongError):
    """The store did not do what was asked."""


class StoreUnavailable(StoreError):
    """The store did not answer. Nobody acts: it is tried again; the call may or may not have taken effect."""


class StoreRefused(StoreError):
    """The store cannot work as it is (full, read-only, damaged, foreign, another schema). A person repairs it."""


class WrongSeal(StoreError):
    """What is stored cannot be unsealed: another seal closed it, or it is damaged. A person brings the right seal.

    Never read it as an absence: the account or credential is there.
    """


class SinkError(ZhongkongError):
    """A credential could not be written to a sink. The hub tries again; its text says whether a person must act."""


class SinkUnavailable(SinkError):
    """The sink as a whole takes nothing now. One write is tried from time to time, the others wait for it."""


class SinkRefused(SinkError):
    """This write was refused; others to the same sink may succeed, and go on."""


class PlatformError(ZhongkongError):
    """The platform refused, in a well-formed answer with `errcode`, `errmsg` and `rid` (empty if it gave none)."""

    def __init__(
        self,
        code: str,
        /,
        errcode: int,
        errmsg: str = "",
        rid: str = "",
        *,
        retry_after: float | None = None,
        **values: Value,
    ) -> None:
        """Hold what the platform said; `errmsg` is shown, so it comes from `wechat.answers`, never raw."""
        super().__init__(code, retry_after=retry_after, errcode=errcode, errmsg=errmsg, rid=rid, **values)
        self.errcode = errcode
        self.errmsg = errmsg
        self.rid = rid


class PlatformBusy(PlatformError):
    """The platform is busy (-1) or gave a code nobody knows. Nobody acts: it is tried again, ever more slowly."""


class QuotaExhausted(PlatformError):
    """Calls of the minute or day are spent (45009, 45011). Wait; a person finds out who spends them."""


class PlatformUnreachable(ZhongkongError):
    """A call that was to be sent on got no answer. Its sender asks again, if that can do no harm."""

    def __init__(self, why: str, *, was_sent: bool) -> None:
        """Say why, in a word that is safe to show, and whether a byte of the call may have left."""
        super().__init__("platform_unreachable", why=why)
        self.why = why
        self.was_sent = was_sent


class AccountRejected(PlatformError):
    """The account cannot mint as it is set up (40013, 40125, 40164, ...). A person acts; trying again cannot help."""
