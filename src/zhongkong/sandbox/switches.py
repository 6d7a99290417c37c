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

    new_ip_check: bool = False
    """Whether an address that an account without an allow-list was never called from waits for its administrator.

    89503 then, 89501 while he has not answered; 89507 for an hour after his refusal, 89506 for a day after the second
    within one. Doubt: of a call that the platform takes for risky this is documented, but not which calls these are.
    """

    new_ip_errmsg: str = "the administrator has not agreed to this ip"
    """The text of these four. Doubt: the codes are documented, no text was found; this one is ours."""

    frozen_errmsg: str = "AppSecret was frozen"
    """The text of 40243, a frozen secret. Doubt: the code is confirmed, its text was nowhere recorded."""

    freeze_delay_seconds: float = 600
    """How long freezing or thawing a secret takes to act: 10 minutes by the platform's word; 0 for impatient tests."""

    quota_get_counts_tokens: bool = True
    """Whether openapi/quota/get shows the use of the token calls. Doubt: `used` was recorded as staying at 0."""

    token_in_form: bool = False
    """Whether the access_token of a posted form counts, also in calls that are GETs by the book, such as user/get.

    Doubt: one such call was recorded as accepted, no page knows of it; a program that relies on it is to fail here.
    """

    test_account_followers: int | None = 100
    """How many may follow a test account (接口测试号); None: no cap. Doubt: its page says 100, from memory."""

    empty_page_has_data: bool = False
    """Whether the page after the last of user/get carries an empty `data`. Doubt: seen without, not documented."""

    repeated_ticket: Literal["same", "new"] = "same"
    """What ticket/getticket returns while a ticket lives: that one with its remaining seconds, or another.

    Doubt: documented are only the life and that calls are few. Another one never ends the former.
    """

    new_token_ends_ticket: bool = False
    """Whether a new access_token ends the tickets that were asked for before it, so that the next call makes another.

    Doubt: not documented.
    """

    wecom_repeat: Literal["same", "new"] = "same"
    """What gettoken of WeCom returns while its token lives: that one with its remaining seconds, or another.

    Doubt: older editions of the page promise the same one, since 2024 it is silent. Another one ends none.
    Source: 获取access_token (企业微信).
    """

    wecom_revoked: Literal["new", "same"] = "new"
    """What it returns when the platform ended the token early. Doubt: the page only says that this may happen.

    With `same` the dead token is repeated until its announced life is over.
    """

    wecom_expired: Literal["42001", "40014"] = "42001"
    """WeCom's answer to a token past its life. Doubt: 42001 by the book, 40014 in the field."""

    wecom_trusted_ip: Literal["everywhere", "calls"] = "everywhere"
    """Whether gettoken too refuses an address that is not trusted (60020), or only the calls with a token.

    Doubt: recorded on calls; the code's page names no path.
    """

    wecom_wrong_calls: int = 2000
    """Calls of gettoken with a wrong secret or corpid from one address in an hour, after which it is shut out for one.

    Doubt: an answer of WeCom's staff, which says neither by what they are counted nor what is said then; 45009 here,
    somebody saw 45033.
    """

    thumb_answer: Literal["thumb_media_id", "media_id"] = "thumb_media_id"
    """The name that an uploaded thumb's id is answered under. Doubt: SDKs read either."""

    unknown_qrcode_status: Literal[404, 200] = 404
    """The status, without a picture, for a ticket that showqrcode does not know. Doubt: one page says 404."""

    expired_code: Literal["40029", "42003"] = "40029"
    """The answer to a code of /sns after its five minutes. Doubt: the list of codes has both."""

    nicknames_shown: bool = False
    """Whether user/info shows nickname and head image. Doubt: empty since the end of 2021, by a notice not re-read."""

    custom_sends_per_word: int | None = None
    """Customer messages allowed per message of the follower, then 45047; None: no limit. Doubt: the number varied."""

    push_retries: int = 3
    """How often a push without an answer is repeated. Doubt: *three retries* may mean three or four attempts in all."""

    push_repeats_signed: Literal["anew", "same"] = "anew"
    """Whether a repeated push has a timestamp and nonce of its own. Doubt: not documented."""

    push_patience_seconds: float = 5
    """How long an answer to a push may take, in real seconds: 5 by the platform's word; less for impatient tests."""
