"""From a request to an answer: the whole decision without any I/O.

``consider`` never raises for what a caller sent: a pod that cannot be read is denied with the
reason, or let through as it is when the failure policy is ``ignore``.
"""

from __future__ import annotations

from typing import NamedTuple

from tenure_common.errors import BadReviewError
from tenure_injector import mutators, patch, pods
from tenure_injector.config import Config
from tenure_injector.pods import Pod
from tenure_injector.policy import decide
from tenure_injector.report import Report, Verdict
from tenure_injector.review import Answer, Request

_DENIED = 403


class Outcome(NamedTuple):
    """What is answered, why, and about which pod (None when it could not be read)."""

    answer: Answer
    report: Report
    pod: Pod | None


def consider(request: Request, config: Config) -> Outcome:
    """Decide on one request."""
    if not request.is_new_pod:
        text = f"{request.operation} of {request.kind.kind or 'nothing'} is not the injector's"
        report = Report(verdict=Verdict.SKIP, reason="NotANewPod", text=text)
        return Outcome(_answer(request.uid, report), report, None)
    try:
        pod = pods.decode(request.object)
    except BadReviewError as error:
        report = Report(
            verdict=Verdict.DENY if config.failure_policy == "fail" else Verdict.SKIP,
            reason="Unreadable",
            text=error.message,
            code=error.code,
        )
        return Outcome(_answer(request.uid, report, title=request.name), report, None)
    return consider_pod(pod, uid=request.uid, namespace=request.namespace, config=config)


def consider_pod(pod: Pod, *, uid: str, namespace: str, config: Config) -> Outcome:
    """Decide on a pod that is being created."""
    report = decide(pod, namespace=namespace or pod.metadata.namespace, config=config)
    operations: list[patch.Operation] = []
    if report.sidecar is not None:
        change = mutators.inject if report.verdict is Verdict.INJECT else mutators.complete
        document = pods.document(pod)
        operations = patch.diff(document, change(document, report.sidecar))
    return Outcome(_answer(uid, report, operations, title=pod.title), report, pod)


def _answer(
    uid: str,
    report: Report,
    operations: list[patch.Operation] | None = None,
    *,
    title: str = "",
) -> Answer:
    denied = report.verdict is Verdict.DENY
    notes = report.notes
    if not denied and report.code:  # it would have been denied under the other failure policy
        notes = (f"the engine was not added: {report.sentence}", *notes)
    return Answer(
        uid=uid,
        allowed=not denied,
        status=_DENIED if denied else 200,
        message=f"tenure does not admit pod {title}: {report.sentence}" if denied else "",
        reason="Forbidden" if denied else "",
        patch=operations or [],
        warnings=tuple(f"tenure: {note}" for note in notes),
        audit={"reason": report.reason},
    )
