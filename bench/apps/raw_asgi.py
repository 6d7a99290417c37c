"""Fixed bytes by the hub's own server, with as many headers as the hub sends: `raw_asgi.py PORT BODY`.

What this takes is uvicorn's; an application of ours can only add to it.
"""

import asyncio
import sys

from starlette.types import Message, Receive, Scope, Send

from zhongkong.hub.server import bind, loop_factory, serve_http

BODY = sys.argv[2].encode()
START: Message = {
    "type": "http.response.start",
    "status": 200,
    "headers": [
        (b"etag", b'W/"7.01234567"'),
        (b"cache-control", b"private, max-age=54"),
        (b"vary", b"Accept, Authorization"),
        (b"content-length", str(len(BODY)).encode()),
        (b"content-type", b"application/json"),
    ],
}
END: Message = {"type": "http.response.body", "body": BODY}


async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
    """Answer."""
    await send(START)
    await send(END)


async def main() -> None:
    """Serve."""
    await serve_http(app, [bind("127.0.0.1", int(sys.argv[1]))], asyncio.Event())


with asyncio.Runner(loop_factory=loop_factory()) as runner:
    runner.run(main())
