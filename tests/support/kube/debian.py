"""The programs of a node that are not written as one static binary: containerd, runc, CNI, nft.

Those of the machine are used when they are all there.  Otherwise Debian's packages, with what they
need, are unpacked into the cache folder: nothing is installed, and nothing else on the machine
changes.  That takes apt and root, as a node does anyway.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from support.kube.toolchain import UnavailableError, cache_folder

PROGRAMS = (
    "containerd",
    "containerd-shim-runc-v2",
    "ctr",
    "runc",
    "nft",
    "ip",
    "unshare",
    "nsenter",
)
PACKAGES = (
    "containerd",
    "runc",
    "containernetworking-plugins",
    "nftables",
    "iproute2",
    "util-linux",
)
CNI = ("bridge", "host-local", "loopback")
CNI_FOLDERS = ("usr/lib/cni", "opt/cni/bin")
FETCH_LIMIT = 300.0  # seconds


@dataclass(frozen=True)
class Tools:
    """Where the programs are: what PATH and LD_LIBRARY_PATH must begin with, and CNI's folder."""

    path: str
    libraries: str
    cni: Path

    def environment(self) -> dict[str, str]:
        """The environment of a program that uses them."""
        found = {**os.environ, "PATH": f"{self.path}{os.pathsep}{os.environ.get('PATH', '')}"}
        if self.libraries:
            found["LD_LIBRARY_PATH"] = self.libraries
        return found


def tools() -> Tools:
    """The programs, fetched first when they are not there.

    Raises: UnavailableError when this machine cannot run a node, with the reason.
    """
    if os.geteuid():
        message = "a node needs root: namespaces, cgroups and network links are made"
        raise UnavailableError(message)
    root = Path("/")
    if not _complete(root):
        root = _fetched()
    folders = [root / name for name in ("usr/sbin", "usr/bin", "sbin", "bin")]
    multiarch = sorted(root.glob("usr/lib/*-linux-gnu")) + sorted(root.glob("lib/*-linux-gnu"))
    cni = next(root / name for name in CNI_FOLDERS if (root / name / "bridge").exists())
    return Tools(
        os.pathsep.join(map(str, folders)),
        "" if root == Path("/") else os.pathsep.join(map(str, multiarch)),
        cni,
    )


def _complete(root: Path) -> bool:
    folders = [root / name for name in ("usr/sbin", "usr/bin", "sbin", "bin", "usr/local/bin")]
    there = all(any((one / name).exists() for one in folders) for name in PROGRAMS)
    return there and any(
        all((root / name / plugin).exists() for plugin in CNI) for name in CNI_FOLDERS
    )


def _fetched() -> Path:
    folder = cache_folder() / "node"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name("node.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another test run may be fetching
        if not (folder / ".ready").exists():
            _fetch(folder)
            (folder / ".ready").touch()
    return folder


def _fetch(folder: Path) -> None:
    if shutil.which("apt-get") is None:
        message = (
            f"a node needs {', '.join(PACKAGES)}: install them (no apt-get to fetch them with)"
        )
        raise UnavailableError(message)
    print(f"fetching {' '.join(PACKAGES)} (once; into {folder})", file=sys.stderr, flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    archives = folder / "archives"
    (archives / "partial").mkdir(parents=True)
    quiet = ("apt-get", "-qq", "-o", f"Dir::Cache::archives={archives}")
    _run(*quiet, "update")
    # --reinstall: also what is installed already, so that the folder is whole by itself.
    _run(
        *quiet,
        *("-y", "--no-install-recommends", "--reinstall", "--download-only", "install"),
        *PACKAGES,
    )
    for archive in sorted(archives.glob("*.deb")):
        _run("dpkg-deb", "--extract", str(archive), str(folder))
    shutil.rmtree(archives)
    if not _complete(folder):
        message = f"Debian's {', '.join(PACKAGES)} do not hold {', '.join(PROGRAMS)}"
        raise UnavailableError(message)


def _run(*command: str) -> None:
    try:
        ran = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=FETCH_LIMIT,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        message = f"cannot fetch the programs of a node: {error}"
        raise UnavailableError(message) from error
    if ran.returncode:
        message = f"cannot fetch the programs of a node: {' '.join(command)}: {ran.stderr.strip()}"
        raise UnavailableError(message)
