"""What goes wrong, and when: drawn from a seed before a run begins, so that a failing run can be shrunk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from random import Random

from zhongkong.core.model import Kind, Mode
from zhongkong.sandbox.switches import Switches

DAY = 86_400.0
TICKETS = (Kind.JSAPI_TICKET, Kind.WX_CARD_TICKET)
WECOM_TICKETS = (Kind.JSAPI_TICKET, Kind.AGENT_CONFIG_TICKET)
FEW = 10
"""Of more accounts than that only some have tickets."""


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong at `at` for `lasts` virtual seconds. `who` is a replica, `slot` an account.

    `of` says which of the account's credentials it is aimed at, where it is aimed at one: its token, then its tickets.
    """

    kind: str
    at: float
    lasts: float = 0.0
    who: int = 0
    slot: int = 0
    of: int = 0
    size: float = 0.0
    note: str = ""

    def __str__(self) -> str:
        words = [f"t={self.at:.1f}", self.kind]
        words += [f"for {self.lasts:.1f}s"] if self.lasts else []
        words += [f"replica {self.who}"] if self.kind in REPLICA_FAULTS else []
        words += [f"account {self.slot}"] if self.kind in (*ACCOUNT_FAULTS, *READER_FAULTS) else []
        words += [f"credential {self.of}"] if self.kind in AIMED_FAULTS and self.of else []
        words += [f"by {self.size:.2f}"] if self.size else []
        return " ".join([*words, self.note]).strip()


PLATFORM_FAULTS = ("lossy", "busy", "garbled", "away", "unreachable", "overloaded", "slow", "quota")
ACCOUNT_FAULTS = (
    "stranger",
    "revoked",
    "secret_reset",
    "patched",
    "not_listed",
    "mode_changed",
    "foreign_reject",
    "removed",
    "moved",
)
REPLICA_FAULTS = (
    "crash",
    "crash_at",
    "crash_step",
    "stop_at",
    "stopped",
    "asleep",
    "store_away_for_one",
    "wrong_seal",
    "wall_jump",
)
STORE_FAULTS = ("store_away", "store_slow", "store_unsure", "store_unwritable", "store_step", "store_lost")
TICKET_FAULTS = ("refusing",)
"""The platform's calls for tickets refuse every token, the living too."""
LINE_FAULTS = ("resent",)
"""What stands between a replica and the platform sends twice what ends nothing."""
STORE_WEATHER = ("store_away", "store_slow", "store_unsure", "store_unwritable", "store_away_for_one", "wrong_seal")
READER_FAULTS = ("buggy_rejecter", "storm", "forcer", "hasty")
AIMED_FAULTS = ("stranger", "foreign_reject", "buggy_rejecter", "storm", "forcer")
"""Those that are aimed at one credential of an account, its token or a ticket."""
WORK = "write"
"""The point at which a replica writes anything; it is killed at some `await` after it."""
STEPS = 30
SHAPES = ("small", "wide", "long", "calm", "gentle", "old")
"""Few accounts and many faults, many accounts, days; nothing goes wrong, only what must be bridged does; years."""
POINTS = ("before_claim", "after_claim", "before_mint", "during_mint", "after_mint", "before_save", "after_save")


@dataclass(frozen=True)
class Plan:
    """A world to run: how big, how long, and what goes wrong in it."""

    seed: int
    replicas: int
    accounts: int
    modes: tuple[Mode, ...]
    """How the token of each account is issued, to begin with; one of mode `wecom` is an application of WeCom."""
    expires_in: int
    days: float
    poll_seconds: float
    read_every: float
    faults: tuple[Fault, ...] = field(default=())
    tests: tuple[bool, ...] = ()
    """Which accounts are test accounts."""
    tickets: tuple[tuple[Kind, ...], ...] = ()
    """Which tickets of each account somebody reads; empty if nobody reads any."""
    unread: tuple[bool, ...] = ()
    """Of which accounts nobody reads the token itself: only who asks for a ticket finds that it is dead."""
    switches: Switches = Switches()
    """How the platform's uncertain facts turn out in this world."""
    calm: bool = False
    """Nothing goes wrong but latency: every count is exact."""
    gentle: bool = False
    """Only outages of the platform that are shorter than what must be bridged: no read may fail."""

    def without(self, gone: set[int]) -> Plan:
        """Return the plan with some faults left out, by index."""
        return replace(self, faults=tuple(one for index, one in enumerate(self.faults) if index not in gone))

    def describe(self) -> str:
        """Return the plan in words."""
        head = (
            f"seed {self.seed}: {self.replicas} replicas, {self.accounts} accounts ("
            f"{self.modes.count(Mode.CLASSIC)} classic, {self.modes.count(Mode.WECOM)} wecom), "
            f"{sum(map(len, self.tickets))} tickets, credentials of {self.expires_in} s, {self.days:.2f} days, "
            f"poll {self.poll_seconds} s"
        )
        return "\n".join([head, *(f"  {fault}" for fault in self.faults)])


def draw(seed: int, *, kinds: tuple[str, ...] = (), shape: str = "", is_plain: bool | None = None) -> Plan:
    """Return the world of a seed. `kinds` limits the faults; `shape` fixes the size instead of drawing it.

    `is_plain` says whether there is nothing but tokens of official accounts.
    """
    random = Random(f"plan {seed}")
    shape = shape or random.choices(SHAPES, (600, 100, 100, 100, 100, 2))[0]
    replicas = random.choice((1, 2, 2, 3, 5))
    accounts, days, every = {
        "small": (random.choice((1, 2, 3)), random.uniform(0.1, 0.6), random.choice((20.0, 60.0, 300.0))),
        "wide": (random.choice((50, 200)), random.uniform(0.3, 1.0), 1800.0),
        "long": (random.choice((2, 10)), random.uniform(2.0, 8.0), 1800.0),
        "calm": (random.choice((10, 50, 200)), random.uniform(0.5, 2.0), 3600.0),
        "gentle": (random.choice((1, 4)), random.uniform(0.5, 2.0), 60.0),
        "old": (1, random.uniform(370.0, 740.0), 7200.0),
    }[shape]
    expires_in = random.choice((7200, 7200, 7200, 1200, 3600))
    poll = random.choice((1.0, 5.0, 5.0)) if shape == "small" else 0.2 * min(300.0, expires_in / 24)
    rate = random.choice((4.0, 15.0, 40.0)) if shape == "small" else random.choice((1.0, 5.0))
    classic = tuple(random.random() < 0.6 for _ in range(accounts))
    plan = Plan(
        seed=seed,
        replicas=replicas,
        accounts=accounts,
        modes=tuple(Mode.CLASSIC if is_classic else Mode.STABLE for is_classic in classic),
        expires_in=expires_in,
        days=days,
        poll_seconds=poll,
        read_every=every,
        calm=shape == "calm",
        gentle=shape == "gentle",
        tests=tuple(random.random() < 0.2 for _ in range(accounts)),
        switches=_draw_switches(random),
    )
    apart = Random(f"tickets {seed}")
    if not ((apart.random() < 0.4) if is_plain is None else is_plain):
        plan = _with_tickets(plan, apart)
    if plan.calm:
        return plan
    if plan.gentle:
        return replace(plan, faults=tuple(_short_outages(random, plan)))
    wanted = tuple(kind for kind in kinds if kind not in TICKET_FAULTS) or random_kinds(random)
    count = min(int(rate * days) + 1, 400)
    aims = Random(f"aims {seed}")
    faults = [_draw_fault(random, plan, wanted, aims) for _ in range(count)]
    if any(plan.tickets) and (aims.random() < 0.2 if not kinds else "refusing" in kinds):
        faults += [_refuse(plan, aims) for _ in range(aims.randint(1, 3))]
    return replace(plan, faults=tuple(sorted(faults, key=lambda fault: fault.at)))


def _refuse(plan: Plan, random: Random) -> Fault:
    return Fault("refusing", random.uniform(0.0, plan.days * DAY), random.choice((60.0, 600.0, 3600.0)))


def _draw_switches(random: Random) -> Switches:
    return Switches(
        classic_third_fetch=random.choice(("kills_oldest", "kills_oldest", "all_overlap")),
        classic_minute_quota=random.choice((100, 10)),
        minute_quota_errcode=random.choice((45011, 45009)),
        force_over_quota=random.choice(("current", "45009")),
        revoked_stable=random.choice(("new", "same")),
        reset_ends_tokens=random.choice((True, False)),
        replaced_token=random.choice(("40001", "42001")),
        unknown_token=random.choice(("40001", "40014")),
    )


def _with_tickets(plan: Plan, random: Random) -> Plan:
    """Return the plan with applications of WeCom and with tickets, drawn apart from all else.

    What a gentle world claims is not claimed of WeCom, nor of a ticket that is repeated to its end.
    """
    share = 1.0 if plan.accounts <= FEW else 0.2
    switches = replace(
        plan.switches,
        repeated_ticket="new" if plan.gentle else random.choice(("same", "new")),
        wecom_repeat=random.choice(("same", "same", "new")),
        wecom_revoked=random.choice(("new", "same")),
        wecom_expired=random.choice(("42001", "40014")),
        wecom_trusted_ip=random.choice(("everywhere", "calls")),
    )
    modes, tickets, unread = [], [], []
    for former in plan.modes:
        is_wecom = random.random() < 0.3 and not plan.gentle
        kinds = WECOM_TICKETS if is_wecom else TICKETS
        count = random.choice((0, 1, 1, 2)) if random.random() < share else 0
        modes.append(Mode.WECOM if is_wecom else former)
        tickets.append(tuple(random.sample(kinds, count)))
        unread.append(random.random() < 0.4 and count > 0)
    return replace(plan, switches=switches, modes=tuple(modes), tickets=tuple(tickets), unread=tuple(unread))


def _short_outages(random: Random, plan: Plan) -> Iterator[Fault]:
    """Outages that must be bridged, at any moment, no sooner than two lives after one another."""
    life = plan.expires_in
    window = min(300.0, life / 24)
    longest = 0.85 * life / 4 if set(plan.modes) == {Mode.CLASSIC} else min(0.85 * life / 4, 0.9 * window - 15.0)
    at = life * random.uniform(0.5, 2.0)
    while at < plan.days * DAY and longest > 1.0:
        yield Fault("away", at, random.uniform(0.3, 1.0) * longest)
        at += life * random.uniform(2.0, 4.0)


def random_kinds(random: Random) -> tuple[str, ...]:
    """Return the faults of one world: a few kinds that meet often, or everything at once."""
    everything = PLATFORM_FAULTS + LINE_FAULTS + ACCOUNT_FAULTS + REPLICA_FAULTS + STORE_FAULTS + READER_FAULTS
    if random.random() < 0.3:
        return everything
    return tuple(random.sample(everything, random.randint(1, 4)))


def _draw_fault(random: Random, plan: Plan, kinds: tuple[str, ...], aims: Random) -> Fault:
    kind = random.choice(kinds)
    at = random.uniform(0.0, plan.days * DAY)
    if random.random() < 0.5:  # where it hurts: around the time at which credentials become due
        life = plan.expires_in
        at = (at // life) * life * 0.75 + random.uniform(-30.0, 60.0) + random.choice((0.0, 0.75, 1.0)) * life
        at = max(0.0, at)
    lasts = {
        "away": random.choice((60.0, 600.0, 1400.0, 3600.0, 10_800.0)),
        "unreachable": random.choice((60.0, 3600.0, 10_800.0, 30_000.0)),
        "overloaded": random.choice((60.0, 3600.0, 10_800.0, 30_000.0)),
        "lossy": random.uniform(5.0, 1800.0),
        "busy": random.uniform(5.0, 1800.0),
        "garbled": random.uniform(5.0, 900.0),
        "slow": random.uniform(5.0, 900.0),
        "quota": random.uniform(60.0, 3600.0),
        "not_listed": random.uniform(60.0, 7200.0),
        "crash": random.choice((1.0, 30.0, 600.0)),
        "crash_at": random.choice((1.0, 30.0)),
        "stop_at": random.choice((15.0, 60.0, 400.0, 3600.0)),
        "asleep": random.choice((5.0, 60.0, 3600.0, 30_000.0)),
        "stopped": random.choice((3.0, 12.0, 25.0, 120.0, 3600.0)),
        "store_away": random.choice((3.0, 30.0, 300.0, 3600.0, 18_000.0)),
        "store_away_for_one": random.choice((3.0, 30.0, 300.0, 3600.0)),
        "wrong_seal": random.choice((30.0, 600.0)),
        "store_slow": random.uniform(10.0, 600.0),
        "store_unsure": random.uniform(10.0, 600.0),
        "store_unwritable": random.choice((3.0, 30.0, 300.0, 3600.0, 18_000.0)),
        "buggy_rejecter": random.uniform(60.0, 1200.0),
        "removed": random.choice((0.0, 0.5, 30.0, 600.0, 7200.0)),
        "moved": random.choice((0.0, 1.0, 60.0, 1800.0, 10_000.0)),
        "hasty": random.choice((60.0, 3600.0, 30_000.0)),
        "forcer": random.choice((1.0, 60.0, 1200.0)),
    }.get(kind, 0.0)
    size = {"store_step": random.choice((-1.0, 1.0)) * random.choice((1.0, 5.0, 30.0, 900.0, 3600.0))}.get(kind, 0.0)
    note = random.choice(POINTS) if kind in ("crash_at", "stop_at") else ""
    if kind == "crash_step":
        note, lasts, size = WORK, aims.choice((1.0, 30.0)), aims.randint(1, STEPS)
    elif kind == "wall_jump":
        size = aims.choice((-1.0, 1.0)) * aims.choice((1.0, 3600.0, 365 * DAY))
    elif kind == "resent":
        lasts = aims.choice((600.0, 10_800.0))
    return Fault(
        kind,
        at,
        lasts,
        who=random.randrange(plan.replicas),
        slot=random.randrange(plan.accounts),
        of=aims.randrange(3),
        size=size,
        note=note,
    )
