"""A sandbox on a port: its beginning, its end, and the world it keeps in between."""

import asyncio
import json
import signal
import stat
import subprocess
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.scenario.sandbox.desk import until
from zhongkong.sandbox.clock import Clock
from zhongkong.sandbox.saving import FILE_NAME, DataTaken, DataUnreadable, Saver, load_world
from zhongkong.sandbox.server import Running, open_sandbox, serve_sandbox
from zhongkong.sandbox.world import World

PATIENCE_SECONDS = 20


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine to its end."""
    return asyncio.run(asyncio.wait_for(coroutine, PATIENCE_SECONDS))


async def fetch(sandbox: Running) -> str:
    """Return a stable token, asked over the network."""
    account = sandbox.account
    assert account
    body = {"grant_type": "client_credential", "appid": account.appid, "secret": account.secret}
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.post(f"{sandbox.url}/cgi-bin/stable_token", json=body)
        return str(answer.json()["access_token"])


def test_a_sandbox_begins_with_a_test_account_two_followers_and_a_template() -> None:
    """Nobody has to set anything up."""

    async def story() -> None:
        async with open_sandbox(port=0, expires_in=60) as sandbox:
            account = sandbox.account
            assert account
            assert (account.profile, account.kind, account.expires_in) == ("test", "official", 60)
            assert [follower.nickname for follower in account.followers.values()] == ["小明", "Alice"]
            assert len(account.templates) == 1
            assert sandbox.url == f"http://127.0.0.1:{sandbox.port}"
            assert await fetch(sandbox)

    run(story())


def test_a_reset_leaves_appid_and_secret_as_they_were() -> None:
    """What a program has written down goes on working."""

    async def story() -> None:
        async with open_sandbox(port=0, expires_in=60) as sandbox, httpx.AsyncClient(trust_env=False) as client:
            assert sandbox.account
            first = await fetch(sandbox)
            answer = await client.post(f"{sandbox.url}/sandbox/v1/reset")
            [account] = answer.json()["accounts"]
            assert (account["appid"], account["secret"]) == (sandbox.account.appid, sandbox.account.secret)
            assert account["expires_in"] == 60
            assert await fetch(sandbox) != first

    run(story())


def test_sandboxes_differ_unless_they_have_one_seed() -> None:
    """A token of yesterday's sandbox must not be good in today's."""

    async def secret(**options: Any) -> str:
        async with open_sandbox(port=0, **options) as sandbox:
            assert sandbox.account
            return sandbox.account.secret

    assert run(secret()) != run(secret())
    assert run(secret(seed=5)) == run(secret(seed=5))


def test_a_port_that_is_taken_is_an_error_at_once() -> None:
    """And the one who has it goes on."""

    async def story() -> None:
        async with open_sandbox(port=0) as sandbox:
            with pytest.raises(OSError, match="in use"):
                async with open_sandbox(port=sandbox.port):
                    pass
            assert await fetch(sandbox)

    run(story())


def test_it_serves_until_cancelled_and_says_when_it_listens() -> None:
    """The command line waits on this."""

    async def story() -> None:
        listening: asyncio.Future[Running] = asyncio.get_running_loop().create_future()
        serving = asyncio.create_task(serve_sandbox(port=0, ready=listening.set_result))
        sandbox = await listening
        assert await fetch(sandbox)
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
        with pytest.raises(httpx.ConnectError):
            await fetch(sandbox)

    run(story())


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals to send")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, getattr(signal, "SIGHUP", signal.SIGTERM)])
def test_a_signal_ends_it_in_order_and_the_world_is_kept(tmp_path: Path, number: signal.Signals) -> None:
    """Exit status 0, a saved world, nothing on stderr."""
    program = (
        "import asyncio, pathlib, signal, sys\n"
        "from zhongkong.sandbox.server import serve_sandbox\n"
        "signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"  # whoever runs the tests may ignore it
        "asyncio.run(serve_sandbox(port=0, data=pathlib.Path(sys.argv[1]), handle_signals=True,\n"
        "    ready=lambda sandbox: print(sandbox.account.appid, flush=True)))\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stderr
        appid = process.stdout.readline().strip()
        process.send_signal(number)
        assert process.wait(PATIENCE_SECONDS) == 0
        assert process.stderr.read() == ""
    world = World()
    assert load_world(tmp_path, world)
    assert list(world.accounts) == [appid]


def test_a_kept_world_is_the_same_tomorrow(tmp_path: Path) -> None:
    """Account, secret, followers and the very token; and the clock does not run back over what was dated ahead."""

    async def day(**options: Any) -> tuple[str, str, list[str], float]:
        async with open_sandbox(port=0, data=tmp_path, **options) as sandbox:
            assert sandbox.account
            token = await fetch(sandbox)
            sandbox.clock.turn(600)
            account = sandbox.account
            return token, account.secret, list(account.followers), sandbox.clock.now()

    today, tomorrow = run(day()), run(day())
    assert today[:3] == tomorrow[:3]
    assert tomorrow[3] >= today[3] + 600
    assert stat.S_IMODE((tmp_path / FILE_NAME).stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


def test_a_kept_account_takes_the_life_of_tokens_one_asks_for(tmp_path: Path) -> None:
    """A flag that is given means what it says, today too."""

    async def life(**options: Any) -> int:
        async with open_sandbox(port=0, data=tmp_path, **options) as sandbox:
            assert sandbox.account
            return sandbox.account.expires_in

    assert run(life(expires_in=60)) == 60
    assert run(life()) == 60
    assert run(life(expires_in=90)) == 90


def test_a_world_without_accounts_stays_so(tmp_path: Path) -> None:
    """What a person removed does not come back by itself."""

    async def story() -> None:
        async with open_sandbox(port=0, data=tmp_path) as sandbox:
            assert sandbox.account
            sandbox.world.remove_account(sandbox.account.appid)
        async with open_sandbox(port=0, data=tmp_path) as sandbox:
            assert sandbox.account is None

    run(story())


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"version":2}', '{"version":1,"now":1,"world":{"draws":0}}'])
def test_a_damaged_file_is_named_and_left_alone(tmp_path: Path, text: str) -> None:
    """To begin anew over it would lose what could be mended."""
    kept = tmp_path / FILE_NAME
    kept.write_text(text)

    async def story() -> None:
        async with open_sandbox(port=0, data=tmp_path):
            pass

    with pytest.raises(DataUnreadable, match=FILE_NAME):
        run(story())
    assert kept.read_text() == text


def test_a_directory_keeps_one_sandbox_at_a_time(tmp_path: Path) -> None:
    """Two would write over each other's worlds; the next one begins where the first ended, killed or not."""

    async def story() -> None:
        async with open_sandbox(port=0, data=tmp_path / "new") as sandbox:
            assert sandbox.account
            with pytest.raises(DataTaken):
                await open_sandbox(port=0, data=tmp_path / "new").__aenter__()
            assert await fetch(sandbox)
        async with open_sandbox(port=0, data=tmp_path / "new") as again:
            assert again.account
            assert again.account.appid == sandbox.account.appid
        assert [one.name for one in (tmp_path / "new").iterdir()] == [FILE_NAME]

    run(story())


def test_a_change_is_saved_soon_and_not_only_at_the_end(tmp_path: Path) -> None:
    """A sandbox may be killed."""

    async def story() -> None:
        world = World(seed=1)
        saver = Saver(tmp_path, world, Clock(), pause_seconds=0)
        saving = asyncio.create_task(saver.run())
        world.add_account("wx1", "s")
        saver.note_change()
        await until((tmp_path / FILE_NAME).exists)
        saving.cancel()

    run(story())
    assert json.loads((tmp_path / FILE_NAME).read_text())["world"]["accounts"][0]["appid"] == "wx1"


def test_what_cannot_be_saved_is_said_and_tried_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A full disk ends no sandbox."""
    blocker = tmp_path / "kept"
    blocker.write_text("a file where the directory should be")

    async def story() -> None:
        world = World(seed=1)
        saver = Saver(blocker, world, Clock(), pause_seconds=0)
        saving = asyncio.create_task(saver.run())
        saver.note_change()
        await until(lambda: caplog.records)
        blocker.unlink()
        saver.note_change()
        await until((blocker / FILE_NAME).exists)
        saving.cancel()

    run(story())
    assert "could not be kept" in caplog.text


def test_what_was_drawn_after_the_last_save_never_comes_again(tmp_path: Path) -> None:
    """Killed after a token went out: the next sandbox must not issue the same one as if it were new."""
    world = World(seed=1)
    world.add_account("wx1", "s")
    Saver(tmp_path, world, Clock()).save()
    asked: Any = {"appid": "wx1", "secret": "s", "grant_type": "client_credential", "ip": "127.0.0.1", "now": 1.0}
    lost = world.token(**asked)["access_token"]
    again = World()
    load_world(tmp_path, again)
    assert again.token(**asked)["access_token"] != lost
