"""The environments of the SDKs under test: each package as released, in a folder of its own.

They live in the user's cache (``$XDG_CACHE_HOME/tenure/sdks/<name>-<version>-<hash of the lock>``),
outside the tree; a changed lock makes a new folder.  An environment is built when it is first asked
for, and what is being installed is said on standard error.  ``tests/conformance/build.py`` builds all
of them, or those that are named.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from conformance.sdks import CLIENTS, SDKS, Sdk

SUITE = Path(__file__).resolve().parents[1] / "conformance"
LOCKS = SUITE / "locks"
DRIVERS = SUITE / "drivers"
INSTALL_LIMIT = 900.0  # seconds for one package manager's run


class MissingToolError(RuntimeError):
    """A program that an SDK needs is not on this machine."""


@dataclass(frozen=True)
class Environment:
    """How to run an SDK's driver."""

    command: Sequence[str]
    variables: Mapping[str, str] = field(default_factory=dict)


def cache_folder() -> Path:
    """Where the environments are kept."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "tenure" / "sdks"


def environment(sdk: Sdk) -> Environment:
    """The environment of an SDK; built when it is not there yet.

    Raises: MissingToolError that names the missing program; RuntimeError when the installation
    failed, with what the package manager said.
    """
    build = {"python": _python, "js": _js, "java": _java, "go": _go}[sdk.language]
    return build(sdk)


def _python(sdk: Sdk) -> Environment:
    lock = LOCKS / f"{sdk.key}.txt"
    folder = _folder(sdk, lock)
    python = folder / "bin" / "python"
    with _building(sdk, folder) as missing:
        if missing:
            _run(sys.executable, "-m", "venv", str(folder))
            pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "-q"]
            _run(*pip, "--no-deps", "--require-hashes", "-r", str(lock))
    return Environment([str(python), str(DRIVERS / "python" / "driver.py"), sdk.adapter])


def _js(sdk: Sdk) -> Environment:
    node = _tool("node", "Node.js 20 or newer")
    lock = LOCKS / sdk.key / "package-lock.json"
    folder = _folder(sdk, lock)
    with _building(sdk, folder) as missing:
        if missing:
            npm = _tool("npm", "Node.js 20 or newer")
            folder.mkdir(parents=True)
            for name in ("package.json", "package-lock.json"):
                shutil.copy(lock.with_name(name), folder / name)
            _run(npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", folder=folder)
    modules = {"SDK_MODULES": str(folder / "node_modules")}
    return Environment([node, str(DRIVERS / "js" / "driver.js"), sdk.adapter], modules)


def _java(sdk: Sdk) -> Environment:
    java = _tool("java", "a JDK 17 or newer")
    pom = LOCKS / sdk.key / "pom.xml"
    sources = [
        one for one in sorted((DRIVERS / "java").rglob("*.java")) if _belongs(one, sdk.adapter)
    ]
    folder = _folder(sdk, pom, *sources)
    with _building(sdk, folder) as missing:
        if missing:
            maven = _tool("mvn", "Apache Maven 3.8 or newer")
            javac = _tool("javac", "a JDK 17 or newer (not only a JRE)")
            folder.mkdir(parents=True)
            copy = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"
            target = f"-DoutputDirectory={folder / 'lib'}"
            _run(maven, "-q", "-B", "-f", str(pom), copy, target)
            wanted = ["-cp", str(folder / "lib" / "*"), *map(str, sources)]
            _run(javac, "-nowarn", "-d", str(folder / "classes"), *wanted)
    classpath = f"{folder / 'classes'}:{folder / 'lib'}/*"
    flags = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-Xmx512m"]
    return Environment([java, *flags, "-cp", classpath, f"{sdk.adapter}.Driver"])


def _go(sdk: Sdk) -> Environment:
    go = _tool("go", "Go 1.26.4 or newer")
    locks = [LOCKS / sdk.key / name for name in ("go.mod", "go.sum")]
    drivers = DRIVERS / "go"
    sources = [one for one in sorted(drivers.rglob("*.go")) if _belongs(one, sdk.adapter)]
    folder = _folder(sdk, *locks, *sources)
    with _building(sdk, folder) as missing:
        if missing:
            for file, target in (
                *((one, folder / one.name) for one in locks),
                *((one, folder / one.relative_to(drivers)) for one in sources),
            ):
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, target)
            wanted = ("-mod=readonly", "-o", "driver", f"./{sdk.adapter}")
            _run(go, "build", *wanted, folder=folder)
    return Environment([str(folder / "driver")])


def _belongs(source: Path, adapter: str) -> bool:
    """Whether a driver has the file; a client alone runs no scenarios."""
    return source.parent.name in ({adapter} if adapter == "client" else {"suite", adapter})


def _folder(sdk: Sdk, *locks: Path) -> Path:
    digest = hashlib.sha256(sdk.title.encode())
    for lock in locks:
        digest.update(lock.read_bytes())
    return cache_folder() / f"{sdk.key}-{sdk.version}-{digest.hexdigest()[:12]}"


@contextmanager
def _building(sdk: Sdk, folder: Path) -> Iterator[bool]:
    """Hold the folder's lock; True when it has to be built (what is half there is removed)."""
    ready = folder / ".ready"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if ready.exists():
            yield False
            return
        shutil.rmtree(folder, ignore_errors=True)
        started = time.monotonic()
        _say(f"installing {sdk.title} from {sdk.registry} (once; into {folder})")
        yield True
        ready.touch()
        _say(f"installed {sdk.title} in {time.monotonic() - started:.0f} s")


def _tool(name: str, what: str) -> str:
    found = shutil.which(name)
    if found is None:
        message = f"'{name}' is not on the PATH; these tests need {what}"
        raise MissingToolError(message)
    return found


def _run(*command: str, folder: Path | None = None) -> None:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_LIMIT, check=False
    )
    if done.returncode:
        message = f"{' '.join(command)}\nfailed ({done.returncode}):\n{done.stdout}{done.stderr}"
        raise RuntimeError(message)


def _say(text: str) -> None:
    print(text, file=sys.__stderr__, flush=True)


def main(names: Sequence[str]) -> None:
    """Build the environments of these SDKs, or all."""
    known = {sdk.key: sdk for sdk in (*SDKS, *CLIENTS)}
    for name in names or known:
        environment(known[name])
        _say(f"ready: {known[name].title}")
