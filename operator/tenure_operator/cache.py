"""The resources as Kubernetes last told of them.

An older version never replaces a newer one: what a write answers with is often there before the
watch tells of it.  Versions are the numbers that the API server hands out in order.
"""

from __future__ import annotations

from tenure_operator.resources import (
    Key,
    R,
    Resource,
    Workflow,
    WorkflowApp,
    WorkflowEvent,
    WorkflowSchedule,
)


class Cache:
    """All resources that are known, which schedule a Workflow came from, and which WorkflowApps are
    of one app."""

    def __init__(self) -> None:
        self._all: dict[Key, Resource] = {}
        self._children: dict[Key, dict[Key, None]] = {}
        self._apps: dict[tuple[str, str], set[Key]] = {}  # by namespace and app

    def __len__(self) -> int:
        """How many there are."""
        return len(self._all)

    def get(self, key: Key, kind: type[R]) -> R | None:
        """The resource, None when there is none of that kind."""
        found = self._all.get(key)
        return found if isinstance(found, kind) else None

    def put(self, resource: Resource) -> bool:
        """Keep it; False when a newer version of it is kept already."""
        before = self._all.get(resource.key)
        if before is not None and not _newer(resource, before):
            return False
        self._unlist(before)
        self._all[resource.key] = resource
        if isinstance(resource, WorkflowApp):
            self._apps.setdefault(_app_of(resource), set()).add(resource.key)
        owner = owner_of(resource)
        if owner is not None:
            self._children.setdefault(owner, {})[resource.key] = None
        return True

    def known(self, key: Key, uid: str, version: str) -> bool:
        """Whether that version of that object, or a newer one, is kept already."""
        before = self._all.get(key)
        if before is None or before.metadata.uid != uid:
            return False
        return not _later(version, before.metadata.resource_version)

    def drop(self, key: Key) -> Resource | None:
        """Forget it; what was known is returned."""
        before = self._all.pop(key, None)
        self._unlist(before)
        owner = None if before is None else owner_of(before)
        if owner is not None:
            children = self._children.get(owner, {})
            children.pop(key, None)
            if not children:
                self._children.pop(owner, None)
        return before

    @staticmethod
    def later(resource: Resource, version: str) -> bool:
        """Whether it was written after that version."""
        return _later(resource.metadata.resource_version, version)

    def _unlist(self, before: Resource | None) -> None:
        if isinstance(before, WorkflowApp):
            keys = self._apps[_app_of(before)]
            keys.discard(before.key)
            if not keys:
                del self._apps[_app_of(before)]

    def rivals(self, app: WorkflowApp) -> tuple[WorkflowApp, ...]:
        """The other WorkflowApps of the same app."""
        found = [self.get(key, WorkflowApp) for key in self._apps.get(_app_of(app), ())]
        return tuple(one for one in found if one is not None and one.key != app.key)

    def those(self, kind: type[R], namespace: str) -> list[R]:
        """All of a kind in a namespace."""
        return [
            one
            for one in self._all.values()
            if isinstance(one, kind) and one.metadata.namespace == namespace
        ]

    def children(self, schedule: WorkflowSchedule) -> list[Workflow]:
        """The Workflows of a schedule, oldest first."""
        found = [self.get(key, Workflow) for key in self._children.get(schedule.key, {})]
        uid = schedule.metadata.uid
        own = [
            one
            for one in found
            if one is not None and any(owner.uid == uid for owner in one.metadata.owner_references)
        ]
        return sorted(own, key=lambda one: (one.metadata.creation_timestamp, one.metadata.name))

    def count(self) -> dict[tuple[str, ...], float]:
        """How many there are of each kind and phase, for the metrics."""
        counts: dict[tuple[str, ...], float] = {}
        for key, one in self._all.items():
            phase = ""
            if isinstance(one, Workflow | WorkflowEvent):
                phase = one.status.phase or "Pending"
            counts[key.kind, phase] = counts.get((key.kind, phase), 0) + 1
        return counts


def owner_of(resource: Resource) -> Key | None:
    """The schedule that a Workflow belongs to."""
    if not isinstance(resource, Workflow):
        return None
    for owner in resource.metadata.owner_references:  # not by the label, which anybody may change
        if owner.kind == "WorkflowSchedule":
            return Key(owner.kind, resource.metadata.namespace, owner.name)
    return None


def _app_of(app: WorkflowApp) -> tuple[str, str]:
    return app.metadata.namespace, app.app_id


def _newer(resource: Resource, before: Resource) -> bool:
    if resource.metadata.uid != before.metadata.uid:
        return True
    return _later(resource.metadata.resource_version, before.metadata.resource_version)


def _later(new: str, old: str) -> bool:
    return int(new) > int(old) if new.isdigit() and old.isdigit() else new != old
