"""A Redis key as a sink, on a real Redis: what programs find there, who wins, and what every failure is called."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import pytest
from redis.crc import key_slot
from wechatpy.client import WeChatClient  # type: ignore[import-untyped]
from wechatpy.session.redisstorage import RedisStorage  # type: ignore[import-untyped]

from tests.contract.sinks.entries import ACCOUNT, APPID, NOW, SECRET, aim, entry, value_of
from tests.contract.sinks.redis_server import RedisServer
from zhongkong.adapters.clock import MachineClock
from zhongkong.adapters.sinks.opening import open_sink
from zhongkong.adapters.sinks.redis import RedisSink
from zhongkong.core.model import Account, AccountKind, Kind, Secret, hash_value
from zhongkong.core.sinks import Aim, Form, Layout, Placed, Placing, Seen, SinkKind
from zhongkong.errors import SettingInvalid, SinkError, SinkRefused, SinkUnavailable
from zhongkong.messages import LANGUAGES
from zhongkong.wechat.advice import explain_error

T = TypeVar("T")
KEY = f"wx_access_token_{APPID}"
MARK = f"zhongkong_sink:{{{KEY}}}"


@pytest.fixture(name="server", scope="module")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(name="redis")
def _redis(server: RedisServer) -> Iterator[Any]:
    client = server.client
    client.flushall()
    yield client
    client.close()


def work(server: RedisServer, do: Callable[[RedisSink], Coroutine[Any, Any, T]], **given: Any) -> T:
    """Return what `do` returns, done with a sink on the server."""
    password = given.pop("password", None)

    async def working() -> T:
        sink = RedisSink(aim(**{"url": server.url, **given}), password, "zhongkong_")
        try:
            return await do(sink)
        finally:
            await sink.close()

    return asyncio.run(working())


def write(server: RedisServer, *entries: Any, insist: bool = False, **given: Any) -> Placed:
    """Write entries one after the other; return what came of the last."""

    async def writing(sink: RedisSink) -> Placed:
        return [await sink.write(one, insist=insist) for one in entries][-1]

    return work(server, writing, **given)


def fail(server: RedisServer, **given: Any) -> SinkError:
    """Return how a write fails; the failure can be told in both languages, and tells no secret."""
    with pytest.raises(SinkError) as caught:
        write(server, entry(7), **given)
    for lang in LANGUAGES:
        told = explain_error(caught.value, lang) + repr(caught.value) + str(caught.value)
        assert value_of(7) not in told
        assert "hush" not in told
        assert str(server.port) in told
    return caught.value


# --- what is written


def test_the_key_holds_the_token_for_as_long_as_is_promised(server: RedisServer, redis: Any) -> None:
    """The tutorial's key: a plain string that is gone when nobody may use it any more."""
    assert write(server, entry(1)) == Placed(Placing.WRITTEN)
    assert redis.get(KEY) == value_of(1).encode()
    assert 6_990 <= redis.ttl(KEY) <= 7_000
    assert redis.hgetall(MARK)[b"sha256"] == hash_value(value_of(1)).encode()


def test_a_later_generation_takes_the_place_and_the_same_one_stays_longer(server: RedisServer, redis: Any) -> None:
    """Every minute the same again: only the life moves."""
    write(server, entry(1, expires_in=50))
    assert write(server, entry(1)).placing is Placing.KEPT
    assert redis.ttl(KEY) > 50
    assert write(server, entry(2)).placing is Placing.WRITTEN
    assert redis.get(KEY) == value_of(2).encode()


def test_an_older_generation_changes_nothing_unless_it_insists(server: RedisServer, redis: Any) -> None:
    """A replica that was stopped between reading the store and writing; insisting is for a store that was restored."""
    write(server, entry(5))
    assert write(server, entry(4)) == Placed(Placing.OLDER)
    assert redis.get(KEY) == value_of(5).encode()
    insisted = write(server, entry(4), insist=True)
    assert insisted == Placed(Placing.WRITTEN, hash_value(value_of(5)))
    assert redis.get(KEY) == value_of(4).encode()


def test_of_hubs_that_race_the_latest_generation_stays(server: RedisServer, redis: Any) -> None:
    """Sixteen replicas with sixteen generations, in any order, at once: the key never goes back."""
    seen: list[bytes] = []

    async def race() -> None:
        sinks = [RedisSink(aim(url=server.url), None, "zhongkong_") for _ in range(16)]
        for n in range(10):
            await asyncio.gather(*(sinks[(7 * n + i) % 16].write(entry(16 * n + i + 1)) for i in range(16)))
            seen.append(redis.get(KEY))
        for sink in sinks:
            await sink.close()

    asyncio.run(race())
    assert seen == [value_of(16 * n + 16).encode() for n in range(10)]


def test_key_and_mark_are_in_one_slot(server: RedisServer, redis: Any) -> None:
    """Proxies in front of a cluster refuse a script whose keys are not."""
    write(server, entry(1))
    assert {key.decode() for key in redis.keys("*")} == {KEY, MARK}
    assert key_slot(KEY.encode()) == key_slot(MARK.encode())


# --- strangers


def test_a_value_that_somebody_else_wrote_is_told_and_replaced(server: RedisServer, redis: Any) -> None:
    """Both before the first write of a hub, and after one."""
    redis.set(KEY, "stranger-1")
    assert write(server, entry(1)) == Placed(Placing.WRITTEN, hash_value("stranger-1"))
    redis.set(KEY, "stranger-2", ex=100)
    assert write(server, entry(1)) == Placed(Placing.WRITTEN, hash_value("stranger-2"))
    assert redis.get(KEY) == value_of(1).encode()
    assert write(server, entry(1)) == Placed(Placing.KEPT)


def test_our_own_value_is_no_strangers_whoever_wrote_it(server: RedisServer, redis: Any) -> None:
    """In stable mode an old program is given the token that we hold; a hub before us wrote without a mark."""
    redis.set(KEY, value_of(1))
    assert write(server, entry(2)) == Placed(Placing.WRITTEN)
    redis.set(KEY, value_of(2))
    assert write(server, entry(2)) == Placed(Placing.KEPT)


def test_what_cannot_be_read_as_a_token_is_a_strangers(server: RedisServer, redis: Any) -> None:
    """It is told by the hash of the whole."""
    redis.set("wechatpy:" + APPID + "_access_token", b"\xff\x00not json")
    placed = write(server, entry(1), layout="wechatpy")
    assert len(placed.stranger) == 64


def test_a_key_that_was_deleted_is_written_again_and_nobody_is_accused(server: RedisServer, redis: Any) -> None:
    """WxJava expires the key when it meets a refused token; a person may flush."""
    write(server, entry(1))
    redis.delete(KEY)
    assert write(server, entry(1)) == Placed(Placing.WRITTEN)
    redis.flushall()
    assert write(server, entry(1)) == Placed(Placing.WRITTEN)


# --- taking back


def test_what_a_hub_wrote_is_taken_back_and_what_a_stranger_wrote_stays(server: RedisServer, redis: Any) -> None:
    """The account was removed; whoever took the place over keeps it."""

    async def remove(sink: RedisSink) -> bool:
        return await sink.remove(ACCOUNT, Kind.ACCESS_TOKEN, 3)

    write(server, entry(3))
    assert work(server, remove) is True
    assert redis.keys() == []
    assert work(server, remove) is False
    write(server, entry(3))
    redis.set(KEY, "stranger")
    assert work(server, remove) is False
    assert redis.keys() == [KEY.encode()]


def test_a_later_generation_is_not_taken_back(server: RedisServer, redis: Any) -> None:
    """The account came back meanwhile; its generations go on, and a slow replica still has its tombstone."""

    async def remove(sink: RedisSink) -> bool:
        return await sink.remove(ACCOUNT, Kind.ACCESS_TOKEN, 3)

    write(server, entry(4))
    assert work(server, remove) is False
    assert redis.get(KEY) == value_of(4).encode()


# --- layouts: what each program finds

MINI = Account(APPID, AccountKind.MINIPROGRAM, Secret("s3cret"))
TOKEN = value_of(1)


@pytest.mark.parametrize(
    ("layout", "account", "key", "content"),
    [
        ("tutorial", ACCOUNT, f"wx_access_token_{APPID}", TOKEN),
        ("wxjava", ACCOUNT, f"wx:access_token:{APPID}", TOKEN),
        ("wxjava", MINI, f"wa:access_token:{APPID}", TOKEN),
        ("silenceper", ACCOUNT, f"gowechat_officialaccount__access_token_{APPID}", TOKEN),
        ("silenceper", MINI, f"gowechat_miniprogram__access_token_{APPID}", TOKEN),
        ("wechatpy", ACCOUNT, f"wechatpy:{APPID}_access_token", f'"{TOKEN}"'),
        ("easywechat6", MINI, f"mini_app.access_token.{APPID}.s3cret.0", f's:{len(TOKEN)}:"{TOKEN}";'),
        (
            "easywechat5",
            MINI,
            # md5 of {"grant_type":"client_credential","appid":"wx0123456789abcdef","secret":"s3cret"}
            "easywechat.kernel.access_token.f26cc27414b644c73e903919c196c9c0",
            f'a:2:{{s:12:"access_token";s:{len(TOKEN)}:"{TOKEN}";s:10:"expires_in";i:7000;}}',
        ),
    ],
)
def test_each_program_finds_the_token_under_its_own_key_in_its_own_form(
    server: RedisServer, redis: Any, layout: str, account: Account, key: str, content: str
) -> None:
    """Key names and forms were read in the programs' sources; `core.sinks` says where."""
    write(server, entry(1, account=account), layout=layout)
    assert redis.get(key) == content.encode()


def test_wechatpy_itself_reads_what_was_written_for_it(server: RedisServer, redis: Any) -> None:
    """The real package, with its own RedisStorage; it would mint if it found nothing, and there is no network here."""
    write(server, entry(1), layout="wechatpy")
    client = WeChatClient(APPID, "no secret", session=RedisStorage(redis))
    assert client.access_token == value_of(1)
    write(server, entry(2), layout="wechatpy")
    assert client.access_token == value_of(2)


def test_key_prefix_and_form_can_be_said_otherwise(server: RedisServer, redis: Any) -> None:
    """A program with stable tokens, behind Laravel's cache and its prefix."""
    template = "{prefix}official_account.access_token.{appid}.{secret}.1"
    own = Aim(name="own", kind=SinkKind.REDIS, url=server.url, layout=Layout(template, Form.JSON, "laravel_cache:"))

    async def writing() -> None:
        sink = RedisSink(own, None, "zhongkong_")
        await sink.write(entry(1))
        await sink.close()

    asyncio.run(writing())
    found = redis.get(f"laravel_cache:official_account.access_token.{APPID}.{SECRET}.1")
    assert json.loads(found) == {"value": TOKEN, "expire": int(NOW) + 7000}


# --- failures


def test_a_server_that_is_killed_is_away_and_one_that_came_back_empty_is_filled(tmp_path: Path) -> None:
    """The same sink, its connections and its scripts are gone with the server."""
    with RedisServer(tmp_path) as server:

        async def live() -> list[str]:
            sink = RedisSink(aim(url=server.url), None, "zhongkong_")
            await sink.write(entry(1))
            server.kill()
            codes = []
            for _ in range(2):
                with pytest.raises(SinkUnavailable) as caught:
                    await sink.write(entry(1))
                codes.append(caught.value.code)
            server.start()
            placed = await sink.write(entry(1))
            await sink.close()
            return [*codes, placed.placing]

        assert asyncio.run(live()) == ["sink_away", "sink_away", Placing.WRITTEN]
        assert server.client.get(KEY) == value_of(1).encode()


def test_a_server_that_comes_back_with_its_data_is_known_again(tmp_path: Path) -> None:
    """Key and mark are written by one script, so they come back together: nobody is accused."""
    with RedisServer(tmp_path, "--appendonly", "yes", "--appendfsync", "always") as server:
        write(server, entry(2))
        server.kill()
        server.start()
        assert server.client.get(KEY) == value_of(2).encode()
        assert write(server, entry(1)) == Placed(Placing.OLDER)
        assert write(server, entry(2)) == Placed(Placing.KEPT)


def test_a_server_that_hangs_is_silent_and_holds_nobody_up_for_long(tmp_path: Path) -> None:
    """It is there and does not answer: the wait is ours to end."""
    with RedisServer(tmp_path) as server:
        server.freeze()
        assert fail(server).code == "sink_silent"
        server.thaw()
        assert write(server, entry(1)).placing is Placing.WRITTEN


def test_passwords_and_users(tmp_path: Path) -> None:
    """No password, a wrong one, the right one; and a user who may not write."""
    with RedisServer(tmp_path, password="hush hush") as server:
        assert fail(server).code == "sink_redis_password"
        assert fail(server, password=Secret("hush")).code == "sink_redis_password"
        assert write(server, entry(1), password=Secret("hush hush")).placing is Placing.WRITTEN
        for commands, keys in ((["+get"], "*"), (["+get", "+@scripting"], "*"), (["+@all"], "other")):
            server.client.acl_setuser("weak", True, reset=True, passwords=["+hush"], commands=commands, keys=[keys])  # noqa: FBT003
            url = server.url.replace("//", "//weak@")
            refused = fail(server, url=url, password=Secret("hush"))
            assert (refused.code, type(refused)) == ("sink_redis_refused", SinkRefused)


def test_a_replica_is_told_from_its_primary(tmp_path: Path) -> None:
    """After a failover a URL may name what was the primary once."""
    (tmp_path / "second").mkdir()
    with (
        RedisServer(tmp_path) as primary,
        RedisServer(tmp_path / "second", "--replicaof", "127.0.0.1", str(primary.port)) as replica,
    ):
        error = fail(replica)
        assert (error.code, type(error)) == ("sink_redis_read_only", SinkUnavailable)


def test_a_server_without_memory_or_disk_refuses_in_words(server: RedisServer, redis: Any) -> None:
    """What stood there stays."""
    write(server, entry(1))
    redis.config_set("maxmemory", 1)
    try:
        assert fail(server).code == "sink_redis_full"
    finally:
        redis.config_set("maxmemory", 0)
    assert redis.get(KEY) == value_of(1).encode()


def test_a_key_of_another_type_is_refused_alone(server: RedisServer, redis: Any) -> None:
    """Another program keeps a hash there; it is not ours to delete."""
    redis.hset(KEY, "token", "x")
    error = fail(server)
    assert (error.code, type(error)) == ("sink_redis_other_type", SinkRefused)
    assert redis.hget(KEY, "token") == b"x"


def test_what_is_no_redis_and_what_is_no_place_are_told() -> None:
    """A wrong port, a wrong name, TLS where there is none."""

    async def fail_at(url: str) -> str:
        sink = RedisSink(aim(url=url), None, "zhongkong_")
        with pytest.raises(SinkUnavailable) as caught:
            await sink.write(entry(1))
        await sink.close()
        assert explain_error(caught.value, "en")
        return f"{caught.value.code} {caught.value.values.get('why', '')}"

    async def meet() -> list[str]:
        async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            with suppress(OSError):
                await reader.read()
            writer.close()

        async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            places = [f"redis://127.0.0.1:{port}", f"rediss://127.0.0.1:{port}", "redis://nobody.invalid", "unix:///no"]
            return [await fail_at(place) for place in places]

    told = asyncio.run(meet())
    assert told[0].strip() == "sink_redis_stranger"
    assert told[1] == "sink_away WRONG_VERSION_NUMBER"
    assert told[2].startswith("sink_away ")
    assert told[3] == "sink_away No such file or directory"


def test_who_only_looks_changes_nothing(server: RedisServer, redis: Any) -> None:
    """The doctor's look: empty, ours, a stranger's."""

    async def look(sink: RedisSink) -> Seen:
        await sink.reach()
        return await sink.look(ACCOUNT, Kind.ACCESS_TOKEN)

    assert work(server, look) == Seen(is_there=False, is_ours=False)
    assert redis.keys() == []
    write(server, entry(3))
    assert work(server, look) == Seen(is_there=True, is_ours=True, generation=3, written_at=NOW)
    redis.set(KEY, "stranger")
    assert work(server, look).is_ours is False


def test_without_the_package_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an extra: most hubs have no such sink."""
    monkeypatch.delitem(sys.modules, "zhongkong.adapters.sinks.redis")
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(SettingInvalid) as caught:
        open_sink(aim(url="redis://127.0.0.1"), None, "zhongkong_", MachineClock())
    assert 'pip install ".[hub,redis]"' in explain_error(caught.value, "en")
