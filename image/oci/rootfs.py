"""What goes into the image: the interpreter that runs this, the libraries it loads, and packages.

Nothing is taken that only builds or tests: no pip, no compiler's files, no shell.  Shared libraries
are found as the loader finds them (``ldd``), and put where it looks for them by default, so the
image needs no settings of its own.
"""

from __future__ import annotations

import platform
import re
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path

from oci.archive import Entry

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
PREFIX = "usr/local"
SITE = f"{PREFIX}/lib/python{VERSION}/site-packages"
LIBRARIES = f"usr/lib/{platform.machine()}-linux-gnu"
LOADERS = {"x86_64": "lib64", "aarch64": "lib"}
USER = 65532

# Of the standard library: what tests, teaches, draws windows, or installs packages.
_LEFT_OUT = re.compile(
    r"(^|/)(__pycache__|test|tests|idlelib|tkinter|turtledemo|ensurepip|lib2to3|site-packages"
    r"|config-\d[^/]*|pydoc_data)(/|$)"
    r"|(^|/)(_tkinter|_test|_ctypes_test|xxlimited|_xx)[^/]*\.so$"
    r"|(^|/)turtle\.py$|\.(a|exe|pyc)$"
)
_OF_PACKAGES = re.compile(r"(^|/)(bin|tests?)(/|$)|\.([ch]|pyx|pxd)$")
_LOADED = re.compile(r"(\S+) => (/\S+) \(0x|^\s*(/\S+) \(0x", re.MULTILINE)
# The C library loads these by name when it looks up hosts.
BY_NAME = ("libnss_dns.so.2", "libnss_files.so.2", "libresolv.so.2")
_ROOTS = (Path("/etc/ssl/certs/ca-certificates.crt"), Path("/etc/pki/tls/certs/ca-bundle.crt"))


def interpreter() -> Iterator[Entry]:
    """The running Python, without what the image does not need, compiled."""
    base = Path(sys.base_prefix)
    program = base / "bin" / f"python{VERSION}"
    yield Entry(f"{PREFIX}/bin/python{VERSION}", program.resolve(), mode=0o755)
    yield Entry(f"{PREFIX}/bin/python3", target=f"python{VERSION}")
    standard = Path(sysconfig.get_path("stdlib"))
    yield from tree(standard, f"{PREFIX}/lib/python{VERSION}", without=_LEFT_OUT)
    for name, path in _of_interpreter().items():
        yield Entry(_place(name), path, mode=0o755)


def outside() -> list[Path]:
    """The files of this machine, besides Python's own, that go in with the interpreter."""
    return [*_of_interpreter().values(), *(roots for roots in _ROOTS if roots.exists())]


def _of_interpreter() -> dict[str, Path]:
    program = Path(sys.base_prefix) / "bin" / f"python{VERSION}"
    standard = Path(sysconfig.get_path("stdlib"))
    modules = (
        path for path in standard.glob("lib-dynload/*.so") if not _LEFT_OUT.search(path.name)
    )
    found = libraries([program, *sorted(modules)])
    folder = Path("/lib") / f"{platform.machine()}-linux-gnu"
    return found | {name: (folder / name).resolve() for name in BY_NAME if (folder / name).exists()}


def system() -> Iterator[Entry]:
    """Users, places to write, host lookup, the public roots, time zones' base."""
    users = f"root:x:0:0:root:/:/sbin/nologin\ntenure:x:{USER}:{USER}:tenure:/:/sbin/nologin\n"
    groups = f"root:x:0:\ntenure:x:{USER}:\n"
    yield Entry("etc/passwd", users.encode())
    yield Entry("etc/group", groups.encode())
    yield Entry("etc/nsswitch.conf", b"passwd: files\ngroup: files\nhosts: files dns\n")
    yield Entry("tmp", mode=0o1777)
    for name in ("dev", "proc", "sys", "run", "var"):
        yield Entry(name, mode=0o755)
    for roots in _ROOTS:
        if roots.exists():
            yield Entry("etc/ssl/certs/ca-certificates.crt", roots.resolve())
            break


def packages(folder: Path) -> Iterator[Entry]:
    """What was installed into ``folder``, and the shared libraries it loads."""
    yield from tree(folder, SITE, without=_OF_PACKAGES)
    taken = {_place(name) for name in libraries([Path(sys.base_prefix) / f"bin/python{VERSION}"])}
    for name, path in libraries(sorted(folder.rglob("*.so*"))).items():
        if _place(name) not in taken and folder not in path.parents:
            yield Entry(_place(name), path, mode=0o755)


def tree(source: Path, place: str, *, without: re.Pattern[str]) -> Iterator[Entry]:
    """All files below ``source``, as they are, below ``place``."""
    for path in sorted(source.rglob("*")):
        name = path.relative_to(source).as_posix()
        if path.is_file() and not without.search(name):
            mode = 0o755 if path.suffix == ".so" or ".so." in path.name else 0o644
            yield Entry(f"{place}/{name}", path.resolve(), mode=mode)


def libraries(programs: Iterable[Path]) -> dict[str, Path]:
    """The shared libraries that the programs load, name to file."""
    ran = subprocess.run(  # noqa: S603 - files of this machine
        ["/usr/bin/ldd", *map(str, programs)], capture_output=True, text=True, check=False
    )
    found: dict[str, Path] = {}
    for name, path, loader in _LOADED.findall(ran.stdout):
        file = Path(path or loader)
        found[name or file.name] = file.resolve()
    return dict(sorted(found.items()))


def _place(name: str) -> str:
    folder = LOADERS[platform.machine()] if name.startswith("ld-linux") else LIBRARIES
    return f"{folder}/{name}"
