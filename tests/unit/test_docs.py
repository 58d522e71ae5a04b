"""The form of the documentation: links lead somewhere, decisions have their parts, notes have a kind.

Out of scope: error pages (test_errors.py) and whether the commands work, which the integration layer
finds out by running them.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *(ROOT / "examples").rglob("*.md")])
DECISIONS = sorted((DOCS / "adr").glob("*.md"))
LONGEST_DECISION = 70  # lines: one page

_CODE = re.compile(r"^```.*?^```$|`[^`\n]*`", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def prose(path: Path) -> str:
    """A page without its code."""
    return _CODE.sub("", path.read_text(encoding="utf-8"))


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = _HEADING.findall(path.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken(path: Path) -> list[str]:
    """The links of a page that lead nowhere."""
    found: list[str] = []
    for link in _LINK.findall(prose(path)):
        if re.match(r"[a-z]+:", link):
            continue
        target, _, anchor = unquote(link).partition("#")
        there = (path.parent / target).resolve() if target else path
        inside = there.exists() and there.is_relative_to(ROOT)
        if not inside or (anchor and anchor not in anchors(there)):
            found.append(link)
    return found


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_links_lead_somewhere(path: Path) -> None:
    assert not broken(path)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param("[a](other.md)", [], id="there"),
        pytest.param("[a](gone.md)", ["gone.md"], id="gone"),
        pytest.param("[a](other.md#the-head)", [], id="anchor"),
        pytest.param("[a](other.md#foot)", ["other.md#foot"], id="no-anchor"),
        pytest.param("[a](#here)\n\n# Here", [], id="own-anchor"),
        pytest.param("[a](https://example.com)", [], id="elsewhere"),
        pytest.param("`[a](gone.md)`\n```\n[a](gone.md)\n```", [], id="code"),
        pytest.param("[a](../../outside.md)", ["../../outside.md"], id="outside"),
    ],
)
def test_broken_links_are_found(
    text: str, found: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "root"
    folder = root / "docs"
    folder.mkdir(parents=True)
    monkeypatch.setitem(globals(), "ROOT", root)
    (tmp_path / "outside.md").write_text("x", encoding="utf-8")
    (folder / "other.md").write_text("# The head\n", encoding="utf-8")
    page = folder / "page.md"
    page.write_text(text, encoding="utf-8")
    assert broken(page) == found


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_page_has_one_title(path: Path) -> None:
    text = prose(path)
    assert len(re.findall(r"^# \S", text, re.MULTILINE)) == 1


@pytest.mark.parametrize("path", DECISIONS, ids=name)
def test_decision_has_its_parts_on_one_page(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert re.match(rf"# ADR {path.stem[:4]}: \S", lines[0])
    assert any(re.match(r"Status: (proposed|accepted|replaced by)", line) for line in lines[:6])
    assert [line for line in lines if line.startswith("## ")] == [
        "## Context",
        "## Decision",
        "## Consequences",
    ]
    assert len(lines) <= LONGEST_DECISION


def test_decisions_have_numbers_of_their_own() -> None:
    numbers = [path.stem[:4] for path in DECISIONS]
    assert numbers == sorted(set(numbers))
    assert "0001" in numbers


def test_every_page_can_be_reached_from_the_index() -> None:
    reached: set[Path] = set()
    waiting = [DOCS / "index.md"]
    while waiting:
        page = waiting.pop()
        if page in reached or not page.exists():
            continue
        if page.is_dir():  # a link to a folder shows what is in it
            waiting += page.glob("*.md")
            continue
        reached.add(page)
        links = [link.partition("#")[0] for link in _LINK.findall(prose(page))]
        waiting += [(page.parent / link).resolve() for link in links if link]
    assert [name(path) for path in DOCS.rglob("*.md") if path not in reached] == []


def test_notes_have_a_kind() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    kinds = {kind["directory"] for kind in project["tool"]["towncrier"]["type"]}
    for path in (ROOT / "newsfragments").iterdir():
        if path.name == ".gitignore":
            continue
        assert path.name.split(".")[1] in kinds, path.name
        assert path.read_text(encoding="utf-8").strip()


def test_readme_has_the_two_commands() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "$ make demo" in text
    assert "$ make test" in text
    assert "make test" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_make_targets_explain_themselves_and_are_few() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):(?!=)", text, re.MULTILINE))
    explained = set(re.findall(r"^([a-z-]+):[^#\n]*## \S", text, re.MULTILINE))
    assert targets == explained
    assert {"setup", "test", "demo", "bench"} <= targets
    assert len(targets) <= 15
