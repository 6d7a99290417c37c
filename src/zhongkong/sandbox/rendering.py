"""How pages for people are made: in Chinese or English, with nothing from elsewhere and nothing that runs."""

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import Response

from zhongkong.sandbox.pictures import draw_data_uri

_SHANGHAI = timezone(timedelta(hours=8), "Asia/Shanghai")
_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:",
    "cache-control": "no-store",  # secrets are on it
    "referrer-policy": "no-referrer",
}


def render(
    request: Request, template: str, texts: Mapping[str, tuple[str, str]], *, status: int = 200, **values: Any
) -> Response:
    """Return the page in the language that the request asks for; `texts` are Chinese, English."""
    language = choose_language(request.headers.get("accept-language", ""))
    text = {name: both[language == "en"] for name, both in texts.items()}
    html = _environment().get_template(template).render(t=text, language=language, **values)
    headers = _HEADERS | {"content-language": language, "vary": "accept-language"}
    return Response(html.encode("utf-8", "replace"), status, media_type="text/html", headers=headers)


def choose_language(accepted: str) -> str:
    """Return en when an Accept-Language header asks for it before any Chinese, else zh."""
    wishes: list[tuple[float, str]] = []
    for part in accepted.lower().split(","):
        tag, _, quality = part.strip().partition(";q=")
        language = tag.partition("-")[0]
        if language in ("zh", "en"):
            wishes.append((_quality(quality), language))
    return max(wishes, key=lambda wish: wish[0])[1] if wishes else "zh"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("zhongkong.sandbox"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["clock_time"] = _clock_time
    environment.filters["qr"] = draw_data_uri
    return environment


def _quality(text: str) -> float:
    try:
        return float(text) if text else 1.0
    except ValueError:
        return 0.0


def _clock_time(instant: float, form: str = "%m-%d %H:%M:%S") -> str:
    return datetime.fromtimestamp(instant, _SHANGHAI).strftime(form)
