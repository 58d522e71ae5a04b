"""The served OpenAPI document and the server that serves it say the same.

schemathesis sends what the document allows and what it forbids to a real engine, one operation at a
time and in sequences (start, then act on what was started), and checks status, content type, headers
and body of every answer.  The number of examples is bounded and they are the same every time.
Watches have no end, so their lines are read here and checked against the schema of a line.  Out of
scope: what the operations do (unit/http/manage).
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from support.engine import EngineProcess

HERE = Path(__file__).resolve().parent
ST = Path(sys.executable).with_name("st")
SMALLEST = 1_000  # cases; fewer would mean that operations were left out


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    engine = EngineProcess(tmp_path_factory.mktemp("openapi"))
    engine.start()
    yield engine
    engine.close()


@pytest.mark.timeout(600)
def test_every_operation_keeps_to_the_document(engine: EngineProcess, tmp_path: Path) -> None:
    ran = subprocess.run(
        [
            str(ST),
            f"--config-file={HERE / 'schemathesis.toml'}",
            "run",
            f"{engine.http_url}/openapi.json",
            "--checks=all",
            # The settings are all that has a DELETE, and are there all the same: with nothing set.
            "--exclude-checks=use_after_free",
            "--max-examples=10",
            "--seed=1",
            "--generation-deterministic",
            "--request-timeout=30",
            "--continue-on-failure",
            "--no-color",
        ],
        env={**os.environ, "SCHEMATHESIS_HOOKS": str(HERE / "hooks.py")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}\n{engine.tail()}"
    cases = re.search(r"(\d+) generated, \1 passed", ran.stdout)
    assert cases is not None, ran.stdout
    assert int(cases[1]) >= SMALLEST, ran.stdout
    assert "Selected: 25/27" in ran.stdout, ran.stdout


def ask(engine: EngineProcess, method: str, path: str, body: Any = None) -> Any:
    request = urllib.request.Request(  # noqa: S310 - our own engine
        f"{engine.http_url}{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
    )
    with urllib.request.urlopen(request) as answer:  # noqa: S310
        return json.load(answer)


@pytest.mark.parametrize("place", ["/watch", "/instances/{id}/watch"])
def test_lines_of_a_watch_keep_to_the_document(engine: EngineProcess, place: str) -> None:
    document = ask(engine, "GET", "/openapi.json")
    operation = document["paths"][f"/v1alpha1/apps/{{app}}{place}"]["get"]
    schema = operation["responses"]["200"]["content"]["application/x-ndjson"]["schema"]
    validator = jsonschema.Draft202012Validator(
        {**schema, "components": document["components"]},
    )
    base = "/v1alpha1/apps/test"
    started = ask(engine, "POST", f"{base}/instances", {"workflow": "seen", "input": {"a": 1}})
    one = started["instance"]["instanceId"]
    kinds: list[str] = []
    url = f"{engine.http_url}{base}{place.replace('{id}', one)}"
    with urllib.request.urlopen(url, timeout=60) as stream:  # noqa: S310
        for text in stream:
            line = json.loads(text)
            validator.validate(line)
            kinds.append(line["type"])
            if line["type"] == "SYNCED":
                ask(engine, "POST", f"{base}/instances/{one}/purge", {"force": True})
            if line["type"] == "DELETED" and line["instanceId"] == one:
                break
    assert {"CHANGED", "SYNCED", "DELETED"} <= set(kinds)
    with pytest.raises(jsonschema.ValidationError):
        validator.validate({"type": "DELETED"})
