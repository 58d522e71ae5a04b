"""Write the lock files: exact versions with hashes, for every platform and Python we support.

``dev.txt`` is what ``make setup`` installs; ``sidecar.txt`` is what a sidecar
needs, ``image.txt`` what the image of all roles installs.
The files name no index, so that they say what to install and leave where from to the machine.
``--check`` writes nothing and fails when a file does not satisfy pyproject.toml.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
LOCKS = {
    "dev.txt": ("sidecar", "operator", "injector", "cli", "dev"),
    "sidecar.txt": ("sidecar",),
    "image.txt": ("sidecar", "operator", "injector", "cli"),
}


def write(name: str, extras: tuple[str, ...]) -> None:
    """Resolve ``extras`` and write the lock file ``name``."""
    command = [str(Path(sys.executable).with_name("uv")), "pip", "compile", "pyproject.toml"]
    for extra in extras:
        command += ["--extra", extra]
    command += ["--universal", "--python-version", "3.11", "--upgrade"]
    command += ["--generate-hashes", "--no-emit-index-url", "--no-annotate", "--quiet"]
    command += ["--custom-compile-command", "make lock", "-o", f"requirements/{name}"]
    subprocess.run(command, cwd=ROOT, check=True)  # noqa: S603 - our own command
    print(f"wrote requirements/{name}")  # noqa: T201 - a script's output


def pins(text: str) -> dict[str, str]:
    """Package to version, of a lock file's text."""
    lines = (line.split(";")[0].rstrip(" \\") for line in text.splitlines() if "==" in line)
    pairs = (line.split("==", 1) for line in lines if not line.startswith("#"))
    return {canonicalize_name(name.strip()): version.strip() for name, version in pairs}


def unmet(wanted: list[str], locked: dict[str, str]) -> list[str]:
    """Requirements of pyproject.toml that a lock does not meet."""
    found: list[str] = []
    for text in wanted:
        requirement = Requirement(text)
        version = locked.get(canonicalize_name(requirement.name))
        if version is None:
            found.append(f"{text} is not locked")
        elif version not in requirement.specifier:
            found.append(f"{text} is locked at {version}")
    return found


def check() -> list[str]:
    """What is wrong with the lock files; empty when they are current."""
    import tomllib  # noqa: PLC0415 - for the check alone

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found: list[str] = []
    for name, extras in LOCKS.items():
        locked = pins((ROOT / "requirements" / name).read_text())
        wanted = [*project["dependencies"]]
        for extra in extras:
            wanted += project["optional-dependencies"][extra]
        found += [f"requirements/{name}: {problem}" for problem in unmet(wanted, locked)]
    return found


def main() -> int:
    """Write, or check."""
    if "--check" in sys.argv[1:]:
        problems = check()
        print("\n".join(problems) or "the lock meets pyproject.toml")  # noqa: T201
        return 1 if problems else 0
    for name, extras in LOCKS.items():
        write(name, extras)
    return 0


if __name__ == "__main__":
    sys.exit(main())
