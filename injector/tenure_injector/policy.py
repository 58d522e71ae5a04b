"""Which pods get the engine, and why not: a list of questions, asked in order.

A pod is asked for when its label or annotation ``tenure.dev/inject`` says so (with compatibility
on, also ``dapr.io/enabled``); the annotation can take back what the label asks.  Whoever asked must
get the engine or an error: a workflow app that runs without it is an outage that nobody sees.  So
everything after the question "was it asked for" denies, unless the failure policy is ``ignore``.
Whoever did not ask gets no engine and no error; if the pod speaks of us all the same, its creator is
told what was probably meant.

Pure: no clock, no network, nothing remembered.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tenure_common import names
from tenure_common.errors import BadAnnotationError, UnsuitablePodError
from tenure_injector import annotation_set, dapr, obstacles
from tenure_injector.annotation_set import Parsed
from tenure_injector.config import Config
from tenure_injector.options import PREFIX
from tenure_injector.pods import Pod
from tenure_injector.report import Report, Verdict
from tenure_injector.sidecar import Sidecar, resolve

# Controllers whose name is that of the app; a Job's or a custom controller's may differ each time.
NAMING: Final = frozenset({"StatefulSet", "DaemonSet"})
_HASH_LABEL: Final = "pod-template-hash"
_LABELS: Final = frozenset({names.LABEL_INJECT, names.LABEL_APP_ID})
_LONGEST_NAME: Final = 63
_NAMELESS: Final = (
    f"the pod's app has no name: set {names.ANNOTATION_APP_ID} (without it, the name of a "
    "Deployment, StatefulSet, DaemonSet or single pod counts)"
)


def decide(pod: Pod, *, namespace: str, config: Config) -> Report:
    """The report about one pod that is being created in ``namespace``."""
    parsed = annotation_set.parse(pod.annotations, compat=config.compat_dapr)
    skipped = _not_asked(pod, parsed, namespace=namespace, config=config)
    if skipped is not None:
        return skipped
    app_id = parsed.options.app_id or app_name(pod)
    if parsed.problems or app_id is None:
        reason = "InvalidAnnotation" if parsed.problems else "AppIdMissing"
        text = "; ".join(parsed.problems) or _NAMELESS
        return _deny(config, reason, text, parsed, code=BadAnnotationError.code)
    sidecar = resolve(parsed.options, config, app_id=app_id)
    if names.ANNOTATION_INJECTED in pod.annotations and _has_engine(pod):
        text = f"the pod has the engine of app {app_id} already"
        return Report(
            verdict=Verdict.COMPLETE, reason="AlreadyInjected", text=text, sidecar=sidecar
        )
    obstacle = obstacles.first(pod, sidecar)
    if obstacle is not None:
        code = UnsuitablePodError.code
        return _deny(config, obstacle.reason, obstacle.text, parsed, code=code)
    kind = "native sidecar" if sidecar.native else "container"
    return Report(
        verdict=Verdict.INJECT,
        reason="Injected",
        text=f"engine of app {app_id} added as {kind} '{names.SIDECAR_CONTAINER}'",
        notes=(*parsed.notes, *_doubts(pod, sidecar)),
        sidecar=sidecar,
    )


def app_name(pod: Pod) -> str | None:
    """The name of the app that a pod without annotation belongs to, None when nothing tells."""
    owner = pod.controller
    if owner is None:
        name = pod.metadata.name
    elif owner.kind in NAMING:
        name = owner.name
    elif owner.kind == "ReplicaSet":  # of a Deployment, when the pod carries the template's hash
        name = owner.name.removesuffix(f"-{pod.labels.get(_HASH_LABEL, '')}")
        name = name if name != owner.name else ""
    else:
        name = ""
    return name if name and len(name) <= _LONGEST_NAME and "." not in name else None


def _not_asked(pod: Pod, parsed: Parsed, *, namespace: str, config: Config) -> Report | None:
    asked = parsed.options.inject
    if asked is False:
        return _skip("SwitchedOff", f"{names.ANNOTATION_INJECT} is false")
    # An annotation that is neither true nor false asks too: its problem must be told to somebody.
    unclear = asked is None and any(name in pod.annotations for name in config.asking)
    wanted = asked or unclear or pod.labels.get(names.LABEL_INJECT) == "true"
    if wanted and namespace in {config.namespace, *config.exclude_namespaces}:
        return _skip("NamespaceExcluded", f"pods of namespace {namespace} are left alone")
    if wanted:
        return None
    text = f"neither label nor annotation {names.ANNOTATION_INJECT} is true"
    return _skip("NotAsked", text, *_perhaps_meant(pod, compat=config.compat_dapr))


def _perhaps_meant(pod: Pod, *, compat: bool) -> Iterator[str]:
    """What speaks of us on a pod that does not ask for the engine: a slip in the one name or value
    that asks would otherwise go unnoticed."""
    label = pod.labels.get(names.LABEL_INJECT)
    if label is not None and label != "false":
        yield f"label {names.LABEL_INJECT} is '{label}', and only 'true' asks for the engine"
    yield from annotation_set.named(
        [name for name in pod.labels if name.startswith(PREFIX) and name not in _LABELS],
        lambda name: annotation_set.unknown(name, "label", among=(names.LABEL_INJECT,)),
        "labels",
    )
    yield from annotation_set.parse(pod.annotations, compat=False).notes
    theirs = sorted(name for name in pod.annotations if compat and name.startswith(dapr.PREFIX))
    yield from annotation_set.named(
        [name for name in theirs if not dapr.is_known(name)], dapr.unknown
    )
    for asks, idle in (
        (names.ANNOTATION_INJECT, sorted(pod.annotations.keys() & annotation_set.KINDS.keys())),
        (names.ANNOTATION_DAPR_ENABLED, [name for name in theirs if dapr.is_known(name)]),
    ):
        if idle:
            yield (
                f"annotation {idle[0]} has no effect, because the pod does not ask for the engine: "
                f"set {asks}: 'true'"
            )


def _doubts(pod: Pod, sidecar: Sidecar) -> Iterator[str]:
    """What is allowed and probably not meant."""
    if not sidecar.native and pod.spec.restart_policy in {"Never", "OnFailure"}:
        yield (
            "the pod ends only when every container does, and the engine never does: "
            "use tenure.dev/native-sidecar: 'true'"
        )


def _has_engine(pod: Pod) -> bool:
    return any(container.name == names.SIDECAR_CONTAINER for container in pod.containers())


def _skip(reason: str, text: str, *notes: str) -> Report:
    return Report(verdict=Verdict.SKIP, reason=reason, text=text, notes=notes)


def _deny(config: Config, reason: str, text: str, parsed: Parsed, *, code: str) -> Report:
    verdict = Verdict.DENY if config.failure_policy == "fail" else Verdict.SKIP
    return Report(verdict=verdict, reason=reason, text=text, code=code, notes=parsed.notes)
