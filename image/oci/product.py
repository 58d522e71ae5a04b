"""The product's image: interpreter, locked packages, Tenure, a user without rights, what is in it.

Interpreter and packages change rarely: their layers are kept in the user's cache.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from oci import sbom
from oci.archive import ARCHITECTURES, Blob, Entry, Image, layer, write
from oci.rootfs import PREFIX, SITE, USER, VERSION, interpreter, outside, packages, system

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "requirements" / "image.txt"


def build(name: str, out: Path) -> str:
    """Write the archive of the image ``name``; its digest."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="tenure-image-") as scratch:
        layers = [make(Path(scratch)) for make in LAYERS.values()]
        return write(image_of(name), layers, out)


def unpack(layers: Iterable[str], root: Path) -> None:
    """Write the named layers' files below ``root``, owned by whoever runs this."""
    for one in layers:
        with tempfile.TemporaryDirectory(prefix="tenure-image-") as scratch:
            blob = LAYERS[one](Path(scratch))
            with tarfile.open(blob.file) as tar:
                tar.extractall(root, filter="fully_trusted")  # noqa: S202 - our own file


def image_of(name: str) -> Image:
    """What the image ``name`` runs, and how."""
    return Image(
        name=name,
        architecture=ARCHITECTURES[platform.machine()],
        entrypoint=(f"/{PREFIX}/bin/tenure",),
        user=f"{USER}:{USER}",
        env={
            "PATH": f"/{PREFIX}/bin",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUNBUFFERED": "1",
            "SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt",
        },
        labels={
            "org.opencontainers.image.title": "tenure",
            "org.opencontainers.image.version": _version(),
            "org.opencontainers.image.licenses": "Apache-2.0",
        },
    )


def program(work: Path) -> Blob:
    """The layer with Tenure itself, made in the folder ``work``."""
    needed, own = installed(LOCK), work / "own"
    # By way of a wheel, because pip notes where the sources of a folder were.
    wheels = work / "wheels"
    _pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(wheels), str(ROOT))
    _install("--no-deps", "--no-index", "-f", str(wheels), "--target", str(own), "tenure")
    _compile(own)
    below = (*names(base()), *names(site("packages", LOCK)))
    libraries = [Path(name).name for name in below if ".so" in name]
    bill = sbom.bill(
        (needed, own),
        libraries=[one for one in libraries if one.startswith(("lib", "ld-"))],
        version=_version(),
    )
    entries = (
        *packages(own),
        Entry(f"{PREFIX}/bin/tenure", ROOT / "image" / "tenure", mode=0o755),
        Entry(sbom.PLACE, bill),
    )
    return layer(entries, work / "own.tar")


def base() -> Blob:
    """The interpreter's layer, which other images may stand on."""
    key = f"{_rules()}-{_hash(sys.version.encode(), *map(_state, outside()))}"
    return cached("python", key, lambda scratch: [*system(), *_compiled(scratch)])


# Lowest first; each is made in a folder of its own.
LAYERS: Mapping[str, Callable[[Path], Blob]] = {
    "python": lambda _: base(),
    "packages": lambda _: site("packages", LOCK),
    "tenure": program,
}


def cached(kind: str, key: str, entries: Callable[[Path], Iterable[Entry]]) -> Blob:
    """A layer from the user's cache; made first when it is not there.

    Args:
        kind: first part of its file's name.
        key: changes with what goes in.
        entries: of the layer; the folder that it is given lasts until the layer is written.
    """
    file = cache() / f"{kind}-{key}.tar"

    def make(part: Path) -> None:
        with tempfile.TemporaryDirectory(prefix="tenure-image-") as scratch:
            layer(entries(Path(scratch)), part)

    _once(file, f"making the layer '{kind}'", make)
    with file.open("rb") as data:
        digest = hashlib.file_digest(data, "sha256").hexdigest()
    return Blob(file, digest, file.stat().st_size)


def _once(place: Path, doing: str, make: Callable[[Path], None]) -> None:
    """Have something in the cache: ``make`` it unless it is there, or another process makes it."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.with_name(f"{place.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if place.exists():
            return
        say(f"{doing} (once; {place})")
        part = place.with_name(f"{place.name}.{os.getpid()}")
        make(part)
        part.rename(place)


def names(blob: Blob) -> list[str]:
    """The names in a layer."""
    with tarfile.open(blob.file) as tar:
        return tar.getnames()


def cache() -> Path:
    """Where layers are kept."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "tenure" / "image"


def say(text: str) -> None:
    """Print progress."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - a script's output


def _state(file: Path) -> bytes:
    """Changes when the machine's package manager puts another file in its place."""
    found = file.stat()
    return f"{file} {found.st_size} {found.st_mtime_ns}\n".encode()


def _rules() -> str:
    """What says which files go in."""
    here = Path(__file__).parent
    return _hash(*((here / name).read_bytes() for name in ("rootfs.py", "product.py")))


def site(kind: str, lock: Path) -> Blob:
    """The layer of the packages that ``lock`` names."""
    folder = installed(lock)
    return cached(kind, f"{folder.name}-{_rules()}", lambda _: packages(folder))


def installed(lock: Path) -> Path:
    """The locked packages, installed and compiled; from the cache when they were before."""
    folder = cache() / f"site-{_hash(lock.read_bytes(), sys.version.encode())}"

    def make(part: Path) -> None:
        _install(
            *("--no-deps", "--require-hashes", "--only-binary=:all:"),
            *("--target", str(part), "-r", str(lock)),
        )
        _compile(part)
        shutil.rmtree(part / "bin", ignore_errors=True)

    _once(folder, f"installing the packages of {lock.name}", make)
    return folder


def _compiled(folder: Path) -> Iterable[Entry]:
    """The interpreter, with the code of its modules."""
    entries = list(interpreter())
    library = f"{PREFIX}/lib/python{VERSION}/"
    for entry in entries:
        if entry.path.startswith(library) and isinstance(entry.content, Path):
            place = folder / entry.path.removeprefix(library)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(entry.content, place)
    _compile(folder)
    yield from entries
    for path in sorted(folder.rglob("*.pyc")):
        yield Entry(library + path.relative_to(folder).as_posix(), path)


def _compile(folder: Path) -> None:
    """Put code beside the modules, which nobody can do in an image that is read only.

    It is not checked against the sources, whose times are the same in every image.  A process of its
    own compiles, because code that comes after other code is not the same to the bit.
    """
    command = [sys.executable, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"]
    command += ["-s", str(folder), "-p", f"/{SITE}", str(folder)]
    env = {**os.environ, "PYTHONHASHSEED": "0"}
    if subprocess.run(command, check=False, env=env, stdout=subprocess.DEVNULL).returncode:  # noqa: S603
        say(f"some modules below {folder} cannot be compiled; they are taken as they are")


def _install(*arguments: str) -> None:
    _pip("install", "--no-compile", *arguments)


def _pip(verb: str, *arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", verb, "--quiet"]
    # In an engine root is the only user there is.
    env = {**os.environ, "PIP_ROOT_USER_ACTION": "ignore"}
    subprocess.run([*command, *arguments], check=True, env=env)  # noqa: S603 - our own command


def _version() -> str:
    found: dict[str, str] = {}
    exec((ROOT / "common/tenure_common/version.py").read_text(encoding="utf-8"), found)  # noqa: S102
    return found["VERSION"]


def _hash(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()[:16]
