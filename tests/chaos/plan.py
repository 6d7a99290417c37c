"""What is to happen, drawn from a seed before anything runs: accounts, and acts on tracks beside each other.

Acts of one track follow each other, those of different tracks meet as they may.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any, NamedTuple

STOP_SHORTEST, STOP_LONGEST = 21.0, 26.0
"""Longer than a lease."""
TOKEN_PATHS = ("/cgi-bin/token", "/cgi-bin/stable_token", "/cgi-bin/*token")
PROBE_PATH = "/cgi-bin/get_api_domain_ip"
FOR_EVER = 10**6
CLASSICS_MOST, SECONDS_PER_CLASSIC = 25, 15.0
SECONDS_PER_STOP = 40.0
SECONDS_PER_STRANGER = 60.0
UNNOTICED = 12.0
"""Seconds for which a replica may wait for a connection that the other side forgot."""
FORCE_APART = 0.35
"""Of the overlap: sooner the hub does not replace a token that its readers were just given."""


class Faults(NamedTuple):
    """What can go wrong with a run's store: what a plan draws from."""

    store: tuple[str, ...]
    """Of the track of that name."""
    wires: int = 0
    """How many replicas have a wire of their own to it; without any they share a supervisor."""
    missing: str = ""
    """What cannot go wrong here, and why."""


class Act(NamedTuple):
    """Something to do at `at` seconds after the load began."""

    at: float
    kind: str
    lasts: float = 0.0
    appid: str = ""
    values: tuple[tuple[str, Any], ...] = ()

    def __str__(self) -> str:
        """Tell it in a line."""
        told = " ".join(f"{name}={value}" for name, value in self.values)
        lasts = f" for {self.lasts:.1f} s" if self.lasts else ""
        return f"{self.at:7.1f} s  {self.kind}{lasts} {self.appid} {told}".rstrip()


@dataclass(frozen=True, slots=True)
class PlannedAccount:
    """An account and how its tokens are rotated. `revokes`: how often by revoking; a third sign makes a contest.

    One that is `held` has its token revoked once, for a worker to be stopped while it fetches another. Of one that is
    `shared` a stranger fetches tokens too: where that ends the hub's, it is a contest in the end.
    """

    appid: str
    mode: str
    expires_in: int
    revokes: int = 0
    forces: bool = False
    changes: bool = False
    held: bool = False
    shared: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole run."""

    seed: int
    seconds: float
    accounts: tuple[PlannedAccount, ...]
    tracks: tuple[tuple[Act, ...], ...]
    """What goes wrong, and what people do."""
    rotations: tuple[Act, ...]


def draw_plan(seed: int, seconds: float, faults: Faults) -> Plan:
    """Return the plan of a seed, for a store that these faults can meet."""
    accounts = tuple(_draw_accounts(Random(f"accounts {seed}"), seconds))
    tracks = [
        _track(
            seed, seconds, "process", (3, 25) if faults.wires else (3, 14), lambda random: _draw_process(random, faults)
        ),
        _track(seed, seconds, "stop", (2, 45), _draw_stop),
        _track(seed, seconds, "store", (3, 18), lambda random: _draw_store(random, faults)),
        _track(seed, seconds, "platform", (1, 12), _draw_platform),
        _track(seed, seconds, "change", (4, 14), lambda random: _draw_change(random, accounts)),
        _track(seed, seconds, "stranger", (5, 20), lambda random: _draw_stranger(random, accounts)),
    ]
    if faults.wires:
        tracks.append(_track(seed, seconds, "wire", (2, 12), lambda random: _draw_wire(random, faults)))
    rotations = tuple(_draw_rotations(Random(f"rotation {seed}"), seconds, accounts))
    return Plan(seed, seconds, accounts, tuple(tracks), rotations)


def _track(
    seed: int, seconds: float, name: str, gaps: tuple[float, float], draw: Callable[[Random], Act]
) -> tuple[Act, ...]:
    random = Random(f"{name} {seed}")
    acts: list[Act] = []
    at = random.uniform(gaps[0], min(gaps[1], gaps[0] + 3))
    while True:
        act = draw(random)._replace(at=at)
        if at + act.lasts > seconds:
            return tuple(acts)
        acts.append(act)
        at += act.lasts + random.uniform(*gaps)


def _draw_accounts(random: Random, seconds: float) -> Iterator[PlannedAccount]:
    """Draw enough classic accounts: after a third revocation one is contested, and the hub goes on in stable mode."""

    def named(what: str, mode: str, life: int, **how: Any) -> PlannedAccount:
        return PlannedAccount(f"wx{what}{random.getrandbits(32):08x}", mode, life, **how)

    yield named("stable", "stable", 1200, revokes=FOR_EVER)
    yield named("stable", "stable", random.choice((1800, 3600, 7200)), revokes=FOR_EVER, shared=True)
    yield named("contested", "classic", 1200, revokes=FOR_EVER)
    yield named("changing", "classic", 1200, revokes=2, changes=True)
    yield named("quiet", "classic", 1200)
    for _ in range(1 + int(seconds / SECONDS_PER_STOP)):
        yield named("held", "classic", 1200, held=True)
    for _ in range(1 + int(seconds / SECONDS_PER_STRANGER)):
        yield named("shared", "classic", 1200, shared=True)
    for _ in range(min(CLASSICS_MOST, 3 + int(seconds / SECONDS_PER_CLASSIC))):
        yield named("classic", "classic", random.choice((1200, 1200, 2400)), revokes=2, forces=True)


# --- what goes wrong


def _draw_process(random: Random, faults: Faults) -> Act:
    if random.random() < 0.12 and not faults.wires:
        return Act(0, "orphan", 6.0)
    count = random.choice((1, 1, 1, 2, 3))
    return Act(0, "kill", 3.0, values=(("count", count), ("holding", random.random() < 0.6)))


def _draw_stop(random: Random) -> Act:
    lasts = random.uniform(STOP_SHORTEST, STOP_LONGEST)
    return Act(0, "stop", lasts, values=(("holding", random.random() < 0.7),))


def _draw_store(random: Random, faults: Faults) -> Act:
    return Act(0, random.choice(faults.store), random.uniform(1, 8))


def _draw_wire(random: Random, faults: Faults) -> Act:
    """Draw what is the matter with one replica's wire, or with several; `half_open` until its holder may know."""
    kind = random.choice(("distant", "severed", "silent", "deaf", "half_open", "unacknowledged"))
    count = random.choice((1, 1, 1, 2, faults.wires))
    values: tuple[tuple[str, Any], ...] = (("wires", tuple(sorted(random.sample(range(faults.wires), count)))),)
    if kind == "distant":
        values += (("seconds", round(random.uniform(0.02, 0.5), 2)),)
    return Act(0, kind, UNNOTICED if kind == "half_open" else random.uniform(1, 12), values=values)


def _draw_platform(random: Random) -> Act:
    """Draw one fault of the sandbox: `values` are what its control API takes."""
    kind = random.choice(
        ("slow", "late", "lost", "unsaid", "unsaid", "cut", "garbage", "page", "busy", "quota", "barred", "dark")
    )
    path = PROBE_PATH if random.random() < 0.25 else random.choice(TOKEN_PATHS)
    faults: dict[str, dict[str, Any]] = {
        "slow": {"latency": round(random.uniform(1, 12), 1)},
        "late": {"answer_latency": round(random.uniform(1, 12), 1)},
        "lost": {"answer": "drop"},
        "unsaid": {"answer": "drop", "acts": True},
        "cut": {"answer": "cut"},
        "garbage": {"answer": "garbage"},
        "page": {"status": random.choice((500, 502, 504)), "acts": random.random() < 0.5},
        "busy": {"errcode": -1},
        "quota": {"errcode": 45009, "times": 1},
        "barred": {},
        "dark": {"answer": "drop"},
    }
    fault = faults[kind]
    if kind == "dark":
        path = "*"
    if kind not in ("quota", "barred") and random.random() < 0.4:
        fault["times"] = random.randint(1, 3)
    return Act(0, kind, random.uniform(1, 6), values=(("path", path), *fault.items()))


# --- what people and callers do


def _draw_change(random: Random, accounts: tuple[PlannedAccount, ...]) -> Act:
    kind = random.choice(("try", "try", "name", "mode", "secret"))
    able = [one for one in accounts if one.changes or kind in ("try", "name")]
    return Act(0, kind, 2.0, random.choice(able).appid, _draw_latency(random) if kind in ("mode", "secret") else ())


def _draw_stranger(random: Random, accounts: tuple[PlannedAccount, ...]) -> Act:
    """Somebody else has the secret too."""
    return Act(0, "stranger", 0.0, random.choice([one for one in accounts if one.shared]).appid)


def _draw_latency(random: Random) -> tuple[tuple[str, float], ...]:
    """Let the mint that follows take longer than a poll, often: then all replicas know of the need, and one may act."""
    return (("latency", round(random.uniform(1.5, 6), 1)),) if random.random() < 0.5 else ()


def _draw_rotations(random: Random, seconds: float, accounts: tuple[PlannedAccount, ...]) -> Iterator[Act]:
    """Every few seconds end the token of somebody's account: behind the hub's back, or by a force."""
    left = {one.appid: one.revokes for one in accounts}
    forced_at = dict.fromkeys(left, float("-inf"))
    at = 1.0
    while at < seconds - 1:
        one = random.choice([one for one in accounts if left[one.appid] or one.forces])
        may_force = one.forces and at - forced_at[one.appid] > FORCE_APART * one.expires_in / 24
        if one.mode == "stable" and random.random() < 0.08:
            yield Act(at, "insist", 12.0, one.appid)
        elif left[one.appid] and (not may_force or random.random() < 0.5):
            left[one.appid] -= 1
            yield Act(at, "storm" if random.random() < 0.2 else "revoke", 0.0, one.appid, _draw_latency(random))
        elif may_force:
            forced_at[one.appid] = at
            yield Act(at, "force", 0.0, one.appid, _draw_latency(random))
        at += random.uniform(0.8, 3.5)
