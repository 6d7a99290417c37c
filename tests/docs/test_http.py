"""`docs/http.md` tells of every route, every measure and every status, and of none that is not there."""

from __future__ import annotations

import re
from pathlib import Path

from prometheus_client import CollectorRegistry

from tests.scenario.hub.house import House
from zhongkong.hub.api.openapi import build_openapi
from zhongkong.hub.api.replies import STATUS_OF_CODE
from zhongkong.hub.telemetry import Gauges

PAGE = (Path(__file__).parents[2] / "docs" / "http.md").read_text(encoding="utf-8")


def test_every_route_is_told_of() -> None:
    """And whoever reads of one finds it."""
    described = {f"{method.upper()} {path}" for path, methods in build_openapi()["paths"].items() for method in methods}
    assert set(re.findall(r"^\| `([A-Z]+ /\S*)` \|", PAGE, re.MULTILINE)) == described


def test_every_measure_is_told_of() -> None:
    """A dashboard is written from this table."""
    house = House()
    registry = CollectorRegistry()
    registry.register(Gauges(house.keeper.known, lambda: 0))
    text = house.telemetry.exposition(Gauges(house.keeper.known, lambda: 0)).decode()
    kinds = dict(re.findall(r"^# TYPE (\w+) (\w+)$", text, re.MULTILINE))
    names = {name for name, kind in kinds.items() if not name.endswith("_created")}
    assert set(re.findall(r"^\| `(zhongkong_\w+)` \|", PAGE, re.MULTILINE)) == names


def test_every_status_of_a_problem_is_told_of() -> None:
    """Clients branch on them."""
    told = {
        int(found) for found in re.findall(r"\b[45][0-9]{2}\b", PAGE[PAGE.index("## Errors") : PAGE.index("## Admin")])
    }
    assert {status.value for status in STATUS_OF_CODE.values()} - {405, 500} <= told
