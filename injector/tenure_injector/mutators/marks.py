"""Marks on the pod: that it has the engine, and whose it is, for selectors and for people."""

from __future__ import annotations

from tenure_common import names
from tenure_common.version import VERSION
from tenure_injector.edits import with_mark
from tenure_injector.pods import Json, part
from tenure_injector.sidecar import Sidecar


def mutate(pod: Json, sidecar: Sidecar) -> Json:
    """Set the label with the app's id and the annotation with the injector's version."""
    if names.ANNOTATION_INJECTED not in part(part(pod, "metadata"), "annotations"):
        pod = with_mark(pod, "annotations", names.ANNOTATION_INJECTED, VERSION)
    return with_mark(pod, "labels", names.LABEL_APP_ID, sidecar.app_id)
