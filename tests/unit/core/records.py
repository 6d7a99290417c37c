"""Records, accounts and credentials to try the rules on: everything right unless said otherwise."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from zhongkong.core.command import AnswerT, Command, run
from zhongkong.core.issuing import ISSUING, first_refresh_at
from zhongkong.core.model import (
    LEASE,
    Account,
    AccountKind,
    Attempt,
    Credential,
    Event,
    Instant,
    Lease,
    Mode,
    Probe,
    Record,
    Retry,
    Secret,
    Slot,
    Trouble,
    hash_value,
)
from zhongkong.wechat.errcodes import ProbeVerdict

NOW: Instant = 1_800_000_000.0
"""16:00 in Shanghai."""
SLOT = Slot("wx0123456789abcdef")
SANDBOX = "http://127.0.0.1:8601"


def build_account(mode: Mode = Mode.CLASSIC, **changed: Any) -> Account:
    """Return an account on the platform's own host."""
    return Account(SLOT.appid, AccountKind.OFFICIAL, Secret("0" * 32), mode=mode, **changed)


def build_credential(mode: Mode = Mode.CLASSIC, **changed: Any) -> Credential:
    """Return a credential that was just issued for 7,200 s."""
    value = changed.pop("value", "token-1")
    left = changed.pop("left", NOW)
    life = changed.pop("life", 7200)
    made = Credential(
        generation=1,
        value=value,
        sha256=hash_value(value),
        mode=mode,
        since=left,
        left=left,
        expires_at=left + life,
        life=life,
        fence="first",
    )
    return replace(made, **changed)


def build_record(mode: Mode = Mode.CLASSIC, credential: Credential | None = None, **changed: Any) -> Record:
    """Return the record of a slot whose credential was just saved."""
    credential = credential or build_credential(mode)
    made = Record(
        slot=SLOT,
        revision=1,
        version=7,
        generation=credential.generation,
        credential=credential,
        refresh_at=first_refresh_at(SLOT, credential),
        longest=credential.life if ISSUING[credential.mode].announces_rest else 0,
    )
    return replace(made, **changed)


def build_due(mode: Mode = Mode.CLASSIC, **changed: Any) -> Record:
    """Return a record that becomes due at `NOW`."""
    record = build_record(mode)
    ahead = record.refresh_at - NOW
    assert record.credential is not None
    credential = replace(
        record.credential,
        since=record.credential.since - ahead,
        left=record.credential.left - ahead,
        expires_at=record.credential.expires_at - ahead,
    )
    return replace(record, credential=credential, refresh_at=NOW, **changed)


def open_attempt(left: Instant, mode: Mode = Mode.CLASSIC, fence: str = "", *, ends: bool | None = None) -> Attempt:
    """Return an attempt whose answer is not saved."""
    return Attempt(fence or f"fence at {left}", left, mode, ISSUING[mode].ends_former if ends is None else ends)


def after(command: Command[AnswerT], record: Record, now: Instant = NOW) -> tuple[Record, AnswerT]:
    """Return the record after a command, and its answer."""
    applied, _ = run(command, record, now)
    return applied.record, applied.answer


def events_of(command: Command[AnswerT], record: Record, now: Instant = NOW) -> list[Event]:
    """Return what a command has to remember."""
    return list(run(command, record, now)[1])


# --- for Hypothesis: any record that the commands could have made, and some that they could not

lives = st.sampled_from([2, 60, 1200, 3600, 7200, 86_400])
spans = st.one_of(
    st.floats(-30.0, 30.0), st.floats(-400.0, 400.0), st.floats(-8000.0, 8000.0), st.sampled_from([-370.0, -300.0, 0.0])
)
moments = spans.map(lambda seconds: NOW + seconds)
attempts = st.builds(Attempt, st.uuids().map(str), moments, st.sampled_from(Mode), st.booleans()).map(
    lambda one: one._replace(ends=one.ends or ISSUING[one.mode].ends_former)
)
leases = st.none() | st.builds(Lease, st.just("somebody"), moments.map(lambda until: min(until, NOW + LEASE + 1.0)))
retries = st.just(Retry()) | st.builds(Retry, moments, st.integers(0, 20), st.just(Trouble("refused", -1)))
probes = st.builds(Probe, moments, st.sampled_from([None, *ProbeVerdict]), moments, moments, st.none() | moments)


@st.composite
def credentials(draw: st.DrawFn) -> Credential:
    """Draw a credential of any mode, age and life."""
    life, left = draw(lives), draw(moments)
    return build_credential(
        draw(st.sampled_from(Mode)), life=life, left=left, since=left - draw(st.floats(0.0, 4000.0)), generation=3
    )


@st.composite
def records(draw: st.DrawFn) -> Record:
    """Draw a record in any state."""
    credential = draw(st.none() | credentials())
    if credential is None:
        return Record(
            SLOT,
            revision=1,
            attempts=tuple(draw(st.lists(attempts, max_size=2))),
            lease=draw(leases),
            retry=draw(retries),
        )
    return replace(
        build_record(credential=credential),
        condemned=draw(st.sampled_from(["", "", "", "rejected", "probed"])),
        suspected=draw(st.booleans()),
        refresh_at=draw(st.sampled_from([first_refresh_at(SLOT, credential), NOW - 5.0, NOW + 1.0])),
        attempts=tuple(draw(st.lists(attempts, max_size=3))),
        lease=draw(leases),
        retry=draw(retries),
        probe=draw(probes),
    )
