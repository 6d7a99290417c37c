"""A world as JSON and back, for a sandbox that is the same tomorrow."""

from collections import deque
from dataclasses import asdict
from typing import Any

from zhongkong.sandbox.accounts import KEPT_MESSAGES, Account, Follower, Sent, Template
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
        "followers": [asdict(follower) for follower in account.followers.values()],
        "templates": [asdict(template) for template in account.templates.values()],
        "sent": [asdict(sent) for sent in account.sent],
    }


def parse_snapshot(data: dict[str, Any]) -> Account:
    """Return the account that `build_snapshot` described. Raises KeyError or TypeError when it did not."""
    followers = [Follower(**follower) for follower in data["followers"]]
    templates = [Template(**template) for template in data["templates"]]
    return Account(
        **{name: data[name] for name in _PLAIN},
        allow_list=None if data["allow_list"] is None else set(data["allow_list"]),
        forbidden=set(data["forbidden"]),
        meters={path: Meter(**meter) for path, meter in data["meters"].items()},
        forces=Meter(**data["forces"]),
        classic=_line_from(data["classic"]),
        stable=_line_from(data["stable"]),
        followers={follower.openid: follower for follower in followers},
        templates={template.template_id: template for template in templates},
        sent=deque((Sent(**sent) for sent in data["sent"]), maxlen=KEPT_MESSAGES),
    )


def _line_snapshot(line: TokenLine) -> dict[str, Any]:
    return {"made": line.made, "forced": line.forced, "tokens": [asdict(issued) for issued in line.tokens]}


def _line_from(data: dict[str, Any]) -> TokenLine:
    return TokenLine(deque(Issued(**issued) for issued in data["tokens"]), data["made"], data["forced"])
