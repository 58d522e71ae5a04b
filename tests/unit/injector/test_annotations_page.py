"""docs/reference/annotations.md says of each annotation what the code says.

``TENURE_WRITE_GOLDEN=1`` writes the tables anew.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec

from tenure_injector import annotation_set, dapr
from tenure_injector.options import PREFIX, Options

PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "annotations.md"


def value(kind: Any) -> str:
    """What a value looks like, in words."""
    if kind.form is not None:
        return str(kind.form)
    if kind.parse is not None:
        return {"checked": "quantity", "variables": "list", "secrets": "list", "mounts": "list"}[
            kind.parse.__name__
        ]
    if get_origin(kind.type) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(kind.type))
    if kind.type is bool:
        return "`true`, `false`"
    assert get_origin(kind.type) is Annotated
    (meta,) = [one for one in get_args(kind.type)[1:] if isinstance(one, msgspec.Meta)]
    return f"{meta.ge} to {meta.le}"


def ours() -> str:
    rows = ["| annotation | value | meaning |", "|---|---|---|"]
    for field in msgspec.structs.fields(Options):
        name = f"{PREFIX}{field.name.replace('_', '-')}"
        text = field.type.__metadata__[0].description
        rows.append(f"| `{name}` | {value(annotation_set.KINDS[name])} | {text} |")
    return "\n".join(rows)


def daprs() -> str:
    said = {name: f"`{PREFIX}{ours}`" for name, (ours, _) in dapr.COUNTERPARTS.items()}
    said |= {name: f"no effect: {reason}" for name, reason in dapr.WITHOUT_EFFECT.items()}
    rows = ["| annotation of Dapr | counts as |", "|---|---|"]
    rows += [f"| `dapr.io/{name}` | {text} |" for name, text in sorted(said.items())]
    return "\n".join(rows)


def generated(page: str) -> str:
    """The page with its tables made from the code."""
    for module, table in (("options", ours()), ("dapr", daprs())):
        begin = f"<!-- generated from tenure_injector/{module}.py: begin -->"
        pattern = re.compile(rf"({re.escape(begin)}\n).*?(<!-- generated: end -->)", re.DOTALL)
        page, times = pattern.subn(lambda m, t=table: f"{m[1]}\n{t}\n\n{m[2]}", page)
        assert times == 1, module
    return page


def test_page_is_what_the_code_says() -> None:
    page = PAGE.read_text(encoding="utf-8")
    if os.environ.get("TENURE_WRITE_GOLDEN") == "1":
        PAGE.write_text(generated(page), encoding="utf-8")
        page = PAGE.read_text(encoding="utf-8")
    assert page == generated(page)
