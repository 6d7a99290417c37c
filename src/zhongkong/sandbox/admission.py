"""Who may call with appid and secret: the checks of the token calls, and of those of /sns, in the platform's order."""

from collections.abc import Mapping

from zhongkong.sandbox.accounts import Account
from zhongkong.sandbox.answers import Refused
from zhongkong.sandbox.moment import Moment

GRANT_TYPE = "client_credential"


def admit(
    accounts: Mapping[str, Account],
    at: Moment,
    *,
    appid: str | None,
    secret: str | None,
    grant_type: str | None,
    ip: str | None,
    expected: str = GRANT_TYPE,
) -> Account:
    """Return the account whose appid and secret these are. `ip` None: no allow-list covers the call. Raises Refused."""
    if not appid:
        raise Refused(41002)
    if not secret:
        raise Refused(41004)
    if grant_type != expected:
        raise Refused(40002)
    account = accounts.get(appid)
    if account is None:
        raise Refused(40013)
    if secret != account.secret:
        raise Refused(40125)
    if account.is_frozen(at.now):
        raise Refused(40243, errmsg=at.switches.frozen_errmsg)
    if account.allow_list is not None and ip is not None:
        _check_ip(account, ip.removeprefix("::ffff:"), at)
    return account


def _check_ip(account: Account, ip: str, at: Moment) -> None:
    """Raise for a caller outside the list. Taken for every call with the secret and both kinds alike."""
    applies = account.profile != "test" or at.switches.test_account_has_allow_list
    if applies and ip not in (account.allow_list or ()):
        raise Refused(at.switches.not_allowed_errcode, ip=ip)
