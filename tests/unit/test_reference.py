"""The generated parts of the reference are those that the code makes today."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


def generator() -> ModuleType:
    """docs/generate.py as a module."""
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATE = generator()


@pytest.mark.parametrize("name", sorted(GENERATE.PAGES))
def test_page_is_up_to_date(name: str) -> None:
    found = (GENERATE.REFERENCE / name).read_text(encoding="utf-8")
    assert found == GENERATE.page(name), "run: python docs/generate.py"


def test_management_api_names_every_route_and_type() -> None:
    from tenure_sidecar.http.manage.openapi import build

    text = GENERATE.management_api()
    document = build()
    for path, item in document["paths"].items():
        for method in item:
            assert f"`{method.upper()} {path}`" in text
    for name in document["components"]["schemas"]:
        assert f"### {name}\n" in text


def test_links_of_types_have_their_headings() -> None:
    text = GENERATE.management_api()
    headings = {heading.lower() for heading in re.findall(r"^### (\S+)$", text, re.MULTILINE)}
    assert set(re.findall(r"\]\(#(\w+)\)", text)) <= headings


def test_a_page_without_the_mark_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(GENERATE, "REFERENCE", tmp_path)
    (tmp_path / "management-api.md").write_text("# Title\n", encoding="utf-8")
    with pytest.raises(ValueError, match="has no line"):
        GENERATE.page("management-api.md")
