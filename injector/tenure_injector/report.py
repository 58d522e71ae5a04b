"""The decision about one pod, with its reasons: what an operator reads when a pod is not as hoped.

A report is a value.  The review's answer, the log line, the metric's label and the Kubernetes Event
are made from it; none of them decides anything.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

from tenure_injector.sidecar import Sidecar

TOO_LONG: Final = 1024  # characters: what an Event's message holds


class Verdict(StrEnum):
    """What happens to the pod."""

    INJECT = "inject"  # it gets the engine
    COMPLETE = "complete"  # it has the engine; containers that came later get their variables
    SKIP = "skip"  # it is admitted as it is
    DENY = "deny"  # it is not admitted


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Why a pod gets what it gets.

    ``reason`` is a word for programs (an Event's and a metric's), ``text`` a sentence for people;
    ``code`` is the error's when there is one.  ``notes`` are what somebody should look at although
    it stops nothing.  ``sidecar`` is there when the verdict needs it.
    """

    verdict: Verdict
    reason: str
    text: str
    code: str = ""
    notes: tuple[str, ...] = ()
    sidecar: Sidecar | None = None

    @property
    def sentence(self) -> str:
        """``text``, with the error's code in front when there is one."""
        return f"{self.code}: {self.text}" if self.code else self.text
