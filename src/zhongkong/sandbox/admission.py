"""Who may call with appid and secret: the checks of the token calls, and of those of /sns, in the platform's order."""

from collections.abc import Mapping

from zhongkong.sandbox.accounts import Account, Address
from zhongkong.sandbox.answers import Refused
from zhongkong.sandbox.holdings import keep_newest
from zhongkong.sandbox.moment import Moment

GRANT_TYPE = "client_credential"
_HOUR, _DAY = 3600, 86_400


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
    if ip is not None:
        check = _check_new_ip if account.allow_list is None else _check_ip
        check(account, ip.removeprefix("::ffff:"), at)
    return account


def _check_ip(account: Account, ip: str, at: Moment) -> None:
    """Raise for a caller outside the list. Taken for every call with the secret and both kinds alike."""
    applies = account.profile != "test" or at.switches.test_account_has_allow_list
    if applies and ip not in (account.allow_list or ()):
        raise Refused(at.switches.not_allowed_errcode, ip=ip)


def _check_new_ip(account: Account, ip: str, at: Moment) -> None:
    """Raise, by switch, for an address that the administrator did not agree to; the first time he is asked."""
    if not at.switches.new_ip_check:
        return
    address = account.addresses.get(ip)
    if address is not None and address.agreed:
        return
    if address is None or (address.agreed is False and at.now >= _blocked_until(address)):
        account.addresses[ip] = Address(refused_at=address.refused_at if address else [])
        keep_newest(account.addresses)
        errcode = 89503
    elif address.agreed is None:
        errcode = 89501
    else:
        errcode = 89506 if _is_refused_twice(address) else 89507
    raise Refused(errcode, errmsg=at.switches.new_ip_errmsg)


def _is_refused_twice(address: Address) -> bool:
    return len(address.refused_at) > 1 and address.refused_at[-1] - address.refused_at[0] < _DAY


def _blocked_until(address: Address) -> float:
    return address.refused_at[-1] + (_DAY if _is_refused_twice(address) else _HOUR)
