"""Every command in the documentation works, and prints what the page says.

Pages are run as programs (``support/pages.py``), each in a folder of its own, with the SDK that they
import in front of the path and free ports in place of the default ones.  In scope: README,
CONTRIBUTING and all of docs/.  Out of scope: pages that need a cluster
(tests/kubernetes/test_operator_pages).
Targets of make are looked up, not run: this suite is one of them.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from conformance.sdks import SDKS
from support.pages import Command, Shell, commands, files, fits, needs_a_cluster
from support.ports import free_ports
from support.sdks import environment

ROOT = Path(__file__).resolve().parents[3]
PAGES = [
    path
    for path in (*ROOT.glob("*.md"), *sorted((ROOT / "docs").rglob("*.md")))
    for text in (path.read_text(encoding="utf-8"),)
    if next(commands(text), None) is not None and not needs_a_cluster(text)
]
DEFAULT_PORTS = ("50001", "4001", "3500")
# What the reader does to get where this suite is.
SET_UP = re.compile(r"\. \.venv/bin/activate$|pip install |git clone |cd tenure$|python -m venv ")


def python_with_sdk(text: str) -> Path:
    """The folder with the interpreter that has the SDK which a page's files import."""
    package = "durabletask" if "from durabletask import" in text else "dapr[workflow]"
    sdk = next(one for one in SDKS if one.package == package)
    return Path(environment(sdk).command[0]).parent


@pytest.fixture
def shell(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Shell]:
    """A shell in which the page's files lie."""
    text: str = request.getfixturevalue("page").read_text(encoding="utf-8")
    saved = list(files(text))
    ports: tuple[str, ...] = request.getfixturevalue("ports")
    for name, content in saved:
        (tmp_path / name).write_text(on_ports(content, ports), encoding="utf-8")
    first = [python_with_sdk(text)] if saved else []
    path = [str(folder) for folder in (*first, Path(sys.executable).parent)]
    grpc, taskhub, http = ports
    env = {
        "PATH": os.pathsep.join([*path, os.environ["PATH"]]),
        "HOME": str(tmp_path),
        "LC_ALL": "C.UTF-8",
        "NO_COLOR": "1",
        "TENURE_GRPC_PORT": grpc,
        "TENURE_TASKHUB_PORT": taskhub,
        "TENURE_HTTP_PORT": http,
        "DAPR_GRPC_PORT": grpc,
        "DAPR_HTTP_PORT": http,
    }
    running = Shell(tmp_path, env)
    yield running
    running.close()


@pytest.fixture
def ports() -> tuple[str, ...]:
    """Free ports for gRPC, the task hub and HTTP."""
    return tuple(str(port) for port in free_ports(3))


def on_ports(text: str, ports: tuple[str, ...]) -> str:
    """``text`` with the default ports replaced."""
    for default, port in zip(DEFAULT_PORTS, ports, strict=True):
        text = re.sub(rf"(?<!\d){default}(?!\d)", port, text)
    return text


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_page(page: Path, shell: Shell, ports: tuple[str, ...]) -> None:
    for typed, shows in commands(page.read_text(encoding="utf-8")):
        if SET_UP.match(typed):
            continue
        if typed.startswith("make "):
            run_dry(typed)
            continue
        wanted = tuple(on_ports(line, ports) for line in shows)
        shell.run(Command(on_ports(typed, ports), wanted))


def run_dry(typed: str) -> None:
    """Check that make knows what it is asked for."""
    target = typed.split()[1]
    ran = subprocess.run(
        ["make", "--dry-run", "--old-file=.venv/.ready", target],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr


def test_pages_are_found() -> None:
    assert {"README.md", "quick-start.md", "settings.md"} <= {page.name for page in PAGES}


@pytest.mark.parametrize(
    ("shows", "output", "fit"),
    [
        pytest.param((), "anything", True, id="nothing-shown"),
        pytest.param(("a",), "a\n", True, id="equal"),
        pytest.param(("a",), "ab", False, id="longer"),
        pytest.param(("a",), "", False, id="nothing-printed"),
        pytest.param(("a...c",), "abbc", True, id="within-a-line"),
        pytest.param(("a...c",), "ab\nc", False, id="dots-do-not-cross-lines"),
        pytest.param(("a", "...", "c"), "a\nx\ny\nc", True, id="lines"),
        pytest.param(("a", "...", "c"), "a\nc", True, id="no-lines"),
        pytest.param(("...", "c"), "a\nb", False, id="end-is-missing"),
        pytest.param(("a.c",), "abc", False, id="a-dot-is-a-dot"),
    ],
)
def test_fit(shows: tuple[str, ...], output: str, fit: bool) -> None:
    assert fits(shows, output) is fit


def test_wrong_output_is_noticed(tmp_path: Path) -> None:
    shell = Shell(tmp_path, {"PATH": os.environ["PATH"]})
    try:
        with pytest.raises(AssertionError, match="expected:\nx"):
            shell.run(Command("echo y", ("x",)))
        with pytest.raises(AssertionError, match="exit code 3"):
            shell.run(Command("(exit 3)", ()))
        assert shell.run(Command("cd / && pwd", ("/",))) == "/"
    finally:
        shell.close()


def test_blocks_are_read() -> None:
    text = (
        "x\n```console\n$ a b\nout 1\nout 2\n$ c\n```\n"
        "```sh\n$ not this\n```\n"
        '```python title="f.py"\nx = 1\n```\n```python\ny\n```\n'
    )
    assert list(commands(text)) == [Command("a b", ("out 1", "out 2")), Command("c", ())]
    assert list(files(text)) == [("f.py", "x = 1\n")]
