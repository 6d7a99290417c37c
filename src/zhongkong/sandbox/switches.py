"""What nobody outside the platform knows for sure: one named field per doubt, so that both readings can be tried."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Switches:
    """The readings that a sandbox world goes by; the defaults are the best supported ones. Spans are in seconds."""

    classic_third_fetch: Literal["kills_oldest", "all_overlap"] = "kills_oldest"
    """What a third classic fetch within the overlap does to the oldest of the three tokens.

    Doubt: the platform promises an overlap of 5 minutes and is silent about a third fetch; developers measured
    anything from *dead at once* to 20 minutes. `kills_oldest` is the two-slot model (the current token and one before
    it); with `all_overlap` each replaced token lives its own overlap out. Stable tokens always have two slots: the
    platform's leak drill, two forced refreshes, works only so. Source: 获取 access_token.
    """

    classic_minute_quota: int = 100
    """Classic calls a minute of accounts added from now on. Doubt: such a quota exists, its number is unpublished."""

    minute_quota_errcode: Literal[45011, 45009] = 45011
    """The code of a spent minute quota. Doubt: 45011 was recorded on the token call, 45009 is also named as one."""

    force_gap_seconds: float = 30
    """A forced refresh sooner than this after the last one does not refresh; whatever the tokens' life.

    Doubt: no error is documented for one that comes too early, so it is answered as a call in normal mode.
    Source: 获取稳定版接口调用凭据.
    """

    force_over_quota: Literal["current", "45009"] = "current"
    """What the 21st forced refresh of a day gets. Doubt: not documented; a call in normal mode, or likely 45009."""

    revoked_stable: Literal["new", "same"] = "new"
    """What a normal stable call returns when the current token was ended from outside (revoked by the platform).

    Doubt: documented is only that a token is repeated *while it is valid*. With `same` the dead token is repeated
    until its window or a forced refresh, and this is the one case in which the announced life is not true.
    """

    reset_ends_tokens: bool = False
    """Whether a reset of the secret ends the tokens issued so far. Doubt: documented is only what later calls get."""

    replaced_token: Literal["40001", "42001"] = "40001"
    """The answer to a replaced token. Doubt: 40001 is what people record, one page says 42001 for both.

    A token that died of age is always 42001, one that was revoked always 40001. Source: 通用错误码.
    """

    unknown_token: Literal["40001", "40014"] = "40001"
    """The answer to a string that is no token the platform remembers. Doubt: it is unclear when 40014 is said."""

    not_allowed_errcode: Literal[40164, 61004] = 40164
    """The code for a caller outside the allow-list. Doubt: a page of 2025 says 61004, every recorded answer 40164."""

    test_account_has_allow_list: bool = True
    """Whether an allow-list set on a test account counts. Doubt: the test account's page shows no such field."""

    frozen_errmsg: str = "AppSecret was frozen"
    """The text of 40243, a frozen secret. Doubt: the code is confirmed, its text was nowhere recorded."""

    freeze_delay_seconds: float = 600
    """How long freezing or thawing a secret takes to act: 10 minutes by the platform's word; 0 for impatient tests."""

    quota_get_counts_tokens: bool = True
    """Whether openapi/quota/get shows the use of the token calls. Doubt: `used` was recorded as staying at 0."""

    empty_page_has_data: bool = False
    """Whether the page after the last of user/get carries an empty `data`. Doubt: seen without, not documented."""

    nicknames_shown: bool = False
    """Whether user/info shows nickname and head image. Doubt: empty since the end of 2021, by a notice not re-read."""

    custom_sends_per_word: int | None = None
    """Customer messages allowed per message of the follower, then 45047; None: no limit. Doubt: the number varied."""
