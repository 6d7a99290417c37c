"""The four steps of docs/migrate.md, walked with its own settings: no service is ever without a token that works."""

from __future__ import annotations

import re
from pathlib import Path

from tests.contract.sinks.redis_server import RedisServer
from tests.scenario.sinks.street import APPID, Street, await_truth

PAGE = Path(__file__).parents[3] / "docs" / "migrate.md"
OLD = f"wx_access_token_{APPID}"
NEW = f"zk_access_token_{APPID}"


def test_moving_in_step_by_step(tmp_path: Path) -> None:
    """Start beside it, write under a new name, stop the old writer, take over its name; who writes again is told."""
    account, sink_beside, sink_instead = re.findall(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    street = Street(tmp_path)
    with street.platform(), RedisServer(tmp_path) as server:
        redis = server.client
        beside, instead = (one.replace("redis://127.0.0.1:6379", server.url) for one in (sink_beside, sink_instead))

        def write_as_the_old_program_does() -> str:
            token = street.fetch_as_old_programs_do()
            redis.set(OLD, token, ex=7000)
            return token

        old = write_as_the_old_program_does()
        with street.hub(account):
            hubs = street.token()
            assert hubs != old
            assert street.is_taken(old)
            assert street.is_taken(hubs)
        with street.hub(account + beside):
            await_truth(lambda: redis.get(NEW) == hubs.encode())
            assert redis.get(OLD) == old.encode()
            assert 0 < redis.ttl(NEW) <= 7200
            assert street.is_taken(redis.get(OLD))
            assert street.is_taken(redis.get(NEW))
            code, said = street.type("doctor")
            assert code == 0, said
            assert f"redis 里有 {APPID} 的第 1 代令牌" in said
            assert street.events("sink_foreign_writer") == []
        with street.hub(account + instead):
            await_truth(lambda: redis.get(OLD) == hubs.encode())
            [told] = await_truth(lambda: street.events("sink_foreign_writer"))
            assert told["values"]["sink"] == "redis"
            assert street.type("doctor")[0] == 0
            forgotten = write_as_the_old_program_does()
            assert street.is_taken(redis.get(OLD))
            renewed = street.renew()
            await_truth(lambda: redis.get(OLD) == renewed.encode())
            assert forgotten not in (hubs, renewed)
            await_truth(lambda: len(street.events("sink_foreign_writer")) == 2)
            assert "sink_foreign_writer" in street.type("events", "--json")[1]
            code, said = street.type("doctor")
            assert code == 1
            assert "docs/migrate.md" in said
            assert street.is_taken(redis.get(OLD))
        redis.close()
