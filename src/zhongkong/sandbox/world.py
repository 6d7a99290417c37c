"""The platform as a pure state machine: no I/O, no clock of its own, one world per sandbox or simulation.

`now` is always Unix seconds of the sandbox's clock and ought not to run backwards. The platform's calls return the
JSON body that the platform would write, refusals too; what people and tests do raises LookupError or ValueError.

How a token dies, each by one final instant (`Issued.dies_at`; dead *at* it):

- of age, `expires_in` after its issue: 42001 from then on, for ever;
- replaced by a newer one of its own mode: it lives on for min(its rest, its overlap), or ends at once when a second
  newer one comes (two slots): 40001, also after its life would have been over. Which of the two it is, is decided by
  what came first; a former token whose life ends within the overlap dies of age;
- revoked by a person, or by a reset of the secret: 40001.

The two modes are two lines that never touch each other. Tokens of WeCom are a third, in which nothing is replaced.

The order in which a call with appid and secret is refused (the platform documents none; from the plainest fault of the
request to the state of the account): 41002, 41004, 40002, 40013, 40125, 40243, 40164, minute quota, daily quota. Only
a call that gets past all of them is counted.
"""

from collections.abc import Iterable, Mapping
from typing import Any, get_args

from zhongkong.sandbox.accounts import NEVER, Account, Follower, Kind, Template
from zhongkong.sandbox.admission import GRANT_TYPE, admit
from zhongkong.sandbox.answers import Body, Refused, ok
from zhongkong.sandbox.calls import CALLS, clear_quota
from zhongkong.sandbox.draws import Draws
from zhongkong.sandbox.holdings import Code, Media, QRCode, Scope, keep_newest
from zhongkong.sandbox.media import MEDIA_GET_PATH, find_media
from zhongkong.sandbox.moment import Moment
from zhongkong.sandbox.quotas import STABLE_TOKEN_PATH, TOKEN_PATH, UNCOUNTED_A_DAY, Meter, Profile, build_meters
from zhongkong.sandbox.snapshots import build_snapshot, parse_snapshot
from zhongkong.sandbox.sns import SNS
from zhongkong.sandbox.switches import Switches
from zhongkong.sandbox.tokens import Issued, Mode, TokenLine, window_of
from zhongkong.sandbox.wecom import GETTOKEN_PATH, WECOM_CALLS, build_refusal, check_ip, find_application
from zhongkong.sandbox.wecom_rates import Rates

TOKEN_PREFIX = "83_"
KEPT_TOKENS = 64
CLEAR_QUOTA_V2_PATH = "/cgi-bin/clear_quota/v2"


class World:
    """All accounts of one platform and every token that is still remembered.

    Of each account and mode the last 64 tokens are remembered, and every living one; a forgotten one is unknown.
    The same seed and the same calls give the same tokens and rids.
    """

    def __init__(self, *, seed: int = 0, switches: Switches | None = None) -> None:
        """Begin with no accounts."""
        self.switches = switches or Switches()
        self.accounts: dict[str, Account] = {}
        self._tokens: dict[str, Issued] = {}
        self._rates = Rates()
        self._draws = Draws(seed)

    # What the platform answers.

    def token(self, *, appid: str | None, secret: str | None, grant_type: str | None, ip: str, now: float) -> Body:
        """Return a new classic token; the former one lives on for its overlap. Source: 获取 access_token."""
        try:
            account = self._admit(appid, secret, grant_type, ip, now)
            self._spend(account, TOKEN_PATH, now)
        except Refused as refused:
            return self._answer(refused, TOKEN_PATH, now)
        issued = self._issue(account, "classic", ip, now)
        return {"access_token": issued.value, "expires_in": issued.life}

    def stable_token(
        self,
        *,
        appid: str | None,
        secret: str | None,
        grant_type: str | None,
        force_refresh: bool = False,
        ip: str,
        now: float,
    ) -> Body:
        """Return the current stable token with its remaining seconds, or a new one in its last window.

        `force_refresh` asks for a new one now; it is granted 20 times a day and 30 s after the last one granted, and is
        otherwise answered as if it had not been asked. Source: 获取稳定版接口调用凭据.
        """
        try:
            account = self._admit(appid, secret, grant_type, ip, now)
            self._spend(account, STABLE_TOKEN_PATH, now)
            forced = force_refresh and self._grants_force(account, now)
        except Refused as refused:
            return self._answer(refused, STABLE_TOKEN_PATH, now)
        current = account.stable.current
        if forced or current is None or not self._repeats(current, now):
            current = self._issue(account, "stable", ip, now, forced=forced)
        return {"access_token": current.value, "expires_in": current.left(now)}

    def clear_quota_v2(self, *, appid: str | None, appsecret: str | None, ip: str, now: float) -> Body:
        """Clear the quotas without a token, for when the token quota itself is spent.

        Source: 使用AppSecret重置API调用次数.
        """
        try:
            account = self._admit(appid, appsecret, GRANT_TYPE, ip, now)
            return clear_quota(account, {"appid": appid}, self._moment(now))
        except Refused as refused:
            return self._answer(refused, CLEAR_QUOTA_V2_PATH, now)

    def call(self, path: str, *, access_token: str | None, params: Mapping[str, Any] | None = None, now: float) -> Body:
        """Return the answer of any call in `calls.CALLS`, its token checked first and then its quota.

        `params` are the query of a GET, the parsed object of a POST.
        """
        row = CALLS.get(path)
        if row is None:
            return self.refusal(40066, now, path)
        try:
            account = self._bearer(access_token, now, path)
            self._spend(account, path, now)
            return row.answer(account, params or {}, self._moment(now))
        except Refused as refused:
            return self._answer(refused, path, now)

    def media(self, *, access_token: str | None, params: Mapping[str, Any], now: float) -> Media | Body:
        """Return the file of media/get, or the body that is answered in its place."""
        try:
            account = self._bearer(access_token, now, MEDIA_GET_PATH)
            self._spend(account, MEDIA_GET_PATH, now)
            return find_media(account, params, now)
        except Refused as refused:
            return self._answer(refused, MEDIA_GET_PATH, now)

    def qrcode(self, ticket: str | None, now: float) -> QRCode | None:
        """Return the QR code that showqrcode draws for the ticket, without asking who calls; None for a bad one."""
        codes = (account.qrcodes.get(ticket or "") for account in self.accounts.values())
        return next((code for code in codes if code and code.is_shown(now)), None)

    def sns(self, path: str, values: Mapping[str, str], *, ip: str, now: float) -> Body:
        """Return the answer of any call in `sns.SNS`; `values` are those of its query or form."""
        try:
            return SNS[path](self.accounts, values, ip, self._moment(now))
        except Refused as refused:
            return self._answer(refused, path, now)

    def gettoken(self, *, corpid: str | None, corpsecret: str | None, ip: str, now: float) -> Body:
        """Return the application's token with its remaining seconds; it ends none. Source: 获取access_token."""
        at, wrong_most = self._moment(now), self.switches.wecom_wrong_calls
        try:
            if not self._rates.admits_wrong(ip, wrong_most, now):
                raise Refused(45009)  # noqa: TRY301 - one way out
            account = find_application(self.accounts, corpid, corpsecret)
            check_ip(account, GETTOKEN_PATH, ip, at)
            self._spend_at_wecom(account, GETTOKEN_PATH, ip, now)
        except Refused as refused:
            if refused.errcode in (40001, 40013):
                self._rates.note_wrong(ip, wrong_most)
            return build_refusal(refused, ip, at)
        current = account.wecom.current
        if current is None or not self._repeats_wecom(current, now):
            current = self._issue(account, "wecom", ip, now)
        return ok(access_token=current.value, expires_in=current.left(now))

    def wecom_call(
        self, path: str, *, access_token: str | None, params: Mapping[str, Any] | None = None, ip: str, now: float
    ) -> Body:
        """Return the answer of any call in `wecom.WECOM_CALLS`, its token checked first, then where it comes from."""
        at, row = self._moment(now), WECOM_CALLS.get(path)
        if row is None:
            return build_refusal(Refused(40066), ip, at)
        try:
            return row.answer(self._application(access_token, path, ip, at), params or {}, at)
        except Refused as refused:
            return build_refusal(refused, ip, at)

    def wecom_media(self, *, access_token: str | None, params: Mapping[str, Any], ip: str, now: float) -> Media | Body:
        """Return the file of WeCom's media/get, or the body that is answered in its place."""
        at = self._moment(now)
        try:
            return find_media(self._application(access_token, MEDIA_GET_PATH, ip, at), params, now)
        except Refused as refused:
            return build_refusal(refused, ip, at)

    def wecom_refusal(self, errcode: int, now: float, ip: str, *, errmsg: str | None = None) -> Body:
        """Return WeCom's body for `errcode`, for who stands before the world."""
        return build_refusal(Refused(errcode, errmsg=errmsg), ip, self._moment(now))

    def application(self, corpid: str | None, corpsecret: str | None) -> Account | None:
        """Return the application of a corp by its secret, or None."""
        try:
            return find_application(self.accounts, corpid, corpsecret)
        except Refused:
            return None

    def refusal_of(self, access_token: str | None, now: float, path: str = "/cgi-bin/") -> Body | None:
        """Return None when the token is good for `path`, else the body that refuses it.

        Nothing is counted. A path that is no row of `calls.CALLS` is open to every kind of account.
        """
        try:
            self._bearer(access_token, now, path)
        except Refused as refused:
            return self._answer(refused, path, now)
        return None

    def refusal(
        self, errcode: int, now: float, path: str = "/cgi-bin/", *, errmsg: str | None = None, **values: str
    ) -> Body:
        """Return the platform's body for `errcode` with a rid of `now`, for who stands before the world: HTTP, faults.

        `values` fill the braces of the code's text (`ip` of a 40164); `errmsg` takes its place.
        """
        return self._answer(Refused(errcode, errmsg=errmsg, **values), path, now)

    # What people and tests do.

    def add_account(
        self,
        appid: str | None = None,
        secret: str | None = None,
        *,
        kind: Kind = "official",
        profile: Profile = "verified",
        expires_in: int = 7200,
        allow_list: Iterable[str] | None = None,
        token_length: int = 136,
    ) -> Account:
        """Return a new account; an appid or secret not given is drawn. Raises ValueError for what cannot be."""
        appid = appid or ("ww" + self._draws.hex(16) + ":app" if kind == "wecom" else "wx" + self._draws.hex(16))
        if appid in self.accounts:
            raise ValueError(f"the sandbox already has an account {appid}")
        if kind not in get_args(Kind) or profile not in get_args(Profile):
            raise ValueError(f"the sandbox knows no account of kind {kind}, profile {profile}")
        if kind == "wecom" and not all(appid.partition(":")):
            raise ValueError(f"an account of kind wecom has an appid like corpid:name, not {appid}")
        secret = secret or self._draw_secret(kind)
        meters = build_meters(profile, self.switches.classic_minute_quota)
        if kind == "wecom":
            meters = {GETTOKEN_PATH: Meter(UNCOUNTED_A_DAY)}
        account = Account(appid, secret, kind, profile, expires_in, None, token_length, meters)
        account.set_expires_in(expires_in)
        account.set_token_length(token_length)
        account.set_allow_list(allow_list)
        self.accounts[appid] = account
        return account

    def account(self, appid: str) -> Account:
        """Return the account. Raises LookupError."""
        try:
            return self.accounts[appid]
        except KeyError:
            raise LookupError(f"the sandbox has no account {appid}") from None

    def remove_account(self, appid: str) -> None:
        """Forget the account and its tokens. Raises LookupError."""
        for issued in self.issued(appid):
            del self._tokens[issued.value]
        del self.accounts[appid]

    def reset(self) -> None:
        """Forget every account and token; the draws go on, so no token ever comes back."""
        self.accounts.clear()
        self._tokens.clear()
        self._rates.clear()

    def reset_secret(self, appid: str, now: float, secret: str | None = None) -> str:
        """Give the account another secret (drawn when not given) and return it; the old one is 40125 from now on."""
        account = self.account(appid)
        account.secret = secret or self._draw_secret(account.kind)
        if self.switches.reset_ends_tokens:
            self.revoke_all(appid, now)
        return account.secret

    def freeze_secret(self, appid: str, now: float) -> None:
        """Let calls with the secret be 40243 from `freeze_delay_seconds` after `now`."""
        account = self.account(appid)
        if not account.is_frozen(now):
            account.frozen_from = now + self.switches.freeze_delay_seconds
        account.frozen_until = NEVER

    def thaw_secret(self, appid: str, now: float) -> None:
        """Let calls with the secret be answered again from `freeze_delay_seconds` after `now`."""
        self.account(appid).frozen_until = now + self.switches.freeze_delay_seconds

    def revoke(self, access_token: str, now: float) -> bool:
        """End this token now; say whether it was alive."""
        was_alive = self.is_alive(access_token, now)
        if was_alive:
            self._tokens[access_token].close(now, "revoked")
        return was_alive

    def revoke_all(self, appid: str, now: float) -> None:
        """End every living token of the account now."""
        for issued in self.issued(appid):
            self.revoke(issued.value, now)

    def draw(self, digits: int) -> str:
        """Return so many hex digits that were not drawn before."""
        return self._draws.hex(digits)

    def add_follower(
        self, appid: str, nickname: str, now: float, *, openid: str | None = None, unionid: str | None = None
    ) -> Follower:
        """Let a person follow the account, and return him with his openid there. Raises ValueError: it has its most."""
        account = self.account(appid)
        self.check_room(account)
        openid = openid or "o" + self._draws.text(27)
        follower = Follower(openid, nickname, int(now), now, unionid=unionid)
        account.followers[openid] = follower
        return follower

    def check_room(self, account: Account) -> None:
        """Return if one more may follow the account. Raises ValueError."""
        most = self.switches.test_account_followers
        if account.profile != "test" or most is None:
            return
        if sum(follower.subscribed for follower in account.followers.values()) >= most:
            raise ValueError(f"a test account has at most {most} followers (switch test_account_followers)")

    def add_template(self, appid: str, title: str, content: str, *, template_id: str | None = None) -> Template:
        """Add a template message; `content` has its fields as {{name.DATA}}."""
        template = Template(template_id or self._draws.text(43), title, content)
        self.account(appid).templates[template.template_id] = template
        return template

    def agree(self, appid: str, openid: str, scope: Scope, now: float) -> Code:
        """Let a person agree to `scope`, or log in to a mini program, and return the code. Raises LookupError."""
        account = self.account(appid)
        code = Code(self._draws.text(32), account.follower(openid).openid, scope, now)
        account.codes[code.value] = code
        keep_newest(account.codes)
        return code

    # The truth, for an oracle.

    def is_alive(self, access_token: str, now: float) -> bool:
        """Say whether the platform would take the token at `now`; a forgotten one is dead."""
        issued = self._tokens.get(access_token)
        return issued is not None and now < issued.dies_at

    def dies_at(self, access_token: str) -> float | None:
        """Return the instant of its death as things stand, past or to come; None for an unknown or forgotten token."""
        issued = self._tokens.get(access_token)
        return None if issued is None else issued.dies_at

    def find(self, access_token: str) -> Issued | None:
        """Return all that is known of the token: whose, since when, for whom, how it ends; None when unknown."""
        return self._tokens.get(access_token)

    def account_of(self, access_token: str) -> Account | None:
        """Return the account that the token, its own or a person's, belongs to, dead or alive; None when unknown."""
        issued = self._tokens.get(access_token)
        if issued is not None:
            return self.accounts[issued.appid]
        return next((account for account in self.accounts.values() if access_token in account.grants), None)

    def issued(self, appid: str) -> list[Issued]:
        """Return the account's remembered tokens, by time of issue; the account's lines count them all."""
        account = self.account(appid)
        tokens = [*account.classic.tokens, *account.stable.tokens, *account.wecom.tokens]
        return sorted(tokens, key=lambda issued: issued.issued_at)

    # Keeping.

    def snapshot(self) -> dict[str, Any]:
        """Return the world as JSON values, secrets and tokens in clear; the switches are settings and not in it."""
        accounts = [build_snapshot(account) for account in self.accounts.values()]
        return {"seed": self._draws.seed, "draws": self._draws.count, "accounts": accounts}

    def restore(self, data: Mapping[str, Any]) -> None:
        """Become the world of that snapshot. Raises KeyError or TypeError, and changes nothing, if it is not one."""
        accounts = {account.appid: account for account in map(parse_snapshot, data["accounts"])}
        self._draws = Draws(data["seed"], data["draws"])
        self.accounts = accounts
        self._tokens = {issued.value: issued for appid in accounts for issued in self.issued(appid)}

    # Rules.

    def _moment(self, now: float) -> Moment:
        return Moment(now, self.switches, self._draws)

    def _admit(self, appid: str | None, secret: str | None, grant_type: str | None, ip: str, now: float) -> Account:
        at = self._moment(now)
        return admit(self.accounts, at, appid=appid, secret=secret, grant_type=grant_type, ip=ip)

    def _bearer(self, access_token: str | None, now: float, path: str) -> Account:
        """Return the account whose token this is, if it may call `path`. Raises: Refused."""
        if not access_token:
            raise Refused(41001)
        issued = self._tokens.get(access_token)
        if issued is None or issued.mode == "wecom":
            raise Refused(int(self.switches.unknown_token))
        if now >= issued.dies_at:
            raise Refused(self._errcode_of_dead(issued))
        account, row = self.accounts[issued.appid], CALLS.get(path)
        if path in account.forbidden or (row is not None and account.kind not in row.kinds):
            raise Refused(48001)
        return account

    def _application(self, access_token: str | None, path: str, ip: str, at: Moment) -> Account:
        """Return the application of WeCom whose token this is, if it may call `path` from there. Raises: Refused."""
        if not access_token:
            raise Refused(41001)
        issued = self._tokens.get(access_token)
        if issued is None or issued.mode != "wecom":
            raise Refused(40014)
        if at.now >= issued.dies_at:
            raise Refused(int(self.switches.wecom_expired) if issued.end == "age" else 40014)
        account = self.accounts[issued.appid]
        check_ip(account, path, ip, at)
        if path in account.forbidden:
            raise Refused(48002)
        self._spend_at_wecom(account, path, ip, at.now)
        return account

    def _spend_at_wecom(self, account: Account, path: str, ip: str, now: float) -> None:
        self._spend(account, path, now)
        if not self._rates.spend(account.appid, path, ip, now, account.scale):
            raise Refused(45009)

    def _repeats_wecom(self, current: Issued, now: float) -> bool:
        blind = self.switches.wecom_revoked == "same"
        lives = now < (current.expires_at if blind else current.dies_at)
        return self.switches.wecom_repeat == "same" and lives and current.left(now) > 0

    def _draw_secret(self, kind: Kind) -> str:
        return self._draws.text(43) if kind == "wecom" else self._draws.hex(32)

    def _spend(self, account: Account, path: str, now: float) -> None:
        meter = account.meters.get(path)
        spent = meter and meter.spend(now, account.scale)
        if spent:
            is_named_alike = spent == "day" or account.kind == "wecom"
            raise Refused(45009 if is_named_alike else self.switches.minute_quota_errcode)

    def _grants_force(self, account: Account, now: float) -> bool:
        if now - account.forced_at < self.switches.force_gap_seconds:
            return False
        if account.forces.spend(now) is not None:
            if self.switches.force_over_quota == "45009":
                raise Refused(45009)
            return False
        account.forced_at = now
        return True

    def _repeats(self, current: Issued, now: float) -> bool:
        blind = self.switches.revoked_stable == "same"
        return (current.expires_at if blind else current.dies_at) - now > window_of(current.life)

    def _issue(self, account: Account, mode: Mode, ip: str, now: float, *, forced: bool = False) -> Issued:
        prefix = "" if mode == "wecom" else TOKEN_PREFIX
        value = prefix + self._draws.text(account.token_length - len(prefix))
        life = account.expires_in
        issued = Issued(value, account.appid, mode, now, life, ip, forced, now + life, now + life)
        line = {"classic": account.classic, "stable": account.stable, "wecom": account.wecom}[mode]
        kills_oldest = mode == "stable" or self.switches.classic_third_fetch == "kills_oldest"
        line.append(issued, kills_oldest=kills_oldest, ends_former=mode != "wecom")
        self._tokens[value] = issued
        self._forget_old(line, now)
        return issued

    def _forget_old(self, line: TokenLine, now: float) -> None:
        while (gone := line.forget(KEPT_TOKENS, now)) is not None:
            del self._tokens[gone.value]

    def _errcode_of_dead(self, issued: Issued) -> int:
        if issued.end == "age":
            return 42001
        return int(self.switches.replaced_token) if issued.end == "replaced" else 40001

    def _answer(self, refused: Refused, path: str, now: float) -> Body:
        parts = self._draws.hex(16)
        return refused.body(f"{int(now):08x}-{parts[:8]}-{parts[8:]}", path)
