"""The shape of the repository: what may exist, what imports what, what is shipped.

Each check of a tool is also shown to catch a planted violation, in a copy of the tree: a contract
that cannot fail protects nothing.  Out of scope: style (the lint layer runs the linters).
"""

from __future__ import annotations

import re
import shutil
import statistics
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
FOLDERS = ("operator", "injector", "sidecar", "common", "cli")
SOURCES = sorted(
    path
    for folder in FOLDERS
    for path in (ROOT / folder).rglob("*.py")
    if "_generated" not in path.parts
)
LARGEST_MODULE = 600
LARGEST_MEDIAN = 150


def tracked() -> list[Path]:
    """Files that git knows, or would add."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [path for line in found.stdout.splitlines() if (path := ROOT / line).is_file()]


# --- what may exist -------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", [*FOLDERS, "tests", "tests/unit", "bench", "examples"])
def test_folder_is_no_package(folder: str) -> None:
    # operator/__init__.py would shadow the standard library; tests/.../__init__.py breaks imports.
    assert not (ROOT / folder / "__init__.py").exists()


def test_no_init_under_tests() -> None:
    assert not [
        path for path in (ROOT / "tests").rglob("__init__.py") if "protocol" not in path.parts
    ]


def test_each_folder_holds_one_package() -> None:
    for folder in FOLDERS:
        if (ROOT / folder).exists():
            inside = {path.name for path in (ROOT / folder).iterdir() if path.is_dir()}
            assert inside <= {f"tenure_{folder}"}, folder


def test_test_modules_have_unique_names() -> None:
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))


def test_no_module_is_called_like_nothing_in_particular() -> None:
    vague = {"utils.py", "util.py", "helpers.py", "helper.py", "manager.py", "misc.py", "common.py"}
    assert not [path for path in SOURCES if path.name in vague]


def test_modules_are_small() -> None:
    sizes = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES}
    big = {
        str(path.relative_to(ROOT)): size for path, size in sizes.items() if size > LARGEST_MODULE
    }
    assert not big
    assert statistics.median(size for size in sizes.values() if size) <= LARGEST_MEDIAN


def test_each_module_says_what_it_is() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for path in SOURCES
        if (text := path.read_text(encoding="utf-8")) and not text.startswith(('"""', 'r"""'))
    ]
    assert not silent


def test_packages_are_typed() -> None:
    for package in PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]:
        assert (ROOT / package / "py.typed").exists(), package


def test_version_is_in_one_place() -> None:
    assert "version" not in PROJECT["project"]
    assert "version" in PROJECT["project"]["dynamic"]


# --- what is in the files -------------------------------------------------------------------------


def test_no_file_names_an_index_or_a_machine() -> None:
    odd = re.compile(
        r"https?://[^\s\"']*(?:/simple\b|/npm/|/artifactory|/maven2?/)|\"resolved\"\s*:|--index-url"
        r"|--extra-index-url|--find-links|/home/\w+/|/Users/\w+/"
    )
    itself = Path(__file__).resolve()
    found: list[str] = []
    for path in tracked():
        if path == itself or path.suffix in {".db", ".gz", ".png", ".whl"}:
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        found += [f"{path.relative_to(ROOT)}: {match[0]}" for match in odd.finditer(text)]
    assert not found


def test_nothing_is_ignored_without_a_reason() -> None:
    # In pyproject.toml: a comment on the line.
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    inside = text[text.index("ignore = [") : text.index("[tool.ruff.lint.flake8-tidy-imports]")]
    rules = [line for line in inside.splitlines() if re.match(r'\s+"[A-Z]+\d*",', line)]
    assert rules
    assert [line for line in rules if "#" not in line] == []


# --- the lock -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["dev.txt", "sidecar.txt"])
def test_lock_has_a_hash_for_each_package(name: str) -> None:
    text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
    entries = re.split(r"\n(?=[a-z0-9])", text.split("\n", 2)[2])
    assert len(entries) > 10
    for entry in entries:
        assert re.match(r"[a-z0-9._-]+==\S+", entry), entry[:80]
        assert "--hash=sha256:" in entry, entry[:80]


def test_lock_check_sees_a_package_that_is_missing_or_too_old(copy: Path) -> None:
    check = [sys.executable, "requirements/lock.py", "--check"]
    assert run(check, copy).returncode == 0
    lock = copy / "requirements" / "sidecar.txt"
    text = lock.read_text(encoding="utf-8")
    lock.write_text(re.sub(r"\nmsgspec==\S+", "\nmsgspec==0.1", text), encoding="utf-8")
    ran = run(check, copy)
    assert ran.returncode == 1
    assert "sidecar.txt: msgspec>=0.19 is locked at 0.1" in ran.stdout
    lock.write_text(text.replace("\nmsgspec==", "\nmsgspecs=="), encoding="utf-8")
    assert "msgspec>=0.19 is not locked" in run(check, copy).stdout


# --- planted violations ---------------------------------------------------------------------------


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The sources and the configuration, to be spoilt."""
    copied = tmp_path / "tree"
    copied.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md"):
        shutil.copy(ROOT / name, copied / name)
    for folder in (*FOLDERS, "requirements", "docs/errors"):
        skip = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / folder, copied / folder, ignore=skip)
    return copied


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a tool in a copy, importing from the copy."""
    path = [str(folder / name) for name in FOLDERS]
    return subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": str(BIN), "PYTHONPATH": ":".join(path), "HOME": str(folder)},
    )


def imports(folder: Path) -> subprocess.CompletedProcess[str]:
    return run([str(BIN / "lint-imports"), "--no-cache"], folder)


def test_contracts_are_kept(copy: Path) -> None:
    ran = imports(copy)
    assert ran.returncode == 0, ran.stdout


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        pytest.param(
            "cli/tenure_cli/commands.py",
            "import tenure_sidecar.runtime",
            "Deployables share nothing",
            id="cli-imports-sidecar",
        ),
        pytest.param(
            "common/tenure_common/names.py",
            "import tenure_cli.commands",
            "Deployables share nothing",
            id="common-imports-cli",
        ),
        pytest.param(
            "sidecar/tenure_sidecar/store/port.py",
            "import tenure_sidecar.actors.port",
            "The sidecar's layers",
            id="store-imports-actors",
        ),
        pytest.param(
            "sidecar/tenure_sidecar/actors/port.py",
            "import tenure_sidecar.rpc.status",
            "The sidecar's layers",
            id="actors-import-rpc",
        ),
        pytest.param(
            "sidecar/tenure_sidecar/rpc/status.py",
            "import tenure_sidecar.http.replies",
            "The sidecar's layers",
            id="rpc-imports-http",
        ),
        pytest.param(
            "sidecar/tenure_sidecar/dispatch/fair.py",
            "import tenure_sidecar.rpc.status",
            "The sidecar's layers",
            id="dispatch-imports-more-than-the-seam",
        ),
        pytest.param(
            "sidecar/tenure_sidecar/engine/head.py",
            "import tenure_sidecar.store.port",
            "The sidecar's layers",
            id="engine-imports-store",
        ),
        *(
            pytest.param(
                "sidecar/tenure_sidecar/engine/head.py",
                f"import {name}",
                "The engine does no I/O",
                id=f"engine-imports-{name}",
            )
            for name in ("asyncio", "grpc", "time", "random", "os", "threading", "sqlite3")
        ),
        pytest.param(
            "sidecar/tenure_sidecar/engine/head.py",
            "from tenure_common.clock import wall_ns",
            "The engine does no I/O",
            id="engine-reads-the-clock",
        ),
        pytest.param(
            "sidecar/tenure_sidecar/wire/peek.py",
            "import grpc",
            "The codecs do no I/O",
            id="codec-imports-grpc",
        ),
        pytest.param(
            "sidecar/tenure_sidecar/dispatch/fair.py",
            "import time",
            "Only the clock module",
            id="dispatch-imports-time",
        ),
    ],
)
def test_planted_import_is_caught(copy: Path, module: str, line: str, contract: str) -> None:
    path = copy / module
    path.write_text(f"{path.read_text(encoding='utf-8')}\n{line}\n", encoding="utf-8")
    ran = imports(copy)
    assert ran.returncode == 1, ran.stdout
    assert re.search(rf"^{re.escape(contract)}.* BROKEN", ran.stdout, re.MULTILINE), ran.stdout


def test_a_new_module_needs_a_layer(copy: Path) -> None:
    (copy / "sidecar" / "tenure_sidecar" / "novel.py").write_text('"""New."""\n', encoding="utf-8")
    ran = imports(copy)
    assert ran.returncode == 1
    assert "tenure_sidecar.novel" in ran.stdout


@pytest.mark.parametrize(
    ("code", "rule"),
    [
        pytest.param("import time\n\nNOW = time.time()\n", "TID251", id="time"),
        pytest.param("import time\n\nNOW = time.monotonic()\n", "TID251", id="monotonic"),
        pytest.param(
            "from datetime import UTC, datetime\n\nNOW = datetime.now(UTC)\n", "TID251", id="now"
        ),
        pytest.param("from .head import Head\n", "TID252", id="relative-import"),
        pytest.param('print("x")\n', "T201", id="print"),
        pytest.param("assert True\n", "S101", id="assert"),
    ],
)
def test_planted_style_is_caught(copy: Path, code: str, rule: str) -> None:
    path = copy / "sidecar" / "tenure_sidecar" / "novel.py"
    start = '"""New."""\n\nfrom __future__ import annotations\n\n'
    path.write_text(start + code, encoding="utf-8")
    ran = run(
        [str(BIN / "ruff"), "check", "--no-cache", "--output-format=concise", str(path)], copy
    )
    assert ran.returncode == 1
    assert f" {rule} " in ran.stdout, ran.stdout


def test_planted_type_error_is_caught_by_mypy(copy: Path) -> None:
    path = copy / "common" / "tenure_common" / "novel.py"
    path.write_text('"""New."""\n\n\ndef twice(x):\n    return x * 2\n', encoding="utf-8")
    ran = run([str(BIN / "mypy"), "--no-incremental", str(path)], copy)
    assert ran.returncode == 1
    assert "no-untyped-def" in ran.stdout


# --- what is shipped ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the sdist."""
    out = tmp_path_factory.mktemp("dist")
    code = (
        "import sys; from hatchling import build;"
        "build.build_wheel(sys.argv[1]); build.build_sdist(sys.argv[1])"
    )
    subprocess.run([sys.executable, "-c", code, str(out)], cwd=ROOT, check=True)
    return out


def test_wheel_holds_the_packages_and_nothing_else(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    (info,) = {top for top in tops if top.endswith(".dist-info")}
    assert tops == {*(f"tenure_{name}" for name in FOLDERS), info}
    odd = [
        n
        for n in names
        if not n.endswith((".py", ".pyi", ".typed", ".md", ".sql")) and info not in n
    ]
    assert not odd
    assert "tenure_cli/pages/TN0101.md" in names
    assert f"{info}/licenses/LICENSE" in names
    assert f"{info}/entry_points.txt" in names


def test_wheel_holds_every_module(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    for path in tracked():
        parts = path.relative_to(ROOT).parts
        if parts[0] in FOLDERS and path.suffix == ".py":
            assert "/".join(parts[1:]) in names


def test_sdist_can_be_built_again_and_holds_nothing_else(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        tops = {name.split("/", 2)[1] for name in archive.getnames()}
    wanted = {*FOLDERS, "docs", "CHANGELOG.md", "LICENSE", "README.md"}
    assert tops == wanted | {"pyproject.toml", "PKG-INFO", ".gitignore"}


def test_wheel_says_what_it_needs(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    archive = zipfile.ZipFile(wheel)
    (name,) = [n for n in archive.namelist() if n.endswith("METADATA")]
    text = archive.read(name).decode()
    assert "Requires-Python: >=3.11" in text
    assert "License-Expression: Apache-2.0" in text
    plain = [
        line.split()[1]
        for line in text.splitlines()
        if line.startswith("Requires-Dist:") and "extra ==" not in line
    ]
    # What a plain install pulls in is small: nothing that listens.
    assert {re.split(r"[<>=!~]", one)[0] for one in plain} == {"click", "msgspec", "structlog"}
