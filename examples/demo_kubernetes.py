"""The demo on Kubernetes: a real cluster that is thrown away, the chart, an app, resources.

The cluster is the one of the tests (tests/support/kube): etcd, API server, kubelet and containerd in
namespaces of their own.  It needs Linux and root, and its programs are built once, from source.
Nothing of it is left on the machine but these programs, in the cache folder.

With ``--context NAME`` it takes a cluster of your own instead (demo_context.py).

The exit status is 0 when every workflow completed, else 1.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "image"), str(ROOT / "examples")]

import demo_context  # noqa: E402 - the path is set above

from support.helm import Helm  # noqa: E402 - the path is set above
from support.kube.cluster import running  # noqa: E402
from support.kube.debian import tools  # noqa: E402
from support.kube.programs import programs  # noqa: E402
from support.kube.toolchain import UnavailableError  # noqa: E402
from support.kube.whole import Shop, install  # noqa: E402

STEPS = 60
WORKFLOW = f"""\
apiVersion: tenure.dev/v1alpha1
kind: Workflow
metadata: {{name: demo}}
spec: {{appID: shop, workflow: order, input: {STEPS}}}
"""
SCHEDULE = """\
apiVersion: tenure.dev/v1alpha1
kind: WorkflowSchedule
metadata: {name: every-minute}
spec:
  schedule: "* * * * *"
  workflowTemplate: {spec: {appID: shop, workflow: order, input: 2}}
"""


def story(shop: Shop, say: Callable[[str], None]) -> None:
    """A workflow that outlives its pod, and a schedule.  Raises: AssertionError."""
    shop.kubectl.apply(SCHEDULE)
    say(f"$ kubectl apply -f -\n{WORKFLOW}")
    shop.kubectl.apply(WORKFLOW)
    shop.until(lambda: shop.phase("demo") == "Running")
    instance = shop.kubectl.get("workflow", "demo")["status"]["instanceID"]
    shop.until(lambda: shop.steps(instance) > STEPS // 10)
    (pod,) = shop.ready()
    say(f"$ kubectl delete pod {pod}    # in the middle of its {STEPS} steps")
    shop.kubectl("delete", "pod", pod, "--wait=false")
    output = shop.completed("demo")
    if output != STEPS:
        message = f"{output} steps instead of {STEPS}"
        raise AssertionError(message)
    say(f"completed on {', '.join(shop.ready())}: {output} steps\n")
    say("a run of the schedule, within a minute:")
    label = "tenure.dev/schedule=every-minute"
    shop.until(lambda: "Completed" in shop.kubectl("get", "workflows", "-l", label))
    say("$ kubectl get workflows,workflowschedules")
    say(shop.kubectl("get", "workflows,workflowschedules"))


def main() -> int:
    """Bring the cluster up, tell the story, take it down."""

    def say(text: str) -> None:
        print(text, flush=True)

    if len(sys.argv) > 1:
        return demo_context.main(sys.argv[1:], say)
    try:
        programs()
        tools()
        with tempfile.TemporaryDirectory(prefix="tenure-demo-") as place:
            folder = Path(place)
            say("==> a Kubernetes cluster, for this demo alone")
            with running(folder) as cluster:
                say(
                    "==> helm install tenure charts/tenure, an etcd, and an app with one annotation"
                )
                helm = Helm(folder / "helm", kubeconfig=cluster.plane.admin)
                story(install(cluster, helm), say)
    except (AssertionError, UnavailableError) as error:
        say(f"The demo failed: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
