"""A business server's program, for a real hub: it reads, calls, forks, and goes on when the hub is gone."""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

import httpx
import requests

import zhongkong

logger = logging.getLogger("business")


def main(url: str, sandbox: str, appid: str) -> None:
    """Say on stdout what came of it, and log on stderr all that the libraries have to say."""
    logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
    source = zhongkong.connect(url)
    users = f"{sandbox}/cgi-bin/user/get"
    auth = zhongkong.WeChatAuth(source, appid)

    def call() -> dict[str, Any]:
        with httpx.Client(auth=auth) as client, requests.Session() as session:
            session.auth, session.trust_env = auth, False
            both = [client.get(users).json(), session.get(users, timeout=5).json()]
        return both[0] if both[0] == both[1] else {"differ": both}

    say("called", "data" in call())
    former = source.access_token(appid)
    httpx.post(f"{sandbox}/sandbox/v1/accounts/{appid}/revoke").raise_for_status()
    say("repaired", "data" in call() and source.access_token(appid) != former)
    say("shown", source, auth, source.credential(appid), source.reject(appid, former))
    if hasattr(os, "fork") and not os.fork():
        say("forked", source.access_token(appid) != former and "data" in call())
        source.close()
        sys.exit()
    if hasattr(os, "wait"):
        say("waited", os.wait()[1])
    sys.stdin.readline()  # the hub is gone
    say("without", source.access_token(appid) != former)
    try:
        source.access_token("wx0")
    except zhongkong.ZhongkongError:
        logger.exception("as it should be")
        say("refused")
    try:
        zhongkong.connect(url, patience=0.5).access_token(appid)
    except zhongkong.CredentialUnavailable as error:
        logger.exception("as it should be")
        say("cold", error.cause)


def say(*words: object) -> None:
    """Write a line."""
    print(*words, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
