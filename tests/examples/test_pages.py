"""docs/three-lines.md, docs/from-one-page.md, the examples' README: what they say is run is run, and links lead on."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from textwrap import indent

import httpx
import pytest

from tests.docs.readme import ROOT, Block, read_page
from tests.examples.conftest import EXAMPLES, USERS, Stage
from tests.needs import need
from tests.scenario.end_to_end.programs import SOON, build_environment

THREE_LINES, ONE_PAGE, README = ROOT / "docs/three-lines.md", ROOT / "docs/from-one-page.md", EXAMPLES / "README.md"
PAGE = read_page(THREE_LINES)
WECHAT = "https://api.weixin.qq.com"
RUN, NOT_RUN = "跑过 · run", "没有跑过 · not run here"

AROUND = """
import asyncio, os
import httpx, requests
import zhongkong
APPID, SECRET = os.environ["WECHAT_APPID"], {"secret": os.environ["SECRET"], "base_url": os.environ["WECHAT_API"]}
def call(token):
    return httpx.get(os.environ["WECHAT_API"] + "/cgi-bin/user/get", params={"access_token": token}).json()
"""
"""What stands around a block in a program; each ends with `result`, the answer of the platform."""
PYTHON = {
    "httpx": "{block}",
    "asyncio": "async def main():\n{indented}\n    return result\nresult = asyncio.run(main())",
    "requests": "{block}",
    "wechatpy": """
{block}
client.API_BASE_URL = os.environ["WECHAT_API"] + "/cgi-bin/"
result = client.user.get_followers()
""",
    "werobot": "{block}\nresult = call(client.token)",
    "flask": """
from flask import Flask
app = Flask("shop")
{block}
with app.app_context():
    result = wechat.get("/cgi-bin/user/get").json()
""",
    "django": """
from django.conf import settings
settings.configure()
{block}
result = wechat.get("/cgi-bin/user/get").json()
""",
    "fastapi": """
from fastapi import FastAPI
{block}
@app.get("/")
async def view(source: Source) -> str:
    return await source.access_token(APPID)
async def main():
    async with app.router.lifespan_context(app) as state:
        async def served(scope, receive, send):
            await app({{**scope, "state": state}}, receive, send)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(served), base_url="http://shop.test") as client:
            return (await client.get("/")).json()
result = call(asyncio.run(main()))
""",
    "webpy": "{block}\nresult = call(token)",
}
DRIVER = """
import json, sys
for name, program in json.load(sys.stdin).items():
    given = {}
    exec(program, given)
    print(json.dumps([name, given["result"]]))
"""
OTHERS = {
    "node": ("node", "nodejs", "const APPID = process.env.WECHAT_APPID;\n{block}\nconsole.log(token);"),
    "sh": ("sh", "dash", 'APPID=$WECHAT_APPID\n{block}\nprintf %s "$TOKEN"'),
    "php": (
        "php",
        "php-cli",
        "function env($name) {{ return getenv($name); }}\nconst APPID = '{appid}';\n{block}\necho $token;",
    ),
}
STARTS = {"node": ["node", "--input-type=module", "-e"], "sh": ["sh", "-euc"], "php": ["php", "-r"]}


@pytest.fixture(name="shop", scope="module")
def _shop(stage: Stage) -> Stage:
    """The stage with an account that one person follows."""
    return stage.another()


@pytest.fixture(name="answers", scope="module")
def _answers(shop: Stage, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What the platform answered to each block of Python, run one after the other in a process of their own."""
    directory = tmp_path_factory.mktemp("three-lines")
    programs = {name: AROUND + surround(name, PAGE.block(name).text, shop) for name in PYTHON}
    world = {**build_environment(directory), **shop.environment, "SECRET": shop.secret}
    done = subprocess.run(
        [sys.executable, "-c", DRIVER],
        input=json.dumps(programs),
        env=world,
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=SOON,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(line) for line in done.stdout.splitlines())


def surround(name: str, block: str, shop: Stage) -> str:
    """Return the program around a block; if the block ends in an expression, that is the result."""
    *lines, last = block.replace(WECHAT, shop.sandbox_url).rstrip().splitlines()
    if not re.match(r"\w+ = |\w+\(app\)", last):
        last = f"result = {last}"
    text = "\n".join([*lines, last])
    return PYTHON[name].format(block=text, indented=indent(text, "    "))


@pytest.mark.parametrize("name", PYTHON)
def test_python_as_it_stands_there_reaches_wechat(name: str, answers: dict[str, dict[str, object]]) -> None:
    """With nothing changed but WeChat's address."""
    assert answers[name].get("total") == 1, answers[name]


@pytest.mark.parametrize("name", OTHERS)
def test_other_languages_as_they_stand_there_get_a_token(name: str, shop: Stage) -> None:
    """The bare token: nothing around it that a URL would not bear."""
    program, package, around = OTHERS[name]
    _ = need(program, package)
    script = around.format(block=PAGE.block(name).text, appid=shop.appid)
    world = {"PATH": os.environ["PATH"], **shop.environment}
    ran = subprocess.run([*STARTS[name], script], env=world, capture_output=True, text=True, timeout=SOON, check=False)
    assert ran.returncode == 0, ran.stderr
    called = httpx.get(f"{shop.sandbox_url}{USERS}", params={"access_token": ran.stdout.strip()}, trust_env=False)
    assert called.json().get("total") == 1, (ran.stdout, called.text)


def test_what_is_said_to_be_run_is_run_and_the_rest_is_said_not_to_be() -> None:
    """A reader knows what he may copy without a second look."""
    text = THREE_LINES.read_text(encoding="utf-8")
    before = re.split(r"^```.*?^```$", text, flags=re.MULTILINE | re.DOTALL)
    told = [(block.mark, RUN in prose, NOT_RUN in prose) for block, prose in zip(PAGE.blocks, before, strict=False)]
    assert len(told) == 15
    assert {mark for mark, is_run, _ in told if is_run} == {*PYTHON, *OTHERS}
    assert all((mark == "") == is_not and is_run != is_not for mark, is_run, is_not in told), told


@pytest.mark.parametrize("block", PAGE.blocks, ids=lambda block: block.mark or block.language)
def test_no_more_than_three_lines_differ(block: Block) -> None:
    """As the page's name says."""
    assert len([line for line in block.text.splitlines() if line.strip()]) <= 3


def test_one_page_of_code_becomes_two_lines(stage: Stage, tmp_path: Path) -> None:
    """They run as they stand, and leave the two files that the page names, for nobody else to read."""
    page = read_page(ONE_PAGE)
    mine = stage.another(kept=False)
    account = json.dumps({"secret": mine.secret, "base_url": mine.sandbox_url})
    block = page.block("two_lines").text.replace('"AppSecret"', account).replace("wx0123456789abcdef", mine.appid)
    program = f"import zhongkong\n{block}\nprint(token)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=build_environment(tmp_path / "world"),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=SOON,
        check=True,
    )
    [minted] = mine.calls("/cgi-bin/stable_token")
    assert minted["issued"] == done.stdout.strip()
    [row] = [row for row in page.tables[0] if row[0].startswith("文件缓存")]
    named = re.findall(r"`([\w.]+)`", row[1])
    assert {path.name for path in tmp_path.iterdir()} == {"world", *named}
    for name in named:
        assert (tmp_path / name).stat().st_mode & 0o077 == 0
        assert mine.secret.encode() not in (tmp_path / name).read_bytes()


@pytest.mark.parametrize("path", [THREE_LINES, ONE_PAGE, README], ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    """To files of this repository."""
    links = read_page(path).links
    assert links
    assert [link for link in links if not (path.parent / link).exists()] == []


def test_the_readme_names_every_example_and_how_it_is_run() -> None:
    """And every variable that one of them reads."""
    page = read_page(README)
    files = {path.name for path in EXAMPLES.iterdir() if path.name not in {"README.md", "__pycache__"}}
    assert {link.partition("/")[0] for link in page.links if not link.startswith("..")} == files
    variables = {row[0].strip("`") for row in page.tables[1][1:]}
    sources = [
        path.read_text(encoding="utf-8") for path in EXAMPLES.rglob("*") if path.suffix in {".py", ".mjs", ".sh"}
    ]
    read = set(re.findall(r"\b(?:ZHONGKONG|WECHAT|SHOP)_(?:HUB|KEY|APPID|API|TEMPLATE|TOKEN)\b", "".join(sources)))
    assert variables == read
    for name, command in re.findall(
        r"^\| \[(\w+\.py)\].*?\| `([^`]+)`", README.read_text(encoding="utf-8"), re.MULTILINE
    ):
        head = (EXAMPLES / name).read_text(encoding="utf-8")
        assert command in head or name in {"cron.py", "business_server.py"}
