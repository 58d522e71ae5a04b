"""Replies to reviews, each decision kept for a while: replicas are decided once.

A Deployment that grows by a hundred makes a hundred pods that differ in nothing that a decision
reads.  A decision is a function of a ``Pod`` and the namespace, and is remembered by all of both.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from tenure_common.errors import BadReviewError
from tenure_injector import pods, review
from tenure_injector.admission import consider, consider_pod
from tenure_injector.config import Config
from tenure_injector.pods import Pod
from tenure_injector.report import Report
from tenure_injector.review import Form, Request

KEPT: Final = 64  # decisions
LONGEST_KEPT: Final = 32 * 1024  # bytes of a pod; a larger one is decided each time


class Reply(NamedTuple):
    """A body, why it says what it says, and about which pod (None when it could not be read)."""

    body: bytes
    report: Report
    pod: Pod | None


class _Decided(NamedTuple):
    form: Form
    report: Report
    pod: Pod


class Replies:
    """Replies to reviews under one configuration."""

    def __init__(self, config: Config) -> None:
        """Nothing is decided yet."""
        self._config = config
        self._kept: dict[tuple[bytes, str], _Decided] = {}  # the oldest first

    def to(self, request: Request) -> Reply:
        """The reply to one request; never raises for what a caller sent."""
        try:
            pod = pods.decode(request.object) if request.is_new_pod else None
        except BadReviewError:
            pod = None  # that is told below, where it is decided what becomes of such a pod
        if pod is None:
            outcome = consider(request, self._config)
            return Reply(review.encode(outcome.answer), outcome.report, outcome.pod)
        key = pods.encode(pod), request.namespace
        known = self._kept.get(key)
        if known is None:
            known = self._decided(pod, request.namespace)
            self._keep(key, known)
        return Reply(known.form.addressed(request.uid), known.report, known.pod)

    def _decided(self, pod: Pod, namespace: str) -> _Decided:
        outcome = consider_pod(pod, uid="", namespace=namespace, config=self._config)
        return _Decided(review.form(outcome.answer), outcome.report, pod)

    def _keep(self, key: tuple[bytes, str], known: _Decided) -> None:
        if len(key[0]) > LONGEST_KEPT:
            return
        if len(self._kept) == KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[key] = known
