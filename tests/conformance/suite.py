"""The registry of scenarios.

A scenario is an async function of a ``Stage``; its name is its id, its docstring says what it
shows, and its asserts are the expected outcome.  It is written once and run through every SDK that
has the features it ``needs``; ``lone`` scenarios get an engine of their own (they restart it, or
change what workers are connected), all others of an SDK share one engine, one worker and run side
by side.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from conformance.sdks import FEATURES, Flavour, Sdk

if TYPE_CHECKING:
    from conformance.stage import Stage

Body = Callable[["Stage"], Awaitable[None]]


@dataclass(frozen=True)
class Scenario:
    """One scenario."""

    name: str
    group: str
    shows: str
    body: Body
    needs: frozenset[str]
    flavours: frozenset[Flavour]
    lone: bool
    engine_args: tuple[str, ...]

    def why_not(self, sdk: Sdk) -> str | None:
        """Why this SDK cannot express the scenario; None when it can."""
        if sdk.flavour not in self.flavours:
            other = "Dapr" if sdk.flavour == "microsoft" else "Microsoft"
            return f"{other} flavour only"
        return next((sdk.lacks[one] for one in sorted(self.needs) if one in sdk.lacks), None)


SCENARIOS: dict[str, Scenario] = {}


def scenario(
    *needs: str,
    flavours: tuple[Flavour, ...] = ("dapr", "microsoft"),
    lone: bool = False,
    engine_args: tuple[str, ...] = (),
) -> Callable[[Body], Body]:
    """Register a scenario that needs these features.  ``engine_args`` imply an engine of its own."""
    unknown = set(needs) - set(FEATURES)
    if unknown:
        message = f"no such feature: {sorted(unknown)}"
        raise ValueError(message)

    def register(body: Body) -> Body:
        name = body.__name__.replace("_", "-")
        if name in SCENARIOS:
            message = f"two scenarios are called {name}"
            raise ValueError(message)
        SCENARIOS[name] = Scenario(
            name=name,
            group=body.__module__.rsplit(".", 1)[-1],
            shows=" ".join((body.__doc__ or "").split()),
            body=body,
            needs=frozenset(needs),
            flavours=frozenset(flavours),
            lone=lone or bool(engine_args),
            engine_args=engine_args,
        )
        return body

    return register
