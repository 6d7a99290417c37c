"""Which credentials belong together, and how each is issued: the oracle's own reading, of the platform's documents.

A ticket is asked for with the access_token of its account. It imports nothing of what is judged but the words.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from zhongkong.core.model import Account, AccountKind, Kind, Mode, Slot

Route: TypeAlias = Literal["token", "ticket", "wecom"]
"""In whose words a mint is refused; WeCom has one list for its tokens and its tickets."""

NO_SUCH_TOKEN: dict[Route, frozenset[int]] = {
    "token": frozenset(),
    "ticket": frozenset({40001, 40014, 42001}),
    "wecom": frozenset({40014, 42001}),
}
"""What says of the token that was asked with that it is dead; 40001 at WeCom, and where a token is asked for, does not.

Source: 通用错误码; 全局错误码 (企业微信).
"""


def is_ticket(slot: Slot) -> bool:
    """Say whether the slot holds a ticket."""
    return slot.kind is not Kind.ACCESS_TOKEN


def parent_of(slot: Slot) -> Slot | None:
    """Return the slot of the token that it is asked for with, or None."""
    return Slot(slot.appid) if is_ticket(slot) else None


def line_of(slot: Slot) -> list[Slot]:
    """Return the slot, and whatever must be well for it to be."""
    return [slot, Slot(slot.appid)] if is_ticket(slot) else [slot]


def is_wecom(appid: str) -> bool:
    """Say whether it is an application of WeCom."""
    return ":" in appid


def route_of(slot: Slot) -> Route:
    """Return in whose words a mint for the slot is refused."""
    if is_wecom(slot.appid):
        return "wecom"
    return "ticket" if is_ticket(slot) else "token"


def mode_of(slot: Slot, account: Account) -> Mode:
    """Return by which mode the slot is asked for while nobody contests it."""
    if is_ticket(slot):
        return Mode.WECOM_TICKET if account.kind is AccountKind.WECOM else Mode.TICKET
    return account.mode


def modes_of(slot: Slot, account: Account) -> set[Mode]:
    """Return by which modes it may be asked for: a contest can move a classic account to another one."""
    mode = mode_of(slot, account)
    return {mode, account.on_contest} if mode is Mode.CLASSIC else {mode}


def name_of(slot: Slot) -> str:
    """Return the slot's name in a story."""
    return slot.appid[-4:] if not is_ticket(slot) else f"{slot.appid[-4:]}/{slot.kind}"
