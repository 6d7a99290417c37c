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

    Whether a call while it lives repeats it or makes another is a switch; another one never ends the former, and
    neither does whatever becomes of the access_token that it was asked for with.
    """
    kind = next((kind for kind in _TYPES if kind == params.get("type")), None)
    if kind is None:
        raise Refused(40097)
    ticket = account.tickets.get(kind)
    if ticket is None or ticket.left(at.now) < 1 or at.switches.repeated_ticket == "new":
        ticket = account.tickets[kind] = Ticket(at.draws.text(_LENGTH), at.now, account.expires_in)
    return ok(ticket=ticket.value, expires_in=ticket.left(at.now))
