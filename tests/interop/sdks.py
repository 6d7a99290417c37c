"""The SDKs, as they are published: what is installed, and which program of ours uses it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

PROGRAMS = Path(__file__).with_name("programs")
ROOM = Path(__file__).parents[2] / ".interop"
"""Where they are installed: nothing of them is needed for anything else."""
BEGIN, END = "改这几行", "到这里"
"""The comments around the lines that a user changes, at the top of each program."""


@dataclass(frozen=True, slots=True)
class SDK:
    """One SDK; its page is docs/sdk/<name>.md."""

    name: str
    version: str
    language: Literal["python", "node"]
    program: str
    beside: tuple[str, ...] = ()
    """What is installed with it."""
    alone: bool = False
    """Installed by itself, without what it asks for: those versions cannot be had any more."""
    asks: str = "users"
    """The flow that is tried while something is wrong."""
    asks_platform: bool = True
    """Whether that flow needs the platform; the hub answers tokens and tickets itself."""
    package: str = ""
    """What it is a part of, where it is not called like what is installed."""
    kind: Literal["official", "wecom"] = "official"
    """Whose SDK it is."""

    @property
    def wanted(self) -> str:
        """Return what is installed."""
        return f"{self.package or self.name}{'@' if self.language == 'node' else '=='}{self.version}"

    @property
    def host(self) -> str:
        """Return the host that it asks where nobody changed a line."""
        return "https://qyapi.weixin.qq.com" if self.kind == "wecom" else "https://api.weixin.qq.com"

    @property
    def path(self) -> Path:
        """Return where its program is."""
        return PROGRAMS / self.program

    @property
    def room(self) -> Path:
        """Return where it is installed."""
        if self.language == "node":
            return ROOM / "node"
        return ROOM / (self.name if self.alone else "python")

    @property
    def command(self) -> list[str]:
        """Return what starts its program."""
        return ["node" if self.language == "node" else str(self.room / "bin/python"), str(self.path)]

    @property
    def lines(self) -> list[str]:
        """Return the lines that a user changes."""
        return find_lines(self.path.read_text("utf-8"))


def find_lines(program: str) -> list[str]:
    """Return what stands between the two comments, without blank lines at either end."""
    _, begin, rest = program.partition(f"{BEGIN}\n")
    between, end, _ = rest.partition(END)
    assert begin, "no beginning"
    assert end, "no end"
    return between.rpartition("\n")[0].strip("\n").split("\n")


SDKS = (
    SDK("wechatpy", "1.8.18", "python", "with_wechatpy.py", beside=("cryptography",)),
    SDK("wechatpy-enterprise", "1.8.18", "python", "with_wechatpy_enterprise.py", package="wechatpy", kind="wecom"),
    SDK("werobot", "1.13.1", "python", "with_werobot.py"),
    SDK("weixin-python", "0.5.7", "python", "with_weixin_python.py"),
    SDK(
        "wechat-sdk", "0.6.4", "python", "with_wechat_sdk.py",
        beside=("pycryptodome", "requests", "six", "xmltodict", "legacy-cgi; python_version >= '3.13'"), alone=True,
    ),
    SDK("co-wechat-api", "3.11.0", "node", "with_co_wechat_api.cjs"),
    SDK("wechat-api", "1.35.1", "node", "with_wechat_api.cjs"),
    SDK("node-easywechat", "3.6.2", "node", "with_node_easywechat.cjs", beside=("node-socialite@1.4.1",)),
    SDK("wechat-jssdk", "5.1.0", "node", "with_wechat_jssdk.cjs", asks="token", asks_platform=False),
)  # fmt: skip
SERVERS = (SDK("co-wechat", "2.4.0", "node", "answers_with_co_wechat.cjs", beside=("koa@2.16.4",)),)
"""Those whose message server is tried: it answers pushes, and changes no line at all."""
