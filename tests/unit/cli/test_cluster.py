"""``kubectl tenure``: its verbs and flags, kubectl's words, what the API server answers.

kubectl is a script here.  Out of scope: the real one, and a cluster (kubernetes/test_kubectl_plugin).
"""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tenure_cli import kubectl
from tenure_cli.api import Api
from tenure_cli.cluster import GROUP, refused
from tenure_cli.commands import PROCESSES, VERBS
from tenure_cli.connect import Target
from tenure_common.errors import NoGatewayError, NoRightError

ROOT = Path(__file__).resolve().parents[3]


def test_it_has_the_verbs_and_no_process(capsys: pytest.CaptureFixture[str]) -> None:
    assert kubectl.main(["--help"]) == 0
    shown = capsys.readouterr().out
    for name in VERBS:
        assert (f"  {name} " in shown) is (name != "completion")
    for name in PROCESSES:
        assert kubectl.main([name]) == 2


@pytest.mark.parametrize("verb", ["list", "run", "terminate"])
def test_a_verb_has_kubectls_flags(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert kubectl.main([verb, "--help"]) == 0
    shown = capsys.readouterr().out
    assert f"Example: kubectl tenure {verb}" in shown
    for flag in ("-n, --namespace", "--kubeconfig", "--context", "--as ", "--as-group", "--app"):
        assert flag in shown
    assert "--server" not in shown


def test_the_program_is_installed_under_kubectls_name() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    module, _, function = scripts["kubectl-tenure"].partition(":")
    assert getattr(__import__(module, fromlist=[function]), function) is kubectl.main


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from tenure_cli.kubectl import main; main(['list', '--help']);"
        "heavy = {'kubernetes', 'aiohttp', 'rich', 'yaml'} & set(sys.modules); sys.exit(str(heavy) "
        "if heavy else 0)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


def test_kubectls_own_words_are_passed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    program = tmp_path / "kubectl"
    program.write_text('#!/bin/sh\necho "error: no such context: $*" >&2\nexit 1\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    words = ["--context", "old", "list", "--context", "new", "--as", "me", "--as-group", "us"]
    assert kubectl.main(words) == 2
    said = capsys.readouterr().err
    assert said.startswith("kubectl tenure: TN0009: kubectl cannot be used: error: no such context")
    assert "--context=new --as=me --as-group=us" in said
    assert f"--accept-paths=^{GROUP}/" in said
    assert not list(tmp_path.glob("tenure-*"))


@pytest.mark.parametrize(
    ("status", "body", "error", "words"),
    [
        (403, {"kind": "Status", "message": "no list", "code": 403}, NoRightError, "no list; "),
        (401, {"kind": "Status", "message": "Unauthorized"}, NoRightError, "Unauthorized"),
        (404, "404 page not found", NoGatewayError, "is Tenure's chart installed"),
        (503, {"kind": "Status", "message": "away"}, NoGatewayError, "(away)"),
        (502, "<html>", NoGatewayError, "apiservice v1alpha1.manage.tenure.dev"),
    ],
)
def test_what_the_api_server_says(
    status: int, body: object, error: type[Exception], words: str
) -> None:
    text = body if isinstance(body, str) else json.dumps(body)
    found = refused(status, text.encode())
    assert type(found) is error
    assert words in found.message


@pytest.mark.parametrize("status", [400, 403, 404, 503])
def test_what_the_gateway_says_is_its_own(status: int) -> None:
    assert refused(status, b'{"code": "TN0101", "message": "m"}') is None


def test_paths_of_the_cluster() -> None:
    target = Target(
        server="http://localhost", base=GROUP, lasting=f"{GROUP}/watch", nested=True,
        namespace="shop", app="orders",
    )  # fmt: skip
    api = Api(target)
    parts = api._parts(("instances", "a/b %", "watch"))
    ending = "namespaces/shop/apps/orders/instances/a%252Fb%2520%2525/watch"
    assert api._url(parts, lasting=True) == f"http://localhost{GROUP}/watch/{ending}"
    assert api._url(parts, lasting=False) == f"http://localhost{GROUP}/{ending}"
