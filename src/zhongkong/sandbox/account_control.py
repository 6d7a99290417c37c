"""The control API of one account: what its owner does in the platform's console, and what others do to it."""

import re
from dataclasses import asdict
from ipaddress import ip_address
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from zhongkong.sandbox.accounts import Account, Kind, TemplateStatus
from zhongkong.sandbox.admission import GRANT_TYPE
from zhongkong.sandbox.endpoints import Asked
from zhongkong.sandbox.exchange import read_fields, read_number, write_json
from zhongkong.sandbox.fields import check
from zhongkong.sandbox.following import build_subscribe, build_unsubscribe
from zhongkong.sandbox.pushing import Pushing
from zhongkong.sandbox.quotas import STABLE_TOKEN_PATH, TOKEN_PATH, Profile
from zhongkong.sandbox.sandbox import Sandbox
from zhongkong.sandbox.tokens import Mode
from zhongkong.sandbox.views import show_account, show_followers, show_messages, show_templates, show_token
from zhongkong.sandbox.wecom import GETTOKEN_PATH

STRANGER_IP = "198.51.100.7"  # of a block reserved for documentation
MESSAGES_A_PAGE = 1000
_SETTINGS: dict[str, Any] = {
    "expires_in": int,
    "token_length": int,
    "allow_list": list[str] | None,
    "forbidden": list[str],
    "quotas": dict,
}
_APPID = re.compile(r"[A-Za-z0-9_:.-]{1,64}")  # also what others than WeChat's own are like; it stands in paths
_QUOTA = {"daily": int, "per_minute": int | None}
_NEW = {"appid": str, "secret": str, "kind": Kind, "profile": Profile} | _SETTINGS


class AccountControl:
    """The routes under /accounts."""

    def __init__(self, sandbox: Sandbox, pushing: Pushing) -> None:
        self._sandbox = sandbox
        self._pushing = pushing
        self._world = sandbox.world

    def routes(self) -> list[Route]:
        """Return the routes, relative to /sandbox/v1."""
        account = "/accounts/{appid}"
        return [
            Route("/accounts", self.list_accounts, methods=["GET"]),
            Route("/accounts", self.add_account, methods=["POST"]),
            Route(account, self.read_account, methods=["GET"]),
            Route(account, self.change_account, methods=["PATCH"]),
            Route(account, self.remove_account, methods=["DELETE"]),
            Route(f"{account}/secret", self.reset_secret, methods=["POST"]),
            Route(f"{account}/freeze", self.freeze, methods=["POST"]),
            Route(f"{account}/thaw", self.thaw, methods=["POST"]),
            Route(f"{account}/addresses", self.list_addresses, methods=["GET"]),
            Route(f"{account}/addresses/{{ip}}", self.confirm_address, methods=["PUT"]),
            Route(f"{account}/tokens", self.list_tokens, methods=["GET"]),
            Route(f"{account}/revoke", self.revoke, methods=["POST"]),
            Route(f"{account}/mint", self.mint, methods=["POST"]),
            Route(f"{account}/followers", self.list_followers, methods=["GET"]),
            Route(f"{account}/followers", self.add_follower, methods=["POST"]),
            Route(f"{account}/followers/{{openid}}", self.change_follower, methods=["PATCH"]),
            Route(f"{account}/followers/{{openid}}", self.unfollow, methods=["DELETE"]),
            Route(f"{account}/followers/{{openid}}/speak", self.speak, methods=["POST"]),
            Route(f"{account}/templates", self.list_templates, methods=["GET"]),
            Route(f"{account}/templates", self.add_template, methods=["POST"]),
            Route(f"{account}/templates/{{template_id}}", self.remove_template, methods=["DELETE"]),
            Route(f"{account}/messages", self.list_messages, methods=["GET"]),
        ]

    # The account itself.

    async def list_accounts(self, _request: Request) -> Response:
        """Answer every account."""
        now = self._sandbox.clock.now()
        return write_json({"accounts": [show_account(account, now) for account in self._world.accounts.values()]})

    async def add_account(self, request: Request) -> Response:
        """Open an account; appid and secret are drawn when not given."""
        given = _check_settings({"expires_in": self._sandbox.expires_in, **await read_fields(request, _NEW)})
        if not _APPID.fullmatch(given.get("appid", "drawn")):
            raise ValueError("an appid is 1 to 64 characters of A-Z, a-z, 0-9 and _:.-")
        at_birth = {name: value for name, value in given.items() if name not in ("forbidden", "quotas")}
        account = self._world.add_account(**at_birth)
        _set(account, given)
        return self._shown(account, 201)

    async def read_account(self, request: Request) -> Response:
        """Answer one account."""
        return self._shown(self._account(request))

    async def change_account(self, request: Request) -> Response:
        """Change what is given and nothing else; all of it or, if something cannot be, none."""
        account = self._account(request)
        given = _check_settings(await read_fields(request, _SETTINGS))
        before = (account.expires_in, account.token_length)
        try:
            _set(account, given)
        except ValueError:  # one of these two, which judge for themselves and come before the rest
            account.expires_in, account.token_length = before
            raise
        return self._shown(account)

    async def remove_account(self, request: Request) -> Response:
        """Forget the account and its tokens."""
        self._world.remove_account(self._account(request).appid)
        return Response(status_code=204)

    # Its secret and its tokens.

    async def reset_secret(self, request: Request) -> Response:
        """Give the account another secret."""
        account, given = self._account(request), await read_fields(request, {"secret": str})
        self._world.reset_secret(account.appid, self._sandbox.clock.now(), given.get("secret"))
        return self._shown(account)

    async def freeze(self, request: Request) -> Response:
        """Freeze the secret; it takes `freeze_delay_seconds` to act, as on the platform."""
        account = self._account(request)
        self._world.freeze_secret(account.appid, self._sandbox.clock.now())
        return self._shown(account)

    async def thaw(self, request: Request) -> Response:
        """Thaw the secret, with the same delay."""
        account = self._account(request)
        self._world.thaw_secret(account.appid, self._sandbox.clock.now())
        return self._shown(account)

    async def list_addresses(self, request: Request) -> Response:
        """Answer the addresses that the secret was used from while the platform checked new ones."""
        addresses = self._account(request).addresses.items()
        return write_json({"addresses": [{"ip": ip, **asdict(address)} for ip, address in addresses]})

    async def confirm_address(self, request: Request) -> Response:
        """Let the administrator agree to an address, or refuse it."""
        account, given = self._account(request), await read_fields(request, {"agreed": bool}, required=["agreed"])
        account.confirm(str(ip_address(request.path_params["ip"])), self._sandbox.clock.now(), **given)
        return Response(status_code=204)

    async def list_tokens(self, request: Request) -> Response:
        """Answer the tokens remembered, oldest first, with how each ended or will."""
        now = self._sandbox.clock.now()
        tokens = [show_token(issued, now) for issued in self._world.issued(self._account(request).appid)]
        return write_json({"tokens": tokens})

    async def revoke(self, request: Request) -> Response:
        """End living tokens now: one, those of a mode, only the current ones, or all."""
        hints = {"access_token": str, "mode": Mode, "current": bool}
        account, given = self._account(request), await read_fields(request, hints)
        lines = [account.classic, account.stable]
        values = [issued.value for issued in self._world.issued(account.appid)]
        if "access_token" in given:
            if given["access_token"] not in values:
                raise LookupError(f"account {account.appid} has no such token")
            values = [given["access_token"]]
        if given.get("current"):
            values = [line.current.value for line in lines if line.current and line.current.value in values]
        if "mode" in given:
            values = [value for value in values if self._is_of(value, given["mode"])]
        now = self._sandbox.clock.now()
        return write_json({"revoked": sum(self._world.revoke(value, now) for value in values)})

    async def mint(self, request: Request) -> Response:
        """Fetch a token as another program with the same secret would, and answer what the platform told it.

        A stranger of a stable account forces, unless told not to. No fault is in his way, and the journal shows him.
        """
        hints = {"mode": Mode, "force_refresh": bool, "ip": str}
        account, given = self._account(request), await read_fields(request, hints)
        allowed = sorted(account.allow_list or ())
        asked = build_mint(
            account,
            mode=given.get("mode", "classic"),
            force_refresh=given.get("force_refresh", True),
            ip=str(ip_address(given.get("ip", allowed[0] if allowed else STRANGER_IP))),
        )
        return write_json(self._sandbox.act(asked, self._sandbox.clock.now()))

    # Its followers, templates and messages.

    async def list_followers(self, request: Request) -> Response:
        """Answer who follows, and who did."""
        return write_json({"followers": show_followers(self._account(request))})

    async def add_follower(self, request: Request) -> Response:
        """Let a person follow the account, also one who had left; its server is told."""
        hints = {"nickname": str, "openid": str, "unionid": str | None}
        account, given = self._account(request), await read_fields(request, hints, required=["nickname"])
        known = account.followers.get(given.get("openid", ""))
        if known and known.subscribed:
            raise ValueError(f"account {account.appid} already has a follower {known.openid}")
        follower = self._world.add_follower(account.appid, now=self._sandbox.clock.now(), **given)
        await self._pushing.tell(account, build_subscribe(follower))
        return write_json(next(shown for shown in show_followers(account) if shown["openid"] == follower.openid), 201)

    async def change_follower(self, request: Request) -> Response:
        """Say what becomes of template messages to a follower."""
        account, given = self._account(request), await read_fields(request, {"template_status": TemplateStatus})
        follower = account.follower(request.path_params["openid"])
        follower.template_status = given.get("template_status", follower.template_status)
        return write_json(asdict(follower))

    async def unfollow(self, request: Request) -> Response:
        """Let a follower leave; the account's server is told."""
        account, openid = self._account(request), request.path_params["openid"]
        account.unfollow(openid)
        await self._pushing.tell(account, build_unsubscribe(openid))
        return Response(status_code=204)

    async def speak(self, request: Request) -> Response:
        """Let a follower write to the account: customer messages to him pass for 48 hours."""
        self._account(request).hear(request.path_params["openid"], self._sandbox.clock.now())
        return Response(status_code=204)

    async def list_templates(self, request: Request) -> Response:
        """Answer the template messages."""
        return write_json({"templates": show_templates(self._account(request))})

    async def add_template(self, request: Request) -> Response:
        """Add a template message with its fields as {{name.DATA}}, or put another text under its id."""
        hints = {"title": str, "content": str, "template_id": str}
        account, given = self._account(request), await read_fields(request, hints, required=["title", "content"])
        template = self._world.add_template(account.appid, **given)
        return write_json({"template_id": template.template_id, "title": template.title}, 201)

    async def remove_template(self, request: Request) -> Response:
        """Take a template message away."""
        account, template_id = self._account(request), request.path_params["template_id"]
        if account.templates.pop(template_id, None) is None:
            raise LookupError(f"account {account.appid} has no template {template_id}")
        return Response(status_code=204)

    async def list_messages(self, request: Request) -> Response:
        """Answer the last messages that went out, oldest first."""
        limit = read_number(request, "limit", MESSAGES_A_PAGE)
        messages = show_messages(self._account(request))
        return write_json({"messages": messages[max(0, len(messages) - limit) :]})

    def _account(self, request: Request) -> Account:
        return self._world.account(request.path_params["appid"])

    def _shown(self, account: Account, status: int = 200) -> Response:
        return write_json(show_account(account, self._sandbox.clock.now()), status)

    def _is_of(self, value: str, mode: Mode) -> bool:
        issued = self._world.find(value)
        return issued is not None and issued.mode == mode


def build_mint(account: Account, *, mode: Mode, force_refresh: bool, ip: str) -> Asked:
    """Return the call by which a program that knows the account's secret fetches a token."""
    values = {"grant_type": GRANT_TYPE, "appid": account.appid, "secret": account.secret}
    if account.kind == "wecom":
        named = {"corpid": account.appid.partition(":")[0], "corpsecret": account.secret}
        return Asked(method="GET", path=GETTOKEN_PATH, ip=ip, query=named, form={}, posted=None, empty=True)
    if mode == "classic":
        return Asked(method="GET", path=TOKEN_PATH, ip=ip, query=values, form={}, posted=None, empty=True)
    posted = {**values, "force_refresh": force_refresh}
    return Asked(method="POST", path=STABLE_TOKEN_PATH, ip=ip, query={}, form={}, posted=posted, empty=False)


def _check_settings(given: dict[str, Any]) -> dict[str, Any]:
    """Return the settings with addresses spelled as the platform compares them. Raises ValueError."""
    for path, quota in given.get("quotas", {}).items():
        check(quota, _QUOTA, required=["daily"])
        if quota["daily"] < 0 or (quota.get("per_minute") or 0) < 0:
            raise ValueError(f"the quotas of {path} must not be below 0")
    if given.get("allow_list") is not None:
        given["allow_list"] = [str(ip_address(ip)) for ip in given["allow_list"]]
    return given


def _set(account: Account, given: dict[str, Any]) -> None:
    if "expires_in" in given:
        account.set_expires_in(given["expires_in"])
    if "token_length" in given:
        account.set_token_length(given["token_length"])
    if "allow_list" in given:
        account.set_allow_list(given["allow_list"])
    if "forbidden" in given:
        account.forbidden = set(given["forbidden"])
    for path, quota in given.get("quotas", {}).items():
        account.set_quota(path, **quota)
