"""A reverse proxy as one writes it with aiohttp: `aiohttp_proxy.py PORT UPSTREAM`.

Connections stay on both sides, bodies are streamed, and it runs on uvloop. It knows nothing of tokens.
"""

import asyncio
import sys

import uvloop
from aiohttp import ClientSession, DummyCookieJar, TCPConnector, web
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

PORT, UPSTREAM = int(sys.argv[1]), sys.argv[2].rstrip("/")
OF_ONE_CONNECTION = frozenset(
    {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "host", "date"}
)


def kept(headers: CIMultiDictProxy[str]) -> CIMultiDict[str]:
    """Return what goes on."""
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in OF_ONE_CONNECTION)


async def main() -> None:
    """Serve."""
    session = ClientSession(
        connector=TCPConnector(limit=0), cookie_jar=DummyCookieJar(), auto_decompress=False, trust_env=False
    )

    async def forward(request: web.Request) -> web.StreamResponse:
        async with session.request(
            request.method,
            URL(UPSTREAM + request.raw_path, encoded=True),
            headers=kept(request.headers),
            data=request.content if request.body_exists else None,
            allow_redirects=False,
        ) as answer:
            response = web.StreamResponse(status=answer.status, headers=kept(answer.headers))
            await response.prepare(request)
            async for piece in answer.content.iter_any():
                await response.write(piece)
            await response.write_eof()
            return response

    app = web.Application(client_max_size=64 << 20)
    app.router.add_route("*", "/{path:.*}", forward)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", PORT, backlog=2048).start()
    await asyncio.Event().wait()


with asyncio.Runner(loop_factory=uvloop.new_event_loop) as running:
    running.run(main())
