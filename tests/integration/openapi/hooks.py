"""What we ask of every answer beside schemathesis's own checks; loaded by its command."""

from __future__ import annotations

from pathlib import Path

import schemathesis

PAGES = Path(__file__).resolve().parents[3] / "docs" / "errors"


@schemathesis.check
def errors_are_explained(
    _ctx: schemathesis.CheckContext, response: schemathesis.Response, _case: schemathesis.Case
) -> None:
    """A refusal has a code with a page, and says something."""
    if response.status_code < 400:
        return
    body = response.json()
    assert (PAGES / f"{body['code']}.md").exists(), f"no page for {body['code']}"
    assert body["message"], "an error without a message"
    assert body["docs"].endswith(body["code"]), body["docs"]
