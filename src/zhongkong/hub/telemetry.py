"""What the hub counts and measures, for Prometheus. Labels are appids, words of ours and errcodes; never a secret."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import cache
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from zhongkong.core.command import AnswerT, Applied, Command
from zhongkong.core.following import READ_PATH, REJECT_PATH
from zhongkong.core.model import Account, Event, Instant, Record, Seconds, Slot
from zhongkong.core.ports import Changes, Clock, KeeperStore
from zhongkong.errors import StoreError
from zhongkong.hub.health import RESTING, WANTS_A_PERSON, health_of, health_of_all
from zhongkong.keeper.knowledge import Knowledge
from zhongkong.wechat.endpoints import PROBE, STABLE_TOKEN, TICKET, TOKEN

ValueT = TypeVar("ValueT")

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
MULTIPROCESS_DIR = "PROMETHEUS_MULTIPROC_DIR"
"""Where workers on one machine share their counts; `hub.workers` sets it before they are begun."""

_MODES = {TOKEN.path: "classic", STABLE_TOKEN.path: "stable", TICKET.path: "ticket", READ_PATH: "follow"}
_PROBES = (PROBE.path, REJECT_PATH)
_QUICK = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_SLOW = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


class Telemetry:
    """Counts and durations of one process, with a registry of their own. Workers on one machine are summed."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        registry = self._registry
        self._reads = Counter("zhongkong_reads", "Reads of a credential.", ["outcome"], registry=registry)
        self._rejects = Counter("zhongkong_rejects", "Reports of a refused credential.", ["outcome"], registry=registry)
        self._mints = Counter("zhongkong_mints", "Requests for a credential.", ["mode", "outcome"], registry=registry)
        self._probes = Counter(
            "zhongkong_probes", "Looks whether a credential is alive.", ["verdict"], registry=registry
        )
        self._platform = Histogram(
            "zhongkong_platform_seconds", "Calls to the platform.", ["endpoint"], buckets=_SLOW, registry=registry
        )
        self._store = Histogram(
            "zhongkong_store_seconds", "Calls to the store.", ["call", "outcome"], buckets=_QUICK, registry=registry
        )
        self._requests = Counter("zhongkong_http_requests", "Requests served.", ["status"], registry=registry)
        self._reads_of = cache(self._reads.labels)
        self._requests_of = cache(lambda digit: self._requests.labels(f"{digit}xx"))
        self._gateway = Counter(
            "zhongkong_gateway_calls", "Calls through the gateway.", ["appid", "key", "outcome"], registry=registry
        )
        self._gateway_of = cache(self._gateway.labels)
        self._sinks = Counter("zhongkong_sink_writes", "Writes to sinks.", ["sink", "outcome"], registry=registry)

    def read(self, outcome: str) -> None:
        """Count a read: fresh, not_modified, doubtful, stale, unavailable (no credential) or failed."""
        self._reads_of(outcome).inc()

    def rejected(self, outcome: str) -> None:
        """Count a reject: refreshed, already_newer, still_valid or unavailable."""
        self._rejects.labels(outcome).inc()

    def served(self, status: int) -> None:
        """Count a request, by the first digit of its status."""
        self._requests_of(status // 100).inc()

    def platform_called(self, path: str, outcome: str, seconds: Seconds) -> None:
        """Count a call to the platform: what `AiohttpPlatform` tells its observer."""
        self._platform.labels(path).observe(seconds)
        if path in _PROBES:
            self._probes.labels(outcome).inc()
        elif path in _MODES:
            self._mints.labels(_MODES[path], outcome).inc()

    def gateway_called(self, appid: str, key_id: str, outcome: str) -> None:
        """Count a call through the gateway: token, passed, healed, refused (by us) or failed."""
        self._gateway_of(appid, key_id, outcome).inc()

    def store_called(self, call: str, outcome: str, seconds: Seconds) -> None:
        """Count a call to the store: what `TimedStore` tells."""
        self._store.labels(call, outcome).observe(seconds)

    def sink_written(self, sink: str, outcome: str) -> None:
        """Count a write to a sink: written, kept, older, removed or failed."""
        self._sinks.labels(sink, outcome).inc()

    def exposition(self, gauges: Collector) -> bytes:
        """Return all of it, and what `gauges` measures now, in Prometheus' text format."""
        registry = self._registry
        if os.environ.get(MULTIPROCESS_DIR):
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # theirs has no annotations
        now = CollectorRegistry()
        now.register(gauges)
        return bytes(generate_latest(registry)) + bytes(generate_latest(now))


class Gauges(Collector):
    """What this replica knows at the moment it is asked."""

    def __init__(self, known: Knowledge, attending: Callable[[], int]) -> None:
        self._known = known
        self._attending = attending

    def collect(self) -> Iterator[Metric]:
        """Yield the measures of every slot, and of the replica."""
        yield from self._slots()
        yield from self._states()
        age = GaugeMetricFamily("zhongkong_poll_age_seconds", "Since the store was read the last time.")
        age.add_metric([], max(0.0, min(self._known.now() - self._known.seen, 1e9)))
        yield age
        attending = GaugeMetricFamily("zhongkong_attending", "Slots that are being probed or refreshed here.")
        attending.add_metric([], self._attending())
        yield attending

    def _slots(self) -> Iterator[Metric]:
        labels = ["appid", "kind"]
        life = GaugeMetricFamily("zhongkong_credential_left_seconds", "What the credential still lives.", labels=labels)
        generation = GaugeMetricFamily("zhongkong_credential_generation", "Its generation.", labels=labels)
        now = self._known.now()
        for slot, record in self._records():
            generation.add_metric(list(slot), record.generation)
            if record.credential is not None and health_of(self._known, slot).state != RESTING:
                life.add_metric(list(slot), max(0.0, record.credential.expires_at - now))
        yield life
        yield generation

    def _states(self) -> Iterator[Metric]:
        labels = ["appid", "kind", "state"]
        state = GaugeMetricFamily("zhongkong_slot_state", "1 for the state that a slot is in.", labels=labels)
        alert = GaugeMetricFamily("zhongkong_alert", "1 for a slot that wants a person.", labels=labels)
        for health in health_of_all(self._known):
            state.add_metric([*health.slot, health.state], 1)
            if health.state in WANTS_A_PERSON:
                alert.add_metric([*health.slot, health.state], 1)
        yield state
        yield alert

    def _records(self) -> Iterator[tuple[Slot, Record]]:
        for slot in list(self._known.slots()):
            record = self._known.record(slot)
            if record is not None and not record.removed:
                yield slot, record


class TimedStore:
    """A `KeeperStore` whose calls are timed and counted: as `ok`, `failed`, or `given_up` by who asked."""

    def __init__(self, store: KeeperStore, clock: Clock, tell: Callable[[str, str, Seconds], None]) -> None:
        self._store = store
        self._clock = clock
        self._tell = tell

    async def apply(self, commands: Sequence[Command[AnswerT]]) -> list[Applied[AnswerT]]:
        """Apply the commands."""
        return await self._timed("apply", self._store.apply(commands))

    async def load(self, slot: Slot) -> Record:
        """Return the slot's record."""
        return await self._timed("load", self._store.load(slot))

    async def account(self, appid: str) -> Account | None:
        """Return the account."""
        return await self._timed("account", self._store.account(appid))

    async def tell(self, events: Sequence[Event]) -> None:
        """Append events."""
        await self._timed("tell", self._store.tell(events))

    async def changes(self, after: Instant) -> Changes:
        """Return what changed."""
        return await self._timed("changes", self._store.changes(after))

    async def put_account(self, account: Account) -> Account:
        """Add or replace an account."""
        return await self._timed("put_account", self._store.put_account(account))

    async def remove_account(self, appid: str) -> bool:
        """Remove an account."""
        return await self._timed("remove_account", self._store.remove_account(appid))

    async def accounts(self) -> list[Account]:
        """Return all accounts."""
        return await self._timed("accounts", self._store.accounts())

    async def _timed(self, call: str, asked: Awaitable[ValueT]) -> ValueT:
        began, outcome = self._clock.boot(), "given_up"
        try:
            answer = await asked
            outcome = "ok"
        except StoreError:
            outcome = "failed"
            raise
        else:
            return answer
        finally:
            self._tell(call, outcome, self._clock.boot() - began)
