"""What people are told about a pod as Kubernetes Events: pure, from a decision to texts.

A pod that is being created has no uid yet and may never exist, so an Event is put on the pod's
controller, where ``kubectl describe`` of a Deployment's ReplicaSet shows it; on the pod itself only
when nothing owns it.  A thousand replicas make a thousand reviews with one and the same text:
``Recent`` lets each through once in a while.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Final, Literal

import msgspec

from tenure_common.times import format_time
from tenure_injector.pods import Json, Owner, Pod
from tenure_injector.report import Report, Verdict

COMPONENT: Final = "tenure-injector"
LONGEST: Final = 1024  # characters of an Event's message
REPEAT_AFTER: Final = 600.0  # seconds
REMEMBERED: Final = 4096


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """One Event to be."""

    namespace: str
    about: Owner
    kind: Literal["Normal", "Warning"]
    reason: str
    message: str


def notices(report: Report, pod: Pod | None, *, namespace: str) -> Iterator[Notice]:
    """What to tell about one decision; nothing where nobody asked for the engine."""
    about = None if pod is None else _about(pod)
    if pod is None or about is None:
        return

    def notice(kind: Literal["Normal", "Warning"], reason: str, text: str) -> Notice:
        message = f"pod {pod.title}: {text}"[:LONGEST]
        return Notice(namespace=namespace, about=about, kind=kind, reason=reason, message=message)

    if report.verdict is Verdict.INJECT:
        yield notice("Normal", "Injected", report.text)
    elif report.verdict is Verdict.DENY:
        yield notice("Warning", "InjectionDenied", report.sentence)
    elif report.code:
        yield notice("Warning", "InjectionSkipped", report.sentence)
    for note in report.notes:
        yield notice("Warning", "DoubtfulAnnotation", note)


def event(notice: Notice, *, instance: str, now: int) -> Json:
    """The Event (core/v1) of a notice.

    Args:
        notice: what to say.
        instance: name of the injector's pod.
        now: nanoseconds since the Unix epoch.
    """
    about = notice.about
    described = {
        "apiVersion": about.api_version,
        "kind": about.kind,
        "name": about.name,
        "namespace": notice.namespace,
        "uid": about.uid,
    }
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"generateName": "tenure-", "namespace": notice.namespace},
        "involvedObject": {key: value for key, value in described.items() if value},
        "type": notice.kind,
        "reason": notice.reason,
        "message": notice.message,
        "source": {"component": COMPONENT},
        "reportingComponent": COMPONENT,
        "reportingInstance": instance or COMPONENT,
        "firstTimestamp": format_time(now),
        "lastTimestamp": format_time(now),
        "count": 1,
    }


class Recent:
    """Remembers what was said, so that it is not said again at once."""

    def __init__(self, *, repeat_after: float = REPEAT_AFTER, remembered: int = REMEMBERED) -> None:
        """``repeat_after`` in seconds; ``remembered``: how many notices at most."""
        self._repeat_after = repeat_after
        self._remembered = remembered
        self._said: OrderedDict[Notice, float] = OrderedDict()

    def is_new(self, notice: Notice, *, now: float) -> bool:
        """Whether it should be said ``now`` (seconds, any clock); then it counts as said."""
        said = self._said.get(notice)
        if said is not None and now < said + self._repeat_after:
            return False
        self._said[notice] = now
        self._said.move_to_end(notice)
        while len(self._said) > self._remembered:
            self._said.popitem(last=False)
        return True


def _about(pod: Pod) -> Owner | None:
    if pod.controller is not None:
        return pod.controller
    if not pod.metadata.name:
        return None
    return Owner(api_version="v1", kind="Pod", name=pod.metadata.name)
