"""The kubelet's questions to the engine.

*Startup* asks whether the engine is alive, not whether it is ready: with a store that is away the
app must still start.  *Readiness* counts for the whole pod.
"""

from __future__ import annotations

from tenure_common.names import PATH_LIVE, PATH_READY
from tenure_injector.edits import with_sidecar
from tenure_injector.pods import Json
from tenure_injector.sidecar import Probe, Sidecar


def mutate(pod: Json, sidecar: Sidecar) -> Json:
    """Set the probes."""
    port = sidecar.ports.health
    probes = {
        "startupProbe": _probe(sidecar.startup, PATH_LIVE, port),
        "livenessProbe": _probe(sidecar.liveness, PATH_LIVE, port),
    }
    if sidecar.readiness is not None:
        probes["readinessProbe"] = _probe(sidecar.readiness, PATH_READY, port)
    return with_sidecar(pod, lambda container: {**container, **probes})


def _probe(probe: Probe, path: str, port: int) -> Json:
    return {
        "httpGet": {"path": path, "port": port},
        "initialDelaySeconds": probe.delay,
        "timeoutSeconds": probe.timeout,
        "periodSeconds": probe.period,
        "failureThreshold": probe.threshold,
    }
