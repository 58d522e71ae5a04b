"""The demo on a cluster of your own: chart, app, workflow, schedule; then all is taken away again.

It says what it will do and asks before it does it.  It needs ``helm`` and ``kubectl``, and an image of
Tenure that your nodes can pull.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

CHART = Path(__file__).resolve().parents[1] / "charts" / "tenure"
RELEASE: Final = "tenure-demo"
SYSTEM, APP = "tenure-demo-system", "tenure-demo"
WITHIN: Final = 300.0  # seconds for each step
_MINE: Final = "app.kubernetes.io/name=tenure"

Say = Callable[[str], None]


class DemoError(Exception):
    """The demo cannot go on; the message says why."""


class Context:
    """A cluster, as kubectl and helm know it."""

    def __init__(self, name: str, say: Say) -> None:
        """Nothing is asked yet."""
        self.name = name
        self._say = say

    def kubectl(self, *words: str, stdin: str | None = None) -> str:
        """What kubectl prints.  Raises: DemoError."""
        return _run(["kubectl", "--context", self.name, *words], stdin)

    def helm(self, *words: str) -> str:
        """What helm prints.  Raises: DemoError."""
        return _run(["helm", "--kube-context", self.name, *words])

    def shown(self, *words: str) -> None:
        """A kubectl command and its answer, for people."""
        self._say(f"$ kubectl {' '.join(words)}\n{self.kubectl(*words)}")

    def there(self, kind: str, *words: str) -> list[str]:
        """Names of objects."""
        return self.kubectl("get", kind, "-o", "name", "--ignore-not-found", *words).split()


def _run(command: Sequence[str], stdin: str | None = None) -> str:
    try:
        ran = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        message = f"'{command[0]}' is not installed"
        raise DemoError(message) from error
    if ran.returncode:
        message = f"{' '.join(command)}: {ran.stderr.strip()}"
        raise DemoError(message)
    return ran.stdout


def plan(context: Context, options: argparse.Namespace, server: str) -> str:
    """What will be done."""
    return f"""\
On the cluster {server} (context '{context.name}') this demo will

  * create the namespaces {SYSTEM} and {APP},
  * install the chart as release '{RELEASE}' with the image {options.image},
    among it a webhook that is asked about pods with Tenure's annotation, and resource definitions,
  * run the smallest app there with one annotation, a workflow of it, and a schedule,
  * and take all of it away again.
"""


def checked(context: Context) -> bool:
    """Whether the definitions of the resources are there already.

    Raises: DemoError when the demo would disturb something.
    """
    if found := context.there("mutatingwebhookconfigurations", "-l", _MINE):
        message = f"Tenure is installed in this cluster already ({', '.join(found)})"
        raise DemoError(message)
    if found := context.there("namespaces", SYSTEM, APP):
        message = f"there are {', '.join(found)} already: delete them first"
        raise DemoError(message)
    return bool(context.there("crds", "workflows.tenure.dev"))


def app(image: str) -> list[dict[str, Any]]:
    """The app: what ``tenure selftest`` is, with one annotation."""
    labels = {"app": "demo"}
    container = {
        "name": "app",
        "image": image,
        "args": ["selftest"],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    return [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "demo", "namespace": APP},
            "spec": {
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels, "annotations": {"tenure.dev/inject": "true"}},
                    "spec": {"containers": [container]},
                },
            },
        }
    ]


def resources() -> list[dict[str, Any]]:
    """A workflow and a schedule."""
    spec = {"appID": "demo", "workflow": "Selftest", "input": 21}
    return [
        {
            "apiVersion": "tenure.dev/v1alpha1",
            "kind": "Workflow",
            "metadata": {"name": "demo", "namespace": APP},
            "spec": spec,
        },
        {
            "apiVersion": "tenure.dev/v1alpha1",
            "kind": "WorkflowSchedule",
            "metadata": {"name": "every-minute", "namespace": APP},
            "spec": {"schedule": "* * * * *", "workflowTemplate": {"spec": spec}},
        },
    ]


def install(context: Context, options: argparse.Namespace, *, definitions: bool) -> None:
    """Chart and app.  Raises: DemoError."""
    repository, _, tag = options.image.rpartition(":")
    etcd, _, etcd_tag = options.etcd_image.rpartition(":")
    values = {
        "image": {"repository": repository, "tag": tag},
        "crds": {"enabled": not definitions, "keep": False},
        "store": {"namespaces": [APP], "etcd": {"persistence": {"enabled": False}}},
    }
    if etcd:
        values["store"]["etcd"]["image"] = {"repository": etcd, "tag": etcd_tag}
    for name in (SYSTEM, APP):
        context.kubectl("create", "namespace", name)
    given = [f"--set-json={key}={json.dumps(value)}" for key, value in values.items()]
    wait = ("--wait", f"--timeout={WITHIN:.0f}s")
    context.helm("install", RELEASE, str(CHART), "--namespace", SYSTEM, *given, *wait)
    context.kubectl(
        "apply",
        "-f",
        "-",
        stdin=json.dumps({"kind": "List", "apiVersion": "v1", "items": app(options.image)}),
    )
    context.kubectl("-n", APP, "rollout", "status", "deployment/demo", f"--timeout={WITHIN:.0f}s")


def story(context: Context, say: Say) -> None:
    """A workflow and a run of a schedule.  Raises: DemoError."""
    items = {"kind": "List", "apiVersion": "v1", "items": resources()}
    context.kubectl("apply", "-f", "-", stdin=json.dumps(items))
    wait = f"--timeout={WITHIN:.0f}s"
    context.kubectl("-n", APP, "wait", "--for=condition=Completed", "workflow/demo", wait)
    output = context.kubectl(
        "-n", APP, "get", "workflow", "demo", "-o", "jsonpath={.status.output}"
    )
    if output != "42":
        message = f"the workflow's output is {output} instead of 42"
        raise DemoError(message)
    say("a run of the schedule, within a minute:")
    label = "tenure.dev/schedule=every-minute"
    deadline = time.monotonic() + WITHIN
    while "Completed" not in context.kubectl("-n", APP, "get", "workflows", "-l", label):
        if time.monotonic() > deadline:
            message = "the schedule has started nothing that completed"
            raise DemoError(message)
        time.sleep(1)
    context.shown("-n", APP, "get", "workflows,workflowschedules")


def clean(context: Context) -> None:
    """Take everything away.  Resources first: the operator ends their runs and lets them go."""
    wait = f"--timeout={WITHIN:.0f}s"
    if context.there("crds", "workflows.tenure.dev"):
        for kind in ("workflowschedules", "workflows"):
            context.kubectl("-n", APP, "delete", kind, "--all", wait)
    if context.there("namespaces", SYSTEM):
        context.helm(
            "uninstall", RELEASE, "--namespace", SYSTEM, "--ignore-not-found", "--wait", wait
        )
    for name in (APP, SYSTEM):
        context.kubectl("delete", "namespace", name, "--ignore-not-found", wait)


def main(arguments: Sequence[str], say: Say) -> int:
    """The demo; returns the exit code."""
    parser = argparse.ArgumentParser(prog="make demo-kubernetes", description=__doc__)
    parser.add_argument("--context", required=True, help="a context of your kubeconfig")
    parser.add_argument("--image", required=True, help="Tenure, as your nodes pull it: NAME:TAG")
    parser.add_argument("--etcd-image", default="", help="another image of etcd: NAME:TAG")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--keep", action="store_true", help="do not take it away again")
    options = parser.parse_args(arguments)
    context = Context(options.context, say)
    try:
        server = context.kubectl(
            "config", "view", "--minify", "-o", "jsonpath={.clusters[0].cluster.server}"
        )
        definitions = checked(context)
        say(plan(context, options, server))
        if not options.yes and input("Go on? [y/N] ").strip().lower() != "y":
            return 2
        try:
            install(context, options, definitions=definitions)
            story(context, say)
        finally:
            if not options.keep:
                say("taking it away ...")
                clean(context)
    except DemoError as error:
        say(f"The demo failed: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], print))
