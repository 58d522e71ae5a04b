"""The image: what is in it, what is not, and that its program runs in it without rights.

In scope: the archive that ``image/build.py`` writes, and that the Dockerfile makes the same.  Out of
scope: the image in pods (tests/kubernetes).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Barrier, BrokenBarrierError
from typing import Any

import pytest
from oci import sbom
from oci.archive import Entry, Image, layer, write
from oci.product import LAYERS, build, cached, image_of, unpack
from oci.rootfs import BY_NAME, LIBRARIES, VERSION, libraries

from tenure_common.version import VERSION as TENURE

NAME = "tenure.dev/tenure:test"
ROOT = Path(__file__).resolve().parents[2]
ROLES = ("dev", "sidecar", "gateway", "operator", "injector", "upkeep", "doctor")


class Archive:
    """An OCI archive, read by its digests."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.index = json.loads(self._read("index.json"))
        (self.described,) = self.index["manifests"]
        self.manifest = json.loads(self.blob(self.described))
        self.config = json.loads(self.blob(self.manifest["config"]))

    def _read(self, name: str) -> bytes:
        with tarfile.open(self._path) as tar:
            data = tar.extractfile(name)
            assert data is not None
            return data.read()

    def blob(self, described: dict[str, Any]) -> bytes:
        """A blob, whose digest and size must be right."""
        digest = described["digest"].removeprefix("sha256:")
        data = self._read(f"blobs/sha256/{digest}")
        assert hashlib.sha256(data).hexdigest() == digest
        assert len(data) == described["size"]
        return data

    def layers(self) -> Iterator[tarfile.TarFile]:
        for described in self.manifest["layers"]:
            digest = described["digest"].removeprefix("sha256:")
            with tarfile.open(self._path) as whole:
                data = whole.extractfile(f"blobs/sha256/{digest}")
                assert data is not None
                with tarfile.open(fileobj=data) as tar:
                    yield tar


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("image") / "tenure.tar"
    build(NAME, path)
    return path


@pytest.fixture(scope="module")
def archive(file: Path) -> Archive:
    return Archive(file)


@pytest.fixture(scope="module")
def root(archive: Archive, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file system, unpacked."""
    folder = tmp_path_factory.mktemp("root")
    folder.chmod(0o755)
    for tar in archive.layers():
        tar.extractall(folder, filter="tar")
    return folder


def names(archive: Archive) -> list[str]:
    return [name for tar in archive.layers() for name in tar.getnames()]


def test_the_archive_is_an_oci_layout(archive: Archive) -> None:
    assert archive.index["schemaVersion"] == 2
    assert archive.described["annotations"]["io.containerd.image.name"] == NAME
    assert [layer["digest"] for layer in archive.manifest["layers"]] == archive.config["rootfs"][
        "diff_ids"
    ]
    for described in archive.manifest["layers"]:
        archive.blob(described)


def test_the_same_sources_give_the_same_image(file: Path, tmp_path: Path) -> None:
    build(NAME, tmp_path / "again.tar")
    assert (tmp_path / "again.tar").read_bytes() == file.read_bytes()


def test_it_runs_tenure_as_nobody_in_particular(archive: Archive) -> None:
    run = archive.config["config"]
    assert run["User"] == "65532:65532"
    assert run["Entrypoint"] == ["/usr/local/bin/tenure"]
    assert run["Labels"]["org.opencontainers.image.version"] == TENURE


def test_nothing_that_builds_or_tests_is_in_it(archive: Archive) -> None:
    found = names(archive)
    programs = {Path(name).name for name in found if "/bin/" in name}
    assert programs == {"python3", f"python{VERSION}", "tenure"}
    unwanted = re.compile(r"/(pip|setuptools|wheel|ensurepip|pytest|idlelib|tkinter)(/|-|$)")
    assert not [name for name in found if unwanted.search(name)]
    assert not [name for name in found if name.endswith((".c", ".h", ".a"))]


def test_nothing_can_be_written_by_its_user_but_tmp(archive: Archive) -> None:
    writable = [
        member.name
        for tar in archive.layers()
        for member in tar.getmembers()
        if not member.issym() and (member.mode & 0o022 or (member.uid, member.gid) != (0, 0))
    ]
    assert writable == ["tmp"]


def test_the_bill_names_every_package(root: Path) -> None:
    bill = json.loads((root / sbom.PLACE).read_text())
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.5")
    listed = {
        (one["name"].lower().replace("_", "-").replace(".", "-"), one.get("version"))
        for one in bill["components"]
    }
    locked = re.findall(
        r"^([a-z0-9.-]+)==([^ ]+)", (ROOT / "requirements/image.txt").read_text(), re.MULTILINE
    )
    assert len(locked) > 30
    for name, version in locked:
        assert (name.replace(".", "-"), version) in listed
    assert ("tenure", TENURE) in listed
    assert any(name == "libc-so-6" for name, _ in listed)


def inside(root: Path, *command: str) -> str:
    """What a program prints that sees nothing but the image, as its user."""
    if os.geteuid():
        pytest.skip("only root may change the root directory")
    ran = subprocess.run(
        [shutil.which("chroot") or "chroot", "--userspec=65532:65532", root, *command],
        capture_output=True,
        text=True,
        check=False,
        env={},
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_the_program_runs(root: Path) -> None:
    assert inside(root, "/usr/local/bin/tenure", "--version") == f"tenure, version {TENURE}\n"


@pytest.mark.parametrize("role", ROLES)
def test_every_role_is_there(root: Path, role: str) -> None:
    assert f"usage: tenure {role}" in inside(root, "/usr/local/bin/tenure", role, "--help")


def test_errors_have_their_pages(root: Path) -> None:
    assert "TN0405" in inside(root, "/usr/local/bin/tenure", "explain", "TN0405")


def test_every_library_can_be_loaded(root: Path) -> None:
    modules = "ssl, sqlite3, uvloop, grpc, pygrpc_native, kopf, kubernetes, aiohttp, cryptography"
    program = f"import {modules}; ssl.create_default_context(); print('loaded')"
    assert inside(root, "/usr/local/bin/python3", "-c", program) == "loaded\n"


def test_modules_are_compiled(root: Path) -> None:
    program = "import tenure_sidecar.runtime as m; print(m.__cached__)"
    cached = inside(root, "/usr/local/bin/python3", "-c", program).strip()
    assert (root / cached.lstrip("/")).exists()


def test_the_dockerfile_makes_the_same() -> None:
    text = (ROOT / "image/Dockerfile").read_text().replace("\\\n", " ")
    lines = [line.partition(" ") for line in text.splitlines() if re.match("[A-Z]", line)]
    said = [(word, " ".join(value.split())) for word, _, value in lines]
    for told in (value for word, value in said if word == "COPY" and "--from" not in value):
        assert (ROOT / told.split()[0]).exists(), told
    made = [run for word, run in said if word == "RUN" and "image/build.py" in run]
    layers = re.findall(r"--root /image/(\w+) --layer (\w+)", " ".join(made))
    assert layers == [(name, name) for name in LAYERS]
    assert "--require-hashes" in text
    # The last stage holds these and nothing else.
    last = said[[word for word, _ in said].index("FROM", 2) :]
    assert last[: 1 + len(LAYERS)] == [
        ("FROM", "scratch"),
        *(("COPY", f"--from=build /image/{name} /") for name in LAYERS),
    ]
    wanted = image_of(NAME)
    run = dict(last)
    assert run["USER"] == wanted.user
    assert json.loads(run["ENTRYPOINT"]) == list(wanted.entrypoint)
    assert dict(one.split("=", 1) for one in run["ENV"].split()) == wanted.env
    assert "RUN" not in run


def test_a_layer_can_be_a_folder(tmp_path: Path) -> None:
    unpack(["python"], tmp_path)
    assert (tmp_path / f"usr/local/bin/python{VERSION}").exists()
    assert (tmp_path / "tmp").stat().st_mode & 0o7777 == 0o1777
    assert not (tmp_path / "usr/local/bin/tenure").exists()


def test_only_libraries_that_something_loads_are_in_it(root: Path) -> None:
    programs = [path for path in root.rglob("*") if path.is_file() and not path.is_symlink()]
    programs = [one for one in programs if one.name.startswith("python3") or ".so" in one.name]
    loaded = set(libraries(programs))
    own = {path.name for path in (root / LIBRARIES).iterdir()} - set(BY_NAME)
    assert own - loaded == set()


def test_the_image_does_not_say_where_it_was_built(root: Path) -> None:
    assert not list(root.rglob("direct_url.json"))


def test_a_name_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'a' is there twice"):
        layer([Entry("a", b"1"), Entry("a", b"2")], tmp_path / "layer.tar")


def test_a_small_image(tmp_path: Path) -> None:
    made = layer(
        [Entry("etc/motd", b"hello"), Entry("bin/sh", target="../busybox")], tmp_path / "layer.tar"
    )
    image = Image(name="example.org/small:1", architecture="amd64", command=("/bin/sh",))
    digest = write(image, [made, made], tmp_path / "small.tar")
    archive = Archive(tmp_path / "small.tar")
    assert archive.described["digest"] == digest
    first, second = ([*tar.getnames()] for tar in archive.layers())
    assert first == second == ["bin", "bin/sh", "etc", "etc/motd"]


def test_two_that_need_a_layer_at_once_make_it_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    made, both = 0, Barrier(2)

    def entries(_: Path) -> list[Entry]:
        nonlocal made
        made += 1
        with suppress(BrokenBarrierError):
            both.wait(0.5)  # if the other one comes in here too, it is within this time
        return []

    with ThreadPoolExecutor() as pool:
        one, two = pool.map(lambda _: cached("test", "key", entries), range(2))
    assert one == two
    assert made == 1
