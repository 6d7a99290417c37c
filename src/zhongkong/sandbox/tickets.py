"""The JS-SDK's tickets: what a page in WeChat is signed with. They live a life of their own beside the access_token."""

from collections.abc import Mapping
from typing import Any

from zhongkong.sandbox.accounts import Account
from zhongkong.sandbox.answers import Body, Refused, ok
from zhongkong.sandbox.holdings import Ticket, TicketType
from zhongkong.sandbox.moment import Moment

_LENGTH = 86
_TYPES: tuple[TicketType, ...] = ("jsapi", "wx_card")


def getticket(account: Account, params: Mapping[str, Any], at: Moment) -> Body:
    """Return the ticket of `type` with its remaining seconds. Source: 获取 ticket.

    Whether a call while it lives repeats it or makes another is a switch; another one never ends the former. Whether
    a new access_token does is one too.
    """
    kind = next((kind for kind in _TYPES if kind == params.get("type")), None)
    if kind is None:
        raise Refused(40097)
    ticket = account.tickets.get(kind)
    if ticket is None or not _is_repeated(ticket, account, at):
        ticket = account.tickets[kind] = Ticket(at.draws.text(_LENGTH), at.now, account.expires_in)
    return ok(ticket=ticket.value, expires_in=ticket.left(at.now))


def _is_repeated(ticket: Ticket, account: Account, at: Moment) -> bool:
    if ticket.left(at.now) < 1 or at.switches.repeated_ticket == "new":
        return False
    tokens = (account.classic.current, account.stable.current)
    is_older = any(token is not None and ticket.issued_at < token.issued_at for token in tokens)
    return not (at.switches.new_token_ends_ticket and is_older)
