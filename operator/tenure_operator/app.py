"""An app as the gateway describes it: the part of the management API's answer that matters here."""

from __future__ import annotations

import msgspec

from tenure_operator.resources import Concurrency, KeptFor


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What is set for an app; ``version`` 0 = nothing is."""

    version: int
    retention: KeptFor = KeptFor()
    concurrency: Concurrency = Concurrency()


class AppView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One app; ``owned_partitions`` have an owner now."""

    store: str
    partitions: int
    owned_partitions: int
    sidecars: int
    workers: int
    settings: Settings
