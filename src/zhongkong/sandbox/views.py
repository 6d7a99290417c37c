"""What the control API and the people's page show of an account, its tokens and its calls, as JSON values."""

from dataclasses import asdict
from typing import Any

from zhongkong.sandbox.accounts import Account
from zhongkong.sandbox.tokens import Issued
from zhongkong.sandbox.wecom import agentid_of

View = dict[str, Any]


def show_account(account: Account, now: float) -> View:
    """Return the account as its owner sees it, secret and current tokens in clear."""
    return {
        "appid": account.appid,
        "secret": account.secret,
        "kind": account.kind,
        "profile": account.profile,
        "expires_in": account.expires_in,
        "token_length": account.token_length,
        "allow_list": None if account.allow_list is None else sorted(account.allow_list),
        "forbidden": sorted(account.forbidden),
        "frozen": account.is_frozen(now),
        "quotas": {
            path: {"daily": meter.daily, "per_minute": meter.per_minute, "used": meter.used(now)}
            for path, meter in account.meters.items()
        },
        "classic": show_line(account.classic.current, account.classic.made, now),
        "stable": show_line(account.stable.current, account.stable.made, now) | {"forced": account.stable.forced},
        "wecom": show_line(account.wecom.current, account.wecom.made, now),
        "agentid": agentid_of(account) if account.kind == "wecom" else None,
        "followers": sum(follower.subscribed for follower in account.followers.values()),
        "templates": len(account.templates),
        "messages": account.messages,
    }


def show_line(current: Issued | None, made: int, now: float) -> View:
    """Return how many tokens of one mode were issued, and the current one."""
    return {"made": made, "current": None if current is None else show_token(current, now)}


def show_token(issued: Issued, now: float) -> View:
    """Return the token with its value; `end` says of what it died, None while it lives."""
    alive = now < issued.dies_at
    return {
        "access_token": issued.value,
        "mode": issued.mode,
        "issued_at": issued.issued_at,
        "life": issued.life,
        "expires_at": issued.expires_at,
        "expires_in": issued.left(now),
        "alive": alive,
        "dies_at": issued.dies_at,
        "end": None if alive else issued.end,
        "ended_by": issued.ended_by,
        "forced": issued.forced,
        "ip": issued.ip,
    }


def show_followers(account: Account) -> list[View]:
    """Return everybody who follows or followed the account, in the order they came."""
    return [asdict(follower) for follower in account.followers.values()]


def show_templates(account: Account) -> list[View]:
    """Return the account's template messages."""
    return [asdict(template) for template in account.templates.values()]


def show_messages(account: Account) -> list[View]:
    """Return the messages that went out, oldest first."""
    return [asdict(sent) for sent in account.sent]


def show_menu(account: Account) -> list[View]:
    """Return the menu as people read it: of each button its name, what it does, and the buttons below it."""
    return [_show_button(button) for button in (account.menu or {"button": []})["button"]]


def _show_button(button: View) -> View:
    deeds = [button.get(name) for name in ("type", "key", "url", "media_id", "article_id")]
    return {
        "name": button["name"],
        "deed": " ".join(deed for deed in deeds if isinstance(deed, str)),
        "below": [_show_button(sub) for sub in button["sub_button"]],
    }


def show_media(account: Account, now: float) -> list[View]:
    """Return the files that are still to be had, oldest first, without their content."""
    return [
        {
            "media_id": media.media_id,
            "type": media.type,
            "content_type": media.content_type,
            "size": len(media.content),
            "created_at": media.created_at,
            "expires_at": media.expires_at,
        }
        for media in account.media.values()
        if now < media.expires_at
    ]


def show_qrcodes(account: Account, now: float) -> list[View]:
    """Return the QR codes whose pictures are still to be had, oldest first."""
    return [asdict(qrcode) for qrcode in account.qrcodes.values() if qrcode.is_shown(now)]


def show_tickets(account: Account, now: float) -> View:
    """Return the last ticket of each type, in clear."""
    return {
        kind: {"ticket": ticket.value, "issued_at": ticket.issued_at, "expires_in": ticket.left(now)}
        for kind, ticket in account.tickets.items()
    }
