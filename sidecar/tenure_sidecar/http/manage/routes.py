"""Every route of the management API, as data.

The table is all that the server (``server.py``), the OpenAPI document (``openapi.py``) and through
it the reference in the documentation know of the API, so the three cannot disagree.  A handler's
docstring is its description there; the errors are those that a well-formed request can meet.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tenure_common.errors import (
    BadCursorError,
    BadRequestError,
    BadRerunError,
    CursorExpiredError,
    EndedError,
    InstanceExistsError,
    NoSuchAppError,
    NoSuchEventError,
    NoSuchInstanceError,
    NoSuchJobError,
    NotFailedError,
    NotTerminalError,
    RequestKeyReusedError,
    SettingsChangedError,
    TenureError,
    TooManyInFlightError,
)
from tenure_sidecar.http.manage import bulk, control, overview, reading, starting, tuning, watching
from tenure_sidecar.http.manage import job_types as jobs
from tenure_sidecar.http.manage import queries as q
from tenure_sidecar.http.manage import requests as r
from tenure_sidecar.http.manage import views as v
from tenure_sidecar.http.manage.lines import Line

BASE: Final = "/v1alpha1/apps"
NAMESPACES: Final = "/v1alpha1/namespaces"
WATCHED: Final = "/v1alpha1/watch/namespaces"  # as the Kubernetes API has it
DOCUMENT: Final = "/openapi.json"

_APP = BASE + "/{app}"
_ONE = _APP + "/instances/{id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One method on one path."""

    method: str
    path: str
    handler: Callable[[Any], Any]
    answers: Mapping[int, Any]  # HTTP status to the type of the answer
    body: Any = None  # type of the body, None = there is none
    query: Any = q.NoQuery
    errors: tuple[type[TenureError], ...] = ()
    stream: bool = False  # answers[200] is the type of a line
    long: bool = False  # may take minutes
    keyed: bool = False  # takes an Idempotency-Key
    tag: str = "instances"
    dry: bool = False  # a POST that changes nothing
    extra: tuple[type[TenureError], ...] = field(default=(NoSuchAppError,))

    @property
    def name(self) -> str:
        """The operation's id."""
        return self.handler.__name__.rstrip("_")

    @property
    def namespaced(self) -> str:
        """The same path, of an app in a namespace that is named."""
        return self.path.replace(BASE, f"{NAMESPACES}/{{namespace}}/apps", 1)

    @property
    def reads(self) -> bool:
        """Whether it changes nothing."""
        return self.method == "GET" or self.dry


ROUTES: Final = (
    Route(
        method="GET",
        path=BASE,
        handler=reading.apps,
        answers={200: v.AppsView},
        tag="apps",
        extra=(),
    ),
    Route(
        method="GET",
        path=f"{_APP}/status",
        handler=overview.status,
        answers={200: overview.AppStatus},
        tag="apps",
    ),
    Route(
        method="GET",
        path=f"{_APP}/settings",
        handler=tuning.settings,
        answers={200: tuning.SettingsView},
        tag="apps",
    ),
    Route(
        method="PUT",
        path=f"{_APP}/settings",
        handler=tuning.set_settings,
        body=tuning.SettingsBody,
        answers={200: tuning.SettingsView},
        errors=(BadRequestError, SettingsChangedError),
        tag="apps",
    ),
    Route(
        method="DELETE",
        path=f"{_APP}/settings",
        handler=tuning.unset_settings,
        query=tuning.UnsetQuery,
        answers={200: tuning.SettingsView},
        errors=(SettingsChangedError,),
        tag="apps",
    ),
    Route(
        method="POST",
        path=f"{_APP}/instances",
        handler=starting.start,
        body=r.StartBody,
        answers={201: v.Started, 200: v.Started},
        errors=(BadRequestError, InstanceExistsError, RequestKeyReusedError),
        keyed=True,
    ),
    Route(
        method="GET",
        path=f"{_APP}/instances",
        handler=reading.listing,
        query=q.ListQuery,
        answers={200: v.InstancePage},
        errors=(BadRequestError, BadCursorError),
    ),
    Route(
        method="GET",
        path=f"{_APP}/counts",
        handler=reading.counts,
        query=q.Filter,
        answers={200: v.Counts},
        errors=(BadRequestError,),
    ),
    Route(
        method="GET",
        path=f"{_APP}/watch",
        handler=watching.watch,
        query=q.WatchQuery,
        answers={200: Line},
        errors=(BadRequestError, TooManyInFlightError),
        stream=True,
        long=True,
    ),
    Route(
        method="GET",
        path=_ONE,
        handler=reading.get,
        query=q.GetQuery,
        answers={200: v.InstanceDetails},
        errors=(NoSuchInstanceError,),
    ),
    Route(
        method="PUT",
        path=_ONE,
        handler=starting.put,
        body=r.PutBody,
        answers={201: v.Started, 200: v.Started},
        errors=(BadRequestError, InstanceExistsError, NoSuchInstanceError),
    ),
    Route(
        method="GET",
        path=f"{_ONE}/history",
        handler=reading.history,
        query=q.HistoryQuery,
        answers={200: reading.HistoryPage},
        errors=(NoSuchInstanceError, BadCursorError, CursorExpiredError),
    ),
    Route(
        method="GET",
        path=f"{_ONE}/wait",
        handler=reading.wait,
        query=q.WaitQuery,
        answers={200: v.Waited},
        errors=(NoSuchInstanceError, TooManyInFlightError),
        long=True,
    ),
    Route(
        method="GET",
        path=f"{_ONE}/watch",
        handler=watching.watch_one,
        query=q.WatchOneQuery,
        answers={200: Line},
        errors=(TooManyInFlightError,),
        stream=True,
        long=True,
    ),
    Route(
        method="POST",
        path=f"{_ONE}/events/{{name}}",
        handler=control.raise_event,
        keyed=True,
        body=r.EventBody,
        answers={202: v.Started},
        errors=(BadRequestError, NoSuchInstanceError, EndedError, InstanceExistsError),
    ),
    Route(
        method="POST",
        path=f"{_ONE}/suspend",
        handler=control.suspend,
        body=r.ReasonBody,
        answers={200: v.InstanceDetails},
        errors=(NoSuchInstanceError, EndedError),
    ),
    Route(
        method="POST",
        path=f"{_ONE}/resume",
        handler=control.resume,
        body=r.ReasonBody,
        answers={200: v.InstanceDetails},
        errors=(NoSuchInstanceError, EndedError),
    ),
    Route(
        method="POST",
        path=f"{_ONE}/terminate",
        handler=control.terminate,
        body=r.TerminateBody,
        answers={200: v.InstanceDetails},
        errors=(NoSuchInstanceError,),
    ),
    Route(
        method="POST",
        path=f"{_ONE}/purge",
        handler=control.purge,
        body=r.PurgeBody,
        answers={200: v.Purged},
        errors=(NoSuchInstanceError, NotTerminalError),
    ),
    Route(
        method="POST",
        path=f"{_ONE}/rerun",
        handler=control.rerun,
        body=r.RerunBody,
        answers={201: v.Started},
        errors=(
            BadRequestError,
            NoSuchInstanceError,
            BadRerunError,
            NoSuchEventError,
            InstanceExistsError,
        ),
    ),
    Route(
        method="POST",
        path=f"{_ONE}/restart",
        handler=control.restart,
        body=r.RestartBody,
        answers={201: v.Started},
        errors=(NoSuchInstanceError, NotTerminalError, InstanceExistsError),
    ),
    Route(
        method="POST",
        path=f"{_ONE}/rewind",
        handler=control.rewind,
        body=r.RewindBody,
        answers={202: v.InstanceDetails},
        errors=(NoSuchInstanceError, NotFailedError),
    ),
    Route(
        method="POST",
        path=f"{_APP}/jobs",
        handler=bulk.submit,
        body=jobs.JobBody,
        answers={202: jobs.Job, 200: jobs.Job},
        errors=(BadRequestError, RequestKeyReusedError, TooManyInFlightError),
        keyed=True,
        tag="jobs",
    ),
    Route(
        method="POST",
        path=f"{_APP}/dry-run",
        handler=bulk.dry_run,
        dry=True,
        body=jobs.JobBody,
        answers={200: jobs.Plan},
        errors=(BadRequestError,),
        tag="jobs",
    ),
    Route(
        method="GET",
        path=f"{_APP}/jobs",
        handler=bulk.jobs,
        query=q.JobsQuery,
        answers={200: jobs.JobPage},
        tag="jobs",
    ),
    Route(
        method="GET",
        path=f"{_APP}/jobs/{{job}}",
        handler=bulk.job,
        answers={200: jobs.Job},
        errors=(NoSuchJobError,),
        tag="jobs",
    ),
    Route(
        method="POST",
        path=f"{_APP}/jobs/{{job}}/cancel",
        handler=bulk.cancel,
        answers={200: jobs.Job},
        errors=(NoSuchJobError,),
        tag="jobs",
    ),
)


def watched(route: Route) -> str:
    """The path by which the Kubernetes API server knows that a request may take minutes."""
    return route.namespaced.replace(NAMESPACES, WATCHED, 1)
