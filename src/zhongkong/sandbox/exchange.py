"""How a control request is read and answered: JSON both ways, nothing taken that is not understood."""

from collections.abc import Collection, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from zhongkong.sandbox.faults import dump
from zhongkong.sandbox.fields import check, parse_json


async def read_fields(request: Request, hints: Mapping[str, Any], required: Collection[str] = ()) -> dict[str, Any]:
    """Return the fields of the body, an empty body being an empty object. Raises ValueError that says what is wrong."""
    body = await request.body()
    try:
        given = parse_json(body) if body.strip() else {}
    except ValueError as error:
        raise ValueError(f"the body is not JSON: {error}") from None
    return check(given, hints, required)


def read_number(request: Request, name: str, default: int) -> int:
    """Return a whole number of the query. Raises ValueError."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 18):  # noqa: PLR2004 - as many as fit 64 bits
        raise ValueError(f"{name} must be a whole number, not {text!r}")
    return int(text)


def write_json(value: object, status: int = 200) -> Response:
    """Return the answer that carries `value`."""
    return Response(dump(value), status, media_type="application/json")
