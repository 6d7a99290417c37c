"""The project speaks of itself only: of no machine it was written on, no mirror it was fed from, no tool that typed."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def word(*pieces: str) -> str:
    """Return the pieces joined; written apart, they are not found in this file itself."""
    return "".join(pieces)


# Case is ignored. \b keeps `agent_config_ticket`, `User-Agent` and other words of the trade out of it.
FORBIDDEN = {
    "a path of somebody's machine": [
        word("/wo", "rk/"),
        word("/ro", "ot/"),
        word("/ho", "me/"),
        word("/Us", "ers/"),
        word("/opt/", "py"),
        word("/tm", "p/zk"),
        word("../", "shared"),
    ],
    "a package registry's host": [
        word("py", "pi.org"),
        word("python", "hosted.org"),
        word("np", "mjs.org"),
        word("np", "mmirror.com"),
        word("crates", ".io"),
        word("proxy.", "golang.org"),
        word("tuna.", "tsinghua"),
        word("mirrors.", "aliyun"),
        word("mirrors.", "cloud"),
        word("mirrors.", "ustc"),
    ],
    "a tool that helped to write it": [
        word("cla", "ude"),
        word("anthro", "pic"),
        word("chat", "gpt"),
        word("open", "ai"),
        word("co", "pilot"),
        word("sub", "agent"),
        word("sub", "-agent"),
        word("language ", "model"),
        word("co-authored", "-by"),
        word("generated", " with"),
    ],
}
PATTERNS = {kind: re.compile("|".join(map(re.escape, words)), re.IGNORECASE) for kind, words in FORBIDDEN.items()}


def tracked_files() -> list[Path]:
    """Return every file that git tracks and that is there."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


def offences(text: str) -> list[str]:
    """Return what `text` says that it should not, one `line: kind: word` each."""
    return [
        f"{number}: {kind}: {found[0]}"
        for number, line in enumerate(text.splitlines(), start=1)
        for kind, pattern in PATTERNS.items()
        for found in pattern.finditer(line)
    ]


def test_no_tracked_file_speaks_of_anything_but_the_project() -> None:
    """Whoever clones the project must find nothing that means something only on the machine where it was written."""
    found = [
        f"{path.relative_to(ROOT)}:{offence}"
        for path in tracked_files()
        for offence in [*offences(path.relative_to(ROOT).as_posix()), *offences(path.read_text("utf-8", "replace"))]
    ]
    assert not found, "\n".join(found)


def test_the_search_sees_all_of_the_project() -> None:
    """A search that looks nowhere finds nothing: this very file and the package must be among what is read."""
    names = {path.relative_to(ROOT).as_posix() for path in tracked_files()}
    assert {"pyproject.toml", "src/zhongkong/__init__.py", "tests/docs/test_project_speaks_of_itself.py"} <= names


@pytest.mark.parametrize("planted", [entry for words in FORBIDDEN.values() for entry in words])
def test_every_forbidden_word_is_seen_in_a_sentence(planted: str) -> None:
    """Each entry of the table is found wherever it stands and however it is cased."""
    assert len(offences(f"first line\nsee {planted.upper()}x there")) == 1


@pytest.mark.parametrize(
    "innocent", ["agent_config_ticket", "User-Agent: WeRoBot", "GET /openapi.json", "a session of SQLAlchemy"]
)
def test_words_of_the_trade_are_left_alone(innocent: str) -> None:
    """Names that the platform or the web gave are no offence."""
    assert offences(innocent) == []


def test_nobody_is_sent_to_an_index_for_it() -> None:
    """It is not published: who is told to install `zhongkong[...]` finds nothing, or somebody else's."""
    for_people = [
        path
        for path in tracked_files()
        if path.name != "pyproject.toml" and not path.is_relative_to(ROOT / "tests")  # dependencies are names
    ]
    wrong = re.compile(r"zhongkong\[|pip install [^`\n]*\bzhongkong\b")
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in for_people
        for match in wrong.finditer(path.read_text("utf-8", "replace"))
    ]
    assert not found, "\n".join(found)


def test_no_page_is_cited_that_is_not_here() -> None:
    """A reader who is sent to a page must find it in his clone."""
    names = {path.name for path in tracked_files()}
    found = [
        f"{path.relative_to(ROOT)}: {cited}"
        for path in tracked_files()
        for cited in re.findall(r"\b[A-Z]{3,}(?:\.[a-z]+)?\.md\b", path.read_text("utf-8", "replace"))
        if cited not in names
    ]
    assert not found, "\n".join(found)
