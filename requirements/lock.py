"""Write the lock files: exact versions with hashes, for every platform and Python we support.

``dev.txt`` is what ``make setup`` installs; ``sidecar.txt`` is what a sidecar
needs, ``image.txt`` what the image of all roles installs, ``build.txt`` what builds a package.
The files name no index, so that they say what to install and leave where from to the machine.
``--check`` writes nothing and fails when a file does not satisfy pyproject.toml.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
LOCKS = {
    "dev.txt": ("sidecar", "operator", "injector", "cli", "dev"),
    "sidecar.txt": ("sidecar",),
    "image.txt": ("sidecar", "operator", "injector", "cli"),
}
BACKEND = "build.txt"  # what pyproject.toml names to build a package with


def write(name: str, source: list[str], *, text: str = "") -> None:
    """Resolve what ``source`` names, ``-`` being ``text``, and write the lock file ``name``."""
    command = [str(Path(sys.executable).with_name("uv")), "pip", "compile", *source]
    command += ["--universal", "--python-version", "3.11", "--upgrade"]
    command += ["--generate-hashes", "--no-emit-index-url", "--no-annotate", "--quiet"]
    command += ["--custom-compile-command", "make lock", "-o", f"requirements/{name}"]
    subprocess.run(command, cwd=ROOT, check=True, input=text, text=True)  # noqa: S603 - our own command
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
    told = tomllib.loads((ROOT / "pyproject.toml").read_text())
    project = told["project"]
    wanted = {BACKEND: [*told["build-system"]["requires"]]}
    for name, extras in LOCKS.items():
        wanted[name] = [*project["dependencies"]]
        for extra in extras:
            wanted[name] += project["optional-dependencies"][extra]
    found: list[str] = []
    for name, texts in wanted.items():
        locked = pins((ROOT / "requirements" / name).read_text())
        found += [f"requirements/{name}: {problem}" for problem in unmet(texts, locked)]
    return found


def main() -> int:
    """Write, or check."""
    if "--check" in sys.argv[1:]:
        problems = check()
        print("\n".join(problems) or "the lock meets pyproject.toml")  # noqa: T201
        return 1 if problems else 0
    for name, extras in LOCKS.items():
        write(name, ["pyproject.toml", *(f"--extra={extra}" for extra in extras)])
    told = tomllib.loads((ROOT / "pyproject.toml").read_text())
    write(BACKEND, ["-"], text="\n".join(told["build-system"]["requires"]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
