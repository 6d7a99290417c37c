"""A world as JSON and back, for a sandbox that is the same tomorrow."""

from base64 import b64decode, b64encode
from collections import deque
from copy import deepcopy
from dataclasses import asdict
from typing import Any

from zhongkong.sandbox.accounts import KEPT_MESSAGES, Account, Address, Follower, Sent, Template
from zhongkong.sandbox.holdings import Code, Grant, Media, QRCode, Ticket
from zhongkong.sandbox.pushes import Callback
from zhongkong.sandbox.quotas import Meter
from zhongkong.sandbox.tokens import Issued, TokenLine

_PLAIN = (
    *("appid", "secret", "kind", "profile", "expires_in", "token_length", "frozen_from", "frozen_until"),
    *("forced_at", "clearings_month", "clearings", "messages"),
)


def build_snapshot(account: Account) -> dict[str, Any]:
    """Return everything about `account`, its secret and its tokens too, as JSON values."""
    return {name: getattr(account, name) for name in _PLAIN} | {
        "allow_list": None if account.allow_list is None else sorted(account.allow_list),
        "forbidden": sorted(account.forbidden),
        "meters": {path: asdict(meter) for path, meter in account.meters.items()},
        "forces": asdict(account.forces),
        "classic": _line_snapshot(account.classic),
        "stable": _line_snapshot(account.stable),
        "wecom": _line_snapshot(account.wecom),
        "followers": [asdict(follower) for follower in account.followers.values()],
        "templates": [asdict(template) for template in account.templates.values()],
        "sent": [asdict(sent) for sent in account.sent],
        "menu": deepcopy(account.menu),
        "media": [_media_snapshot(media) for media in account.media.values()],
        "qrcodes": [asdict(qrcode) for qrcode in account.qrcodes.values()],
        "tickets": {kind: asdict(ticket) for kind, ticket in account.tickets.items()},
        "codes": [asdict(code) for code in account.codes.values()],
        "grants": [asdict(grant) for grant in account.grants.values()],
        "addresses": {ip: asdict(address) for ip, address in account.addresses.items()},
        "callback": None if account.callback is None else asdict(account.callback),
        "due": list(account.due),
    }


def parse_snapshot(data: dict[str, Any]) -> Account:
    """Return the account that `build_snapshot` described. Raises KeyError or TypeError when it did not.

    From the menu on, what an older sandbox did not know may be missing.
    """
    followers = [Follower(**follower) for follower in data["followers"]]
    templates = [Template(**template) for template in data["templates"]]
    media = [_media_from(media) for media in data.get("media", ())]
    qrcodes = [QRCode(**qrcode) for qrcode in data.get("qrcodes", ())]
    codes = [Code(**code) for code in data.get("codes", ())]
    grants = [Grant(**grant) for grant in data.get("grants", ())]
    return Account(
        **{name: data[name] for name in _PLAIN},
        allow_list=None if data["allow_list"] is None else set(data["allow_list"]),
        forbidden=set(data["forbidden"]),
        meters={path: Meter(**meter) for path, meter in data["meters"].items()},
        forces=Meter(**data["forces"]),
        classic=_line_from(data["classic"]),
        stable=_line_from(data["stable"]),
        wecom=_line_from(data["wecom"]) if "wecom" in data else TokenLine(),
        followers={follower.openid: follower for follower in followers},
        templates={template.template_id: template for template in templates},
        sent=deque((Sent(**sent) for sent in data["sent"]), maxlen=KEPT_MESSAGES),
        menu=data.get("menu"),
        media={one.media_id: one for one in media},
        qrcodes={qrcode.ticket: qrcode for qrcode in qrcodes},
        tickets={kind: Ticket(**ticket) for kind, ticket in data.get("tickets", {}).items()},
        codes={code.value: code for code in codes},
        grants={grant.access_token: grant for grant in grants},
        addresses={ip: Address(**address) for ip, address in data.get("addresses", {}).items()},
        callback=None if data.get("callback") is None else Callback(**data["callback"]),
        due=deque(data.get("due", ())),
    )


def _media_snapshot(media: Media) -> dict[str, Any]:
    return asdict(media) | {"content": b64encode(media.content).decode()}


def _media_from(data: dict[str, Any]) -> Media:
    return Media(**data | {"content": b64decode(data["content"])})


def _line_snapshot(line: TokenLine) -> dict[str, Any]:
    return {"made": line.made, "forced": line.forced, "tokens": [asdict(issued) for issued in line.tokens]}


def _line_from(data: dict[str, Any]) -> TokenLine:
    return TokenLine(deque(Issued(**issued) for issued in data["tokens"]), data["made"], data["forced"])
