"""The way through a cluster: ``kubectl tenure`` → kubectl → API server → gateway.

::

    verb ─► HTTP over a socket file of ours ─► kubectl proxy ─► API server ─► gateway
                                               kubeconfig, login  RBAC

kubectl itself reads the kubeconfig and logs in, with whatever plugins that takes, and stays beside
the command while it runs; nobody else can open its socket.  The API server passes requests of the
group ``manage.tenure.dev`` on to the gateway when the user's role allows them, so there is neither
token nor address to be given.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Generator, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Final

import click
import msgspec

from tenure_cli.api import Api
from tenure_cli.connect import OWN_APP, Target
from tenure_cli.ways import Way
from tenure_common import names
from tenure_common.errors import (
    KubectlError,
    NoGatewayError,
    NoRightError,
    TenureError,
    UsageError,
)

GROUP: Final = f"/apis/{names.MANAGE_GROUP}/{names.API_VERSION}"
_ACCOUNT_NAMESPACE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_END_WITHIN: Final = 5.0  # seconds
_SERVES: Final = "Starting to serve"  # what `kubectl proxy` says when it listens


def _options() -> list[click.Parameter]:
    return [
        click.Option(["-n", "--namespace"], metavar="NAME", help="Else the context's."),
        click.Option(["--app"], metavar="ID", help="The app; else the namespace's only one."),
        click.Option(["--context"], metavar="NAME", help="A context of the kubeconfig."),
        click.Option(["--kubeconfig"], metavar="FILE", help="Else as kubectl finds it."),
        click.Option(["--as", "as_user"], metavar="USER", help="Ask in the name of USER."),
        click.Option(
            ["--as-group", "as_groups"], metavar="GROUP", multiple=True, help="And of a group."
        ),
    ]


@contextlib.contextmanager
def _connect(
    *,
    namespace: str | None,
    app: str | None,
    context: str | None,
    kubeconfig: str | None,
    as_user: str | None,
    as_groups: Sequence[str] | None,
) -> Generator[Api]:
    """Raises: KubectlError, TenureError."""
    said = {"--kubeconfig": kubeconfig, "--context": context, "--as": as_user}
    flags = [f"{flag}={value}" for flag, value in said.items() if value]
    flags += [f"--as-group={group}" for group in as_groups or ()]
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        message = "kubectl is not on the PATH; `kubectl tenure` reaches the cluster through it"
        raise KubectlError(message)
    with _proxied(kubectl, flags) as path:
        target = Target(
            server="http://localhost",
            socket=path,
            base=GROUP,
            lasting=f"{GROUP}/watch",
            nested=True,
            namespace=namespace or _namespace(kubectl, flags),
            app=app or os.environ.get("TENURE_APP_ID") or OWN_APP,
        )
        if target.app == OWN_APP:
            target = target.of(_only(Api(target, refused=refused), target.namespace))
        yield Api(target, refused=refused)


WAY: Final = Way(_options, _connect)


# --- kubectl --------------------------------------------------------------------------------------


@contextlib.contextmanager
def _proxied(kubectl: str, flags: Sequence[str]) -> Generator[str]:
    """Run ``kubectl proxy``; the path of its socket.  Raises: KubectlError."""
    folder = tempfile.mkdtemp(prefix="tenure-")  # for us alone to open
    path = str(Path(folder) / "api")
    words = [kubectl, "proxy", f"--unix-socket={path}", f"--accept-paths=^{GROUP}/", *flags]
    process = subprocess.Popen(  # noqa: S603 - the user's kubectl
        words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        if _SERVES not in process.stdout.readline():
            said = process.communicate()[1].strip()
            message = f"kubectl cannot be used: {said or 'it ended without a word'}"
            raise KubectlError(message)
        yield path
    finally:
        process.terminate()
        try:
            process.communicate(timeout=_END_WITHIN)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
        shutil.rmtree(folder, ignore_errors=True)


def _namespace(kubectl: str, flags: Sequence[str]) -> str:
    """The namespace of the context, as kubectl has it."""
    words = (
        [kubectl, "config", "view", "--minify"]
        + [one for one in flags if not one.startswith("--as")]
        + ["-o", "jsonpath={.contexts[0].context.namespace}"]
    )
    ran = subprocess.run(words, capture_output=True, text=True, check=False)  # noqa: S603 - as above
    if ran.returncode == 0:
        return ran.stdout.strip() or "default"
    with contextlib.suppress(OSError):  # no kubeconfig: in a pod, its namespace
        return _ACCOUNT_NAMESPACE.read_text(encoding="ascii").strip()
    return "default"


# --- what the API server says ---------------------------------------------------------------------


def _only(api: Api, namespace: str) -> str:
    """The app of a namespace that has one.  Raises: UsageError."""
    apps = [one["app"] for one in api.apps()]
    if len(apps) == 1:
        return str(apps[0])
    if not apps:
        message = f"namespace '{namespace}' has no app with workflows; -n names another one"
    else:
        message = f"namespace '{namespace}' has several apps: say --app {' or --app '.join(apps)}"
    raise UsageError(message)


class _Said(msgspec.Struct):
    """What the API server's errors and the gateway's have in common."""

    code: int | str = 0
    message: str = ""


def refused(status: int, body: bytes) -> TenureError | None:
    """The error that an answer is which the gateway has not given; None when it has."""
    try:
        said = msgspec.json.decode(body, type=_Said)
    except msgspec.DecodeError:
        said = _Said(message=body.decode(errors="replace").strip()[:200])
    if isinstance(said.code, str) and said.code.startswith("TN"):
        return None
    text = said.message
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        message = (
            f"{text}; whoever has the cluster's role 'view' in the namespace may look, and 'edit' "
            "may change: an administrator can bind them"
        )
        return NoRightError(message)
    if status == HTTPStatus.NOT_FOUND:
        message = (
            f"the cluster has no API {names.MANAGE_GROUP} ({text}): is Tenure's chart installed, with "
            "gateway.kubernetesApi.enabled?"
        )
        return NoGatewayError(message)
    if status >= HTTPStatus.BAD_GATEWAY:
        message = (
            f"Tenure's gateway cannot be reached through the API server ({text}): "
            f"kubectl get apiservice {names.API_VERSION}.{names.MANAGE_GROUP} says why"
        )
        return NoGatewayError(message)
    return None
