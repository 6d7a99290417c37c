"""What a sink holds of a slot: where, in which form, for how long, and who else wrote there.

The layouts are facts about programs of other people, each with the file it was read from. A layout that those programs
change is overridden in the settings by `key`, `format` and `prefix`; see docs/sinks.md.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import md5
from string import Formatter
from typing import NamedTuple

from zhongkong.core.handing import Handed
from zhongkong.core.model import Account, AccountKind, Instant, Kind, Record, Seconds, Secret, Slot, hash_value

DOUBTFUL_FOR: Seconds = 120.0
"""For how long a doubtful credential is left standing: two writes. Nothing there would have old programs mint."""


class SinkKind(StrEnum):
    """What sort of place a sink writes to."""

    REDIS = "redis"
    FILE = "file"
    WEBHOOK = "webhook"


class Form(StrEnum):
    """How a credential is written down."""

    PLAIN = "plain"
    """The value and nothing else."""
    JSON = "json"
    """An object: `value`, and `expire` in seconds since 1970."""
    JSON_STRING = "json-string"
    """The value as a JSON string, in quotes."""
    PHP_STRING = "php-string"
    """What PHP's serialize() makes of the value."""
    PHP_ARRAY = "php-array"
    """What PHP's serialize() makes of `access_token` and `expires_in`."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What a place is to hold of a slot at this moment. Instants are on the store's clock."""

    account: Account
    kind: Kind
    value: str = field(repr=False)
    sha256: str
    generation: int
    expires_at: Instant
    """Until when whoever reads it may use it."""
    expires_in: int
    """The same as a span: whole seconds, at least 1."""
    doubtful: bool
    written_at: Instant
    known: frozenset[str] = field(repr=False)
    """The sha-256 of this value and of former ones: what is found and is none of them was written by somebody else."""


def plan_entry(account: Account, record: Record, handed: Handed, now: Instant) -> Entry | None:
    """Return what is to be written of a record whose credential is handed out; None if it would not last a second."""
    credential = record.credential
    if credential is None:
        return None
    expires_in = handed.expires_in
    if handed.doubtful:
        expires_in = int(min(credential.expires_at - now, DOUBTFUL_FOR))
    if expires_in < 1:
        return None
    return Entry(
        account=account,
        kind=record.slot.kind,
        value=credential.value,
        sha256=credential.sha256,
        generation=credential.generation,
        expires_at=now + expires_in,
        expires_in=expires_in,
        doubtful=handed.doubtful,
        written_at=now,
        known=frozenset({credential.sha256, *record.past}),
    )


# --- what came of it


class Placing(StrEnum):
    """What came of a write."""

    WRITTEN = "written"
    """It stands there now, and did not before."""
    KEPT = "kept"
    """It stood there already and holds for longer now."""
    OLDER = "older"
    """A later generation stands there, so nothing was written."""
    REMOVED = "removed"
    """The account is gone, and so is what stood there."""


class Placed(NamedTuple):
    """What came of a write, and whether a stranger had been there."""

    placing: Placing
    stranger: str = ""
    """The sha-256 of the value found there that is none of ours, or empty. It is overwritten."""


class Seen(NamedTuple):
    """What somebody who only looks finds in a place."""

    is_there: bool
    is_ours: bool
    generation: int = 0
    written_at: Instant = 0.0


# --- forms


def encode(form: Form, entry: Entry) -> bytes:
    """Return the value in the form that programs read."""
    value = entry.value
    match form:
        case Form.PLAIN:
            return value.encode()
        case Form.JSON:
            return json.dumps({"value": value, "expire": int(entry.expires_at)}, separators=(",", ":")).encode()
        case Form.JSON_STRING:
            return json.dumps(value).encode()
        case Form.PHP_STRING:
            return _php(value).encode()
        case Form.PHP_ARRAY:
            pairs = f"{_php('access_token')}{_php(value)}{_php('expires_in')}i:{entry.expires_in};"
            return f"a:2:{{{pairs}}}".encode()


def decode(form: Form, content: bytes) -> str | None:
    """Return the value that stands there, None if it is in no form that we know the place by."""
    try:
        value = _DECODERS[form](content.decode())
    except (ValueError, LookupError, TypeError):
        return None
    return value if isinstance(value, str) else None


def _match(pattern: str) -> Callable[[str], object]:
    """Return a decoder that takes the first group of what `pattern` matches at the beginning."""

    def decoder(text: str) -> object:
        found = re.match(pattern, text)
        return found and found[1]

    return decoder


_DECODERS: Mapping[Form, Callable[[str], object]] = {
    Form.PLAIN: str.strip,
    Form.JSON: lambda text: json.loads(text)["value"],
    Form.JSON_STRING: json.loads,
    Form.PHP_STRING: _match(r's:\d+:"(.*)";$'),
    Form.PHP_ARRAY: _match(r'a:\d+:{.*?s:12:"access_token";s:\d+:"(.*?)";'),
}


def find_stranger(form: Form, content: bytes, entry: Entry) -> str:
    """Return the sha-256 of what a stranger wrote; empty if it is a value of ours, whoever wrote it there."""
    value = decode(form, content)
    digest = hash_value(content.decode(errors="replace") if value is None else value)
    return "" if digest in entry.known else digest


def _php(text: str) -> str:
    return f's:{len(text.encode())}:"{text}";'


# --- layouts

IDENTIFYING = frozenset({"appid", "credentials_md5"})
"""Names in a template that tell one account from another."""
NAMES = IDENTIFYING | {"kind", "prefix", "family", "secret"}


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a value stands, by a template, and in which form.

    Names in a template: `appid`, `kind` (access_token), `prefix` and `family` (a word for the account's kind) as the
    layout or the settings give them, `secret`, and `credentials_md5` (EasyWeChat's hash of appid and secret).
    """

    template: str
    form: Form = Form.PLAIN
    prefix: str | Mapping[AccountKind, str] = ""
    family: Mapping[AccountKind, str] = field(default_factory=dict)

    def place_of(self, account: Account, kind: Kind) -> str:
        """Return the key or path. It may hold the account's secret, so it is never shown; `show` is."""
        prefix = self.prefix if isinstance(self.prefix, str) else self.prefix.get(account.kind, str(account.kind))
        return self.template.format(
            appid=account.appid,
            kind=kind,
            prefix=prefix,
            family=self.family.get(account.kind, account.kind),
            secret=account.secret.reveal(),
            credentials_md5=_md5_of_credentials(account),
        )

    def show(self, account: Account, kind: Kind) -> str:
        """Return the key or path for people, with a word where the secret would stand."""
        return self.place_of(Account(account.appid, account.kind, Secret("<secret>")), kind)

    def takes(self, kind: Kind) -> bool:
        """Say whether values of this kind have a place of their own here; without `{kind}` only access tokens have."""
        return kind is Kind.ACCESS_TOKEN or "kind" in names_in(self.template)


def names_in(template: str) -> frozenset[str]:
    """Return the names that a template asks for.

    Raises: ValueError: it cannot be filled in.
    """
    pieces = list(Formatter().parse(template))
    names = frozenset(name for _, name, _, _ in pieces if name is not None)
    if not names <= NAMES or any(conversion or form for _, _, form, conversion in pieces):
        raise ValueError(template)
    return names


def _md5_of_credentials(account: Account) -> str:
    asked = {"grant_type": "client_credential", "appid": account.appid, "secret": account.secret.reveal()}
    return md5(json.dumps(asked, separators=(",", ":")).encode(), usedforsecurity=False).hexdigest()


_MP, _MA = AccountKind.OFFICIAL, AccountKind.MINIPROGRAM

LAYOUTS: Mapping[str, Layout] = {
    # What tutorials teach: SET wx_access_token_<appid> with the token itself.
    "tutorial": Layout("wx_access_token_{appid}"),
    # WxJava 4, a plain string; no key, or one with a TTL under 2 s, and WxJava mints for itself. The prefix is its
    # setting `config-storage.key-prefix`, by default wx and wa. Redisson instead of Jedis or RedisTemplate writes
    # through a codec of its own and reads this with StringCodec only.
    # Source: WxJava, weixin-java-mp/…/config/impl/WxMpRedisConfigImpl.java,
    # weixin-java-miniapp/…/config/impl/WxMaRedisBetterConfigImpl.java and WxMaRedisConfigImpl.java (always wa).
    "wxjava": Layout("{prefix}:access_token:{appid}", prefix={_MP: "wx", _MA: "wa"}),
    # EasyWeChat 6: a PSR-16 item. Symfony's RedisAdapter and Laravel's cache both write PHP's serialize(); what they
    # put before the key (namespace and a colon, a cache prefix) is our `prefix`. The key holds the AppSecret, and
    # ends in 1 where the program asks for stable tokens (`use_stable_access_token`).
    # Source: w7corp/easywechat, src/OfficialAccount/AccessToken.php and src/MiniApp/AccessToken.php; symfony/cache,
    # Traits/AbstractAdapterTrait.php and Marshaller/DefaultMarshaller.php; laravel/framework, Cache/RedisStore.php.
    "easywechat6": Layout(
        "{prefix}{family}.access_token.{appid}.{secret}.0",
        Form.PHP_STRING,
        family={_MP: "official_account", _MA: "mini_app"},
    ),
    # EasyWeChat 4 and 5: an array, under a hash of what is sent for a token.
    # Source: w7corp/easywechat 4.x and 5.x, src/Kernel/AccessToken.php, src/OfficialAccount/Auth/AccessToken.php.
    "easywechat5": Layout("{prefix}easywechat.kernel.access_token.{credentials_md5}", Form.PHP_ARRAY),
    # silenceper/wechat 2: a plain string. The doubled underscore is real: its prefix ends in one. A program with
    # stable tokens reads gowechat_{family}__stable_access_token_{appid}; before v2.1 values were JSON strings.
    # Source: silenceper/wechat, credential/default_access_token.go, cache/redis.go and cache/goredis.go.
    "silenceper": Layout(
        "gowechat_{family}__access_token_{appid}", family={_MP: "officialaccount", _MA: "miniprogram"}
    ),
    # wechatpy 1.8: a JSON string in its RedisStorage, whose own default prefix this is.
    # Source: wechatpy/wechatpy, wechatpy/session/redisstorage.py and wechatpy/client/base.py.
    "wechatpy": Layout("{prefix}:{appid}_access_token", Form.JSON_STRING, prefix="wechatpy"),
}


# --- a sink as it is set


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """A sink as it is set: what goes where. Its secret is elsewhere."""

    name: str
    kind: SinkKind
    layout: Layout = LAYOUTS["tutorial"]
    appids: frozenset[str] = frozenset()
    """The accounts it is for; empty for all."""
    url: str = field(default="", repr=False)
    mode: int = 0o600

    def takes(self, slot: Slot) -> bool:
        """Say whether the slot's credential goes there."""
        if self.appids and slot.appid not in self.appids:
            return False
        return self.kind is SinkKind.WEBHOOK or self.layout.takes(slot.kind)
