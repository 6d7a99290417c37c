"""What is to happen, drawn from a seed before anything runs: accounts, and acts on tracks beside each other.

Acts of one track follow each other, those of different tracks meet as they may. A track plays one of each kind first,
as many as it has the time for, and then any.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from math import inf
from random import Random
from typing import Any, NamedTuple

from tests.chaos.evidence import PLATFORM, PROCESS, STORE, WIRE

LASTS: dict[str, tuple[float, float]] = {
    "kill": (3, 3),
    "orphan": (6, 6),
    "stop": (21, 26),  # longer than a lease
    **dict.fromkeys(STORE, (1, 8)),
    **dict.fromkeys(WIRE, (1, 12)),
    "half_open": (12, 12),  # a replica may wait so long for a connection that the other side forgot
    **dict.fromkeys(PLATFORM, (1, 6)),
    **dict.fromkeys(("try", "name", "mode", "secret"), (2, 2)),
    "stranger": (0, 0),
}
"""Seconds that each kind of act takes."""
OF_ONE_ACCOUNT = frozenset({"quota", "barred"})
"""What the platform has against one account, until somebody looks after it: nothing else waits for him."""
FIRST_WITHIN = 3.0
"""Of the shortest gap: then a track begins."""
RESERVE = 10.0
"""Seconds kept free after one act of each kind, for those that take longer than they were meant to."""
TOKEN_PATHS = ("/cgi-bin/token", "/cgi-bin/stable_token", "/cgi-bin/*token")
PROBE_PATH = "/cgi-bin/get_api_domain_ip"
FOR_EVER = 10**6
CLASSICS_MOST, SECONDS_PER_CLASSIC = 25, 15.0
SECONDS_PER_STOP = 40.0
SECONDS_PER_STRANGER = 60.0
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
    faults: frozenset[str]
    """All that can go wrong here."""
    due: frozenset[str]
    """Of that, what there is time for one of each of: it has to be played."""


class Track(NamedTuple):
    """Acts that follow each other, of these kinds: what stands there twice is drawn twice as often."""

    name: str
    gaps: tuple[float, float]
    kinds: tuple[str, ...]
    draw: Callable[[Random, str], Act]
    """Returns an act of a kind; when, and for how long, is not its affair."""


def draw_plan(seed: int, seconds: float, faults: Faults) -> Plan:
    """Return the plan of a seed, for a store that these faults can meet."""
    accounts = tuple(_draw_accounts(Random(f"accounts {seed}"), seconds))
    tracks = _tracks(faults, accounts)
    acts, due = [], set[str]()
    for track in tracks:
        random = Random(f"{track.name} {seed}")
        dealt, spare = _deal(random, seconds, track)
        acts.append(tuple(_draw_acts(random, seconds, track, dealt, spare)))
        due.update(dealt)
    rotations = tuple(_draw_rotations(Random(f"rotation {seed}"), seconds, accounts))
    wrong = (PROCESS | STORE | PLATFORM).intersection(kind for track in tracks for kind in track.kinds)
    return Plan(seed, seconds, accounts, tuple(acts), rotations, wrong, wrong & due)


def _tracks(faults: Faults, accounts: tuple[PlannedAccount, ...]) -> list[Track]:
    killed = Track("process", (3, 14), ("orphan", *["kill"] * 7), _draw_process)
    if faults.wires:
        killed = killed._replace(gaps=(3, 25), kinds=("kill",))
    people = ("try", "try", "name", "mode", "secret")
    tracks = [
        killed,
        Track("stop", (2, 45), ("stop",), _draw_stop),
        Track("store", (3, 18), faults.store, lambda _, kind: Act(0, kind)),
        Track("platform", (1, 12), (*sorted(PLATFORM - OF_ONE_ACCOUNT), "unsaid"), _draw_platform),
        Track("account", (3, 90), tuple(sorted(OF_ONE_ACCOUNT)), lambda _, kind: Act(0, kind)),
        Track("change", (4, 14), people, lambda random, kind: _draw_change(random, kind, accounts)),
        Track("stranger", (5, 20), ("stranger",), lambda random, kind: _draw_stranger(random, kind, accounts)),
    ]
    if faults.wires:
        wires = tuple(sorted(WIRE))
        tracks.append(Track("wire", (2, 12), wires, lambda random, kind: _draw_wire(random, kind, faults)))
    return tracks


def _deal(random: Random, seconds: float, track: Track) -> tuple[list[str], float]:
    """Return one of each kind, as many as there is time for, and the seconds that are left if each is short."""
    dealt, spare = [], seconds - RESERVE
    kinds = sorted(set(track.kinds))
    for kind in random.sample(kinds, len(kinds)):
        needed = track.gaps[0] + LASTS[kind][0]
        if needed <= spare:
            dealt.append(kind)
            spare -= needed
    return dealt, spare


def _draw_acts(random: Random, seconds: float, track: Track, dealt: list[str], spare: float) -> Iterator[Act]:
    """Draw what was dealt, each gap and act longer by an equal part of what is spare at most; then any."""
    at = 0.0
    for number in count():
        is_dealt = number < len(dealt)
        more = spare / len(dealt) / 2 if is_dealt else inf
        kind = dealt[number] if is_dealt else random.choice(track.kinds)
        at += _draw_between(random, track.gaps, more if number else min(more, FIRST_WITHIN))
        lasts = _draw_between(random, LASTS[kind], more)
        if at + lasts > seconds:
            return
        yield track.draw(random, kind)._replace(at=at, lasts=lasts)
        at += lasts


def _draw_between(random: Random, limits: tuple[float, float], more: float) -> float:
    return random.uniform(limits[0], min(limits[1], limits[0] + more))


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


def _draw_process(random: Random, kind: str) -> Act:
    if kind == "orphan":
        return Act(0, kind)
    count = random.choice((1, 1, 1, 2, 3))
    return Act(0, kind, values=(("count", count), ("holding", random.random() < 0.6)))


def _draw_stop(random: Random, kind: str) -> Act:
    return Act(0, kind, values=(("holding", random.random() < 0.7),))


def _draw_wire(random: Random, kind: str, faults: Faults) -> Act:
    """Draw whose wire it is that something is the matter with: one replica's, or several."""
    count = random.choice((1, 1, 1, 2, faults.wires))
    values: tuple[tuple[str, Any], ...] = (("wires", tuple(sorted(random.sample(range(faults.wires), count)))),)
    if kind == "distant":
        values += (("seconds", round(random.uniform(0.02, 0.5), 2)),)
    return Act(0, kind, values=values)


def _draw_platform(random: Random, kind: str) -> Act:
    """Draw one fault of the sandbox: `values` are what its control API takes."""
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
        "dark": {"answer": "drop"},
    }
    fault = faults[kind]
    if kind == "dark":
        path = "*"
    if random.random() < 0.4:
        fault["times"] = random.randint(1, 3)
    return Act(0, kind, values=(("path", path), *fault.items()))


# --- what people and callers do


def _draw_change(random: Random, kind: str, accounts: tuple[PlannedAccount, ...]) -> Act:
    able = [one for one in accounts if one.changes or kind in ("try", "name")]
    values = _draw_latency(random) if kind in ("mode", "secret") else ()
    return Act(0, kind, appid=random.choice(able).appid, values=values)


def _draw_stranger(random: Random, kind: str, accounts: tuple[PlannedAccount, ...]) -> Act:
    """Somebody else has the secret too."""
    return Act(0, kind, appid=random.choice([one for one in accounts if one.shared]).appid)


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
