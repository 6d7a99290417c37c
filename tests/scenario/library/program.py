"""Programs that keep their credentials themselves, over one store, in virtual time: each a process with an engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import Any, ClassVar, TypeVar

from tests.scenario.keeper.scene import APPID, Scene, ScenePlatform
from zhongkong.client.engine import Held
from zhongkong.client.source import Credential, Rejected
from zhongkong.connecting.keeping import KeeperEngine, Seats
from zhongkong.core.model import Account
from zhongkong.errors import ZhongkongError
from zhongkong.testing.virtual_loop import Process

T = TypeVar("T")

KIND = "access_token"
PATIENCE = 5.0


class Program:
    """A process with an engine, and readers who do as the faces do: what holds they take, and ask for what does not."""

    began: ClassVar[list[Program]] = []
    """All that a test began, for its end."""

    def __init__(self, scene: Scene, index: int = 0, *, accounts: Sequence[Account] = ()) -> None:
        self.scene = scene
        self.process = Process(f"program {index}")
        self.platform = ScenePlatform(scene.world, scene.clock, scene.line, f"10.1.0.{index + 1}")
        self.engine = KeeperEngine(self._open, scene.clock, accounts=accounts, random=Random(index))
        self.held: Held | None = None
        self.refusals: Iterator[ZhongkongError] = iter(())
        """What comes of opening the store, before it opens."""
        self.waited = 0
        """How many reads were no mere look into memory."""
        self.running = self.begin(self.engine.run(self._publish))
        self.began.append(self)

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[Seats]:
        await asyncio.sleep(0.01)
        for refusal in self.refusals:
            raise refusal
        yield Seats(self.scene.store, self.platform)

    def _publish(self, held: Held) -> None:
        self.held = held

    def begin(self, coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Begin something in this process."""
        return self.scene.clock.loop.spawn(self.process, coroutine)

    async def read(self, patience: float = PATIENCE) -> Credential:
        """Read as a face does."""
        held, now = self.held, self.scene.time()
        if held is None or now >= held.holds_until:
            self.waited += 1
            held = await self.engine.credential(APPID, KIND, patience)
        return held.at(self.scene.time())

    def credential(self, patience: float = PATIENCE) -> Credential:
        """Read once; time passes as far as that takes."""
        return self.scene.run(_result(self.begin(self.read(patience))))

    def reject(self, value: str, patience: float = PATIENCE) -> Rejected:
        """Reject once."""
        return self.scene.run(_result(self.begin(self.engine.reject(APPID, KIND, value, patience))))

    def end(self) -> float:
        """End it as the face does at the interpreter's end, and return how long that took."""
        began = self.scene.time()
        self.running.cancel()
        self.scene.run(_ended(self.running))
        return self.scene.time() - began

    def kill(self) -> None:
        """End it as `kill -9` does."""
        self.scene.clock.loop.kill(self.process)


async def _result(task: asyncio.Task[T]) -> T:
    return await task


async def _ended(task: asyncio.Task[Any]) -> None:
    await asyncio.wait([task])


def end_all() -> None:
    """End every program, also the dead and the stopped: a task that is thrown away pending is a warning."""
    while Program.began:
        program = Program.began.pop()
        program.process.dead = False
        program.scene.clock.loop.resume(program.process)
        program.end()
