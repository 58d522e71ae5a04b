"""The pages that need a cluster work as they stand: every file is applied, every command typed.

Real API server, real kubectl, real engine, a stock app, an operator.  In scope: the how-to pages that
type ``kubectl`` and need no pods, and that the page of the resources names every reason that there
is.  Out of scope: pages without a cluster (tests/integration/docs), pages with pods (tests/pods), the
generated tables (tests/unit/test_reference).
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.kube.controlplane import ControlPlane
from support.kube.operating import Rig, at_work
from support.pages import Command, Shell, commands, files, needs_a_cluster, needs_pods
from tenure_common.names import API_GROUP

APP = Path(__file__).parent / "apps" / "orders.py"
ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    path
    for path in (*ROOT.glob("*.md"), *sorted((ROOT / "docs").rglob("*.md")))
    for text in (path.read_text(encoding="utf-8"),)
    if needs_a_cluster(text) and not needs_pods(text)
]
KINDS = "workflowapps,workflowschedules,workflowevents,workflows"


@pytest.fixture(scope="module")
def rig(installed: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """Engine, app and one operator."""
    with at_work(installed, tmp_path_factory.mktemp("pages"), APP) as rig:
        yield rig


@pytest.fixture
def shell(rig: Rig, page: Path, tmp_path: Path) -> Iterator[Shell]:
    """A shell with the page's files, and with kubectl in the rig's namespace."""
    for name, content in files(page.read_text(encoding="utf-8")):
        (tmp_path / name).write_text(content, encoding="utf-8")
    config = shutil.copy(rig.kubectl.kubeconfig, tmp_path / ".kubeconfig")
    env = {
        "PATH": os.pathsep.join([str(rig.kubectl.program.parent), os.environ["PATH"]]),
        "HOME": str(tmp_path),
        "LC_ALL": "C.UTF-8",
        "KUBECONFIG": str(config),
    }
    running = Shell(tmp_path, env)
    kubectl = f"kubectl config set-context --current --namespace={rig.namespace}"
    running.run(Command(kubectl, ()))
    yield running
    running.close()
    rig.kubectl("delete", KINDS, "--all", "--timeout=60s")


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_page(page: Path, shell: Shell) -> None:
    for command in commands(page.read_text(encoding="utf-8")):
        shell.run(command)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_of_a_page_is_used(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    typed = " ".join(command.typed for command in commands(text))
    assert re.findall(r"-f (\S+)", typed) == [name for name, _ in files(text)]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_example_is_left_out(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    titled = {content for _, content in files(text)}
    for block in re.findall(r"^```yaml[^\n]*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        assert block in titled, "an example without a title is not applied by anything"


def test_every_kind_has_an_example() -> None:
    shown: set[Any] = set()
    for page in PAGES:
        for _, content in files(page.read_text(encoding="utf-8")):
            one = yaml.safe_load(content)
            assert one["apiVersion"].startswith(f"{API_GROUP}/")
            shown.add(one["kind"])
    assert shown == {"Workflow", "WorkflowSchedule", "WorkflowEvent", "WorkflowApp"}
