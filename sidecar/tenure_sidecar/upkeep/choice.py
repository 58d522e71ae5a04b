"""Which namespaces are served, and which are looked at now: pure.

A namespace is served when the installation lists it, or when it bears the label
``tenure.dev/store: "true"``.  Whoever may label a namespace decides that: an administrator of the
cluster, not the people who work inside of the namespace.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

import msgspec

from tenure_common.names import LABEL_STORE

_YES: Final = "true"
_NO: Final = frozenset({"false", None})  # what nobody has to be told about


class Namespace(msgspec.Struct, frozen=True, kw_only=True):
    """A namespace of the cluster; ``ending``: somebody has deleted it, and its pods still end."""

    name: str
    uid: str
    label: str | None = None
    ending: bool = False


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """What is done with the namespaces of a cluster."""

    served: tuple[Namespace, ...]
    refused: tuple[tuple[Namespace, str], ...]  # with the reason and the way out, for people

    @property
    def names(self) -> tuple[str, ...]:
        """Those that keep their user of etcd."""
        return tuple([one.name for one in self.served])


def read(document: Mapping[str, Any]) -> Namespace:
    """A namespace as the API server describes it."""
    meta: Mapping[str, Any] = document["metadata"]
    labels: Mapping[str, str] = meta.get("labels") or {}
    return Namespace(
        name=meta["name"],
        uid=meta["uid"],
        label=labels.get(LABEL_STORE),
        ending="deletionTimestamp" in meta,
    )


def choose(
    found: Iterable[Namespace], *, listed: Collection[str], excluded: Collection[str]
) -> Choice:
    """Serve these, refuse those; what neither is listed nor has the label is left alone.

    Args:
        found: all namespaces of the cluster.
        listed: names that are served without a label.
        excluded: names that are served in no case.
    """
    served: list[Namespace] = []
    refused: list[tuple[Namespace, str]] = []
    for one in found:
        asked = one.name in listed or one.label == _YES
        if asked and one.name in excluded:
            refused.append((one, "namespaces of the system and of Tenure itself are not served"))
        elif asked:
            served.append(one)
        elif one.label not in _NO:
            way_out = f"kubectl label namespace {one.name} {LABEL_STORE}={_YES} --overwrite"
            text = f"label {LABEL_STORE} is '{one.label}', and only '{_YES}' counts: {way_out}"
            refused.append((one, text))
    return Choice(served=tuple(served), refused=tuple(refused))


def due(
    served: Iterable[Namespace], looks: Mapping[str, float], *, now: float
) -> tuple[Namespace, ...]:
    """Those whose Secrets are looked at now.

    Args:
        served: all that are served.
        looks: when the next look is due, by the namespace's uid, in seconds of any clock; a
            namespace that is created again under its name has another one.
        now: of the same clock.
    """
    return tuple([one for one in served if not one.ending and looks.get(one.uid, now) <= now])
