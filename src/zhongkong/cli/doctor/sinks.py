"""The places outside that credentials are written to: whether they can be reached, what they hold, who else writes."""

from __future__ import annotations

from collections.abc import Sequence

from zhongkong.adapters.clock import MachineClock
from zhongkong.cli.doctor.findings import Area, Findings, State
from zhongkong.cli.doctor.network import look_at_way
from zhongkong.core.model import Account, Instant, Kind, Seconds, Slot
from zhongkong.core.ports import KeptEvent, Visible
from zhongkong.core.sinks import Aim, SinkKind
from zhongkong.errors import SettingInvalid, SinkError, StoreError
from zhongkong.messages import render
from zhongkong.serving import seat_sinks, seat_store
from zhongkong.settings import Settings
from zhongkong.wechat.advice import explain_error, explain_event

A_DAY: Seconds = 86_400.0
LATE: Seconds = 180.0
"""A hub that runs writes every minute."""
EVENTS = 1000


async def look_at_sinks(settings: Settings, findings: Findings, *, store_opens: bool) -> None:
    """Look at every sink of the settings, with the accounts and events of the store if that can be opened."""
    clock = MachineClock()
    try:
        sinks = seat_sinks(settings, clock)
    except SettingInvalid as error:
        findings.error(Area.SINKS, error)
        return
    accounts, events = await _read_store(settings) if sinks and store_opens else ([], [])
    for declared, sink in zip(settings.sinks, sinks, strict=True):
        aim, now = declared.aim, clock.wall()
        theirs = [one for one in accounts if sink.takes(Slot(one.appid))]
        if aim.kind is SinkKind.WEBHOOK:
            if await look_at_way(aim.url, findings):
                findings.good(Area.SINKS, "doctor_sink_reached", sink=aim.name)
        else:
            await _look(aim, sink, theirs, now, findings)  # type: ignore[arg-type]  # the two others are Visible
        _look_back(aim, [one for one in events if one.event.values.get("sink") == aim.name], now, findings)
        await sink.close()


async def _read_store(settings: Settings) -> tuple[list[Account], list[KeptEvent]]:
    try:
        async with seat_store(settings) as (store, _):
            return await store.accounts(), await store.last_events(EVENTS)
    except StoreError:
        return [], []  # what is the matter with it was told before


async def _look(aim: Aim, sink: Visible, accounts: Sequence[Account], now: Instant, findings: Findings) -> None:
    """Look into the place of each account; the first that cannot be looked into speaks for all."""
    try:
        await sink.reach()
        findings.good(Area.SINKS, "doctor_sink_reached", sink=aim.name)
        for account in accounts:
            place = aim.layout.show(account, Kind.ACCESS_TOKEN)
            seen = await sink.look(account, Kind.ACCESS_TOKEN)
            told = {"sink": aim.name, "appid": account.appid, "place": place}
            if not seen.is_there:
                findings.note(Area.SINKS, "doctor_sink_empty", **told)
            elif not seen.is_ours:
                findings.todo(Area.SINKS, "doctor_sink_stranger", **told)
            else:
                age = round(now - seen.written_at)
                code, tell = ("doctor_sink_holds", findings.good) if age < LATE else ("doctor_sink_late", findings.note)
                tell(Area.SINKS, code, **told, generation=seen.generation, seconds=age)
    except SinkError as error:
        text = f"{aim.name}: {explain_error(error, findings.lang)}"
        findings.tell(Area.SINKS, State.TODO, error.code, text)


def _look_back(aim: Aim, events: Sequence[KeptEvent], now: Instant, findings: Findings) -> None:
    """Tell what hubs met there in the last day: other writers, and the last failure, unless it is over."""
    recent = [one for one in events if one.at > now - A_DAY]
    strangers = [one.event.appid for one in recent if one.event.code == "sink_foreign_writer"]
    if strangers:
        state = State.NOTE if len(strangers) == len(set(strangers)) else State.TODO  # one is left behind by a move
        appids = ", ".join(sorted(set(strangers)))
        text = render("doctor_sink_writers", findings.lang, sink=aim.name, count=len(strangers), appids=appids)
        findings.tell(Area.SINKS, state, "doctor_sink_writers", text)
    last = next((one for one in reversed(recent) if one.event.code in ("sink_failing", "sink_well")), None)
    if last is not None and last.event.code == "sink_failing":
        said = explain_event(last.event.code, findings.lang, last.event.appid, last.event.values)
        text = render("doctor_sink_said", findings.lang, minutes=round((now - last.at) / 60)) + " " + said
        findings.tell(Area.SINKS, State.NOTE, "sink_failing", text)
