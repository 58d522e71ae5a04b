# ruff: noqa: INP001 - a script, not a package
"""Build image/Dockerfile with an engine, and see that it is the image that ``image/build.py`` makes.

::

    python image/check.py                       # root, Linux, buildah (no daemon)
    python image/check.py --pull-never          # with a base image that is there already

Three questions: has the engine's image the same names, modes and settings as the archive; is there
no program in it that installs, builds or is a shell; does each role answer in it as its user with
nothing but /tmp to write to.  The contents of files are compared only where both come from the lock
or from this checkout: the engine's interpreter is that of the Dockerfile, the archive's is the one
that runs this.  Not a test, because it needs an engine and its base image from a registry; the tests
hold the Dockerfile against image/build.py by its text.
"""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

from oci.product import ROOT, image_of, say, unpack
from oci.rootfs import SITE, USER, VERSION

NAME = "localhost/tenure:check"
BUILDAH = ("buildah", "--storage-driver", "vfs")
ROLES = ("dev", "sidecar", "gateway", "operator", "injector", "upkeep", "doctor")
PROGRAMS = {"python3", f"python{VERSION}", "tenure"}
# In a mount namespace of its own: the image as a root file system that is read only, but for /tmp.
INSIDE = (
    'mount --make-rprivate / && mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" &&'
    ' mount -t tmpfs tmpfs "$0/tmp" && user="$1" && shift && exec chroot --userspec="$user" "$0" "$@"'
)
# `tenure dev` until it says that it is ready.
READY = (
    "import subprocess as s; p = s.Popen({command!r}, stdout=s.PIPE, text=True);"
    " print(p.stdout.readline()); p.terminate(); p.wait()"
)
DEV = (
    *("/usr/local/bin/tenure", "dev", "--store=sqlite:/tmp/t.db"),
    *("--grpc-port=0", "--taskhub-port=0", "--http-port=0"),
)


def main() -> int:
    """Check it; 0 when all is well."""
    if shutil.which("buildah") is None:
        say("buildah not found: install it (Debian and Ubuntu: apt install buildah)")
        return 2
    dockerfile = ROOT / "image" / "Dockerfile"
    command = [*BUILDAH, "build-using-dockerfile", "--isolation=chroot", "--layers", *sys.argv[1:]]
    subprocess.run(  # noqa: S603 - our own command
        [*command, "-f", str(dockerfile), "-t", NAME, str(ROOT)], check=True
    )
    container = _out("from", "--pull-never", NAME)
    try:
        root = Path(_out("mount", container))
        run = json.loads(_out("inspect", "--type=image", NAME))["OCIv1"]["config"]
        with tempfile.TemporaryDirectory(prefix="tenure-check-") as folder:
            unpack(("python", "packages", "tenure"), Path(folder))
            problems = [*settings(run), *differences(root, Path(folder)), *tools(root)]
        problems += [problem for role in ROLES for problem in answers(root, role)]
        problems += becomes_ready(root)
        size = sum(path.lstat().st_size for path in root.rglob("*") if path.is_file())
    finally:
        _out("rm", container)
    for problem in problems:
        say(problem)
    say(f"{size / 1_000_000:.0f} MB; {len(problems) or 'no'} problems")
    return 1 if problems else 0


def settings(run: dict[str, object]) -> list[str]:
    """Where the image's settings are not those of the archive."""
    wanted = image_of(NAME)
    expected: dict[str, object] = {
        "User": wanted.user,
        "Entrypoint": list(wanted.entrypoint),
        "Env": sorted(f"{name}={value}" for name, value in wanted.env.items()),
    }
    found = {**run, "Env": sorted(map(str, run["Env"]))}  # type: ignore[call-overload]
    return [
        f"{key} is {found.get(key)}, and {value} in the archive"
        for key, value in expected.items()
        if found.get(key) != value
    ]


def differences(root: Path, archive: Path) -> list[str]:
    """Names, modes and contents that only one of both has, but for what is the interpreter's."""
    found, wanted = _files(root), _files(archive)
    mine = f"lib/python{VERSION}/"  # patch versions of Python differ by a module or two
    names = [name for name in found.keys() ^ wanted.keys() if mine not in name or SITE in name]
    problems = [f"only in {'one' if name in found else 'the archive'}: {name}" for name in names]
    for name in found.keys() & wanted.keys():
        if found[name] != wanted[name]:
            problems.append(f"{name} has mode {found[name]:o}, and {wanted[name]:o} in the archive")
        elif _is_ours(name) and (root / name).read_bytes() != (archive / name).read_bytes():
            problems.append(f"{name} is another than in the archive")
    return sorted(problems)


def _is_ours(name: str) -> bool:
    """Whether the lock or this checkout says what is in a file, to the byte."""
    return name.startswith(SITE) and name.endswith((".py", ".so"))


def tools(root: Path) -> list[str]:
    """Programs that the image should not have."""
    programs = {path.name for path in root.rglob("*bin/*") if path.is_file()}
    return [f"there is a program {name}" for name in sorted(programs - PROGRAMS)]


def answers(root: Path, role: str) -> list[str]:
    """What is wrong with a role's help."""
    shown = _inside(root, "/usr/local/bin/tenure", role, "--help")
    return [] if f"usage: tenure {role}" in shown else [f"tenure {role} --help: {shown}"]


def becomes_ready(root: Path) -> list[str]:
    """What is wrong with ``tenure dev``."""
    shown = _inside(root, "/usr/local/bin/python3", "-c", READY.format(command=DEV))
    return [] if " ready: " in shown else [f"tenure dev: {shown}"]


def _files(root: Path) -> dict[str, int]:
    """Name to mode."""
    return {
        path.relative_to(root).as_posix(): stat.S_IMODE(path.lstat().st_mode)
        for path in root.rglob("*")
    }


def _inside(root: Path, *command: str) -> str:
    ran = subprocess.run(  # noqa: S603 - our own command
        ["/usr/bin/unshare", "-m", "sh", "-c", INSIDE, str(root), f"{USER}:{USER}", *command],
        capture_output=True,
        text=True,
        check=False,
        env={},
    )
    return ran.stdout + ran.stderr


def _out(*arguments: str) -> str:
    ran = subprocess.run(  # noqa: S603 - our own command
        [*BUILDAH, *arguments], check=True, stdout=subprocess.PIPE, text=True
    )
    return ran.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
