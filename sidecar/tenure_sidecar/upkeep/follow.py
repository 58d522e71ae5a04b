"""``tenure upkeep --follow true``: give namespaces what they need as they come, and end it as they go.

A round lists the namespaces, decides, and acts on what it saw in that one answer; a watch only says
when the next one is worth while.  So nothing is taken away because a message was missed, and nothing
while the API server is silent.  Users come before Secrets: an engine that finds its certificate can
use it.

What goes wrong in one namespace is told there, in an Event, and keeps no other waiting.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, Protocol
from urllib.parse import quote

import structlog

from tenure_common.errors import ClusterApiError, TenureError
from tenure_common.kube import Json
from tenure_common.names import LABEL_STORE
from tenure_common.times import format_time
from tenure_sidecar.etcd import EtcdClient
from tenure_sidecar.upkeep import database
from tenure_sidecar.upkeep.choice import Choice, Namespace, choose, due, read
from tenure_sidecar.upkeep.config import UpkeepConfig, namespace_of, user_of
from tenure_sidecar.upkeep.keys import Cluster, Keys

_log = structlog.get_logger(__name__)

COMPONENT: Final = "tenure-namespaces"  # of Events
BETWEEN: Final = 0.5  # seconds at least between two rounds: what comes in a burst is one
RETRY: Final = 5.0  # seconds, after a failure
WATCH_FOR: Final = 60.0  # seconds: a connection that died in silence is noticed then
TELL_AFTER: Final = 2  # rounds: at first the Job that makes the authority may not be done
STUCK_AFTER: Final = 900.0  # seconds in one round; each of its calls has a deadline
_LONGEST: Final = 1024  # characters of an Event's message
_NANOS: Final = 1_000_000_000
_PATH: Final = "/api/v1/namespaces"

Administrator = Callable[[], AbstractAsyncContextManager[EtcdClient]]


class Api(Cluster, Protocol):
    """The calls that are made (``kube.KubeApi``)."""

    async def changed(self, what: str, path: str, *, version: str, within: float) -> None:
        """Wait until something in a list changes, ``within`` so many seconds at most."""
        ...


class Follower:
    """Looks after the namespaces of a cluster, for ever."""

    def __init__(  # noqa: PLR0913 - its surroundings
        self,
        api: Api,
        config: UpkeepConfig,
        *,
        administrator: Administrator | None,
        wall: Callable[[], int],
        monotonic: Callable[[], float],
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Nothing is done yet.

        Args:
            api: the cluster's.
            config: the installation.
            administrator: a client of etcd for a while; None = etcd is not ours.
            wall: nanoseconds since the Unix epoch.
            monotonic: seconds.
            pause: waits so many seconds.
        """
        self._api = api
        self._config = config
        self._administrator = administrator
        self._wall = wall
        self._monotonic = monotonic
        self._pause = pause
        self._looks: dict[str, float] = {}  # uid to when the next is due
        self._said: dict[str, str] = {}  # uid to the last Event's message
        self._failing: set[str] = set()  # uids
        self._in_a_row = 0  # rounds that failed
        self._began: float | None = None  # the round under way
        self.trouble = "no namespace has been looked at yet"  # empty once a round was done
        self.counts: dict[tuple[str, ...], float] = {}  # namespaces by state
        self.rounds: dict[tuple[str, ...], float] = {("done",): 0, ("failed",): 0}

    def stuck(self) -> str:
        """What does not go on, in words; empty while all goes on."""
        if self._began is None or self._monotonic() < self._began + STUCK_AFTER:
            return ""
        return f"the namespaces have been looked at for {STUCK_AFTER:.0f} s"

    async def run(self) -> None:
        """Do rounds until it is cancelled."""
        while True:
            self._began = self._monotonic()
            try:
                version = await self.round()
            except TenureError as error:
                self._broke(error)
                version = ""
            else:
                self.trouble = ""
                self._in_a_row = 0
                self.rounds["done",] += 1
            self._began = None
            await self._pause(BETWEEN)
            await self._rest(version)

    async def round(self) -> str:
        """Do what there is to do; returns the version of the list that it was done for.

        Raises: ClusterApiError, StoreError, BadCertificateError for what concerns all namespaces.
        """
        listing = await self._api.call("list namespaces", "GET", _PATH)
        found = [read(one) for one in listing["items"]]
        choice = choose(found, listed=self._config.app_namespaces, excluded=self._config.excluded)
        uids = {one.uid for one in found}
        # Who comes back is looked at as if new, and who is about to go is not looked at.
        served = {one.uid for one in choice.served if not one.ending}
        self._looks = {uid: at for uid, at in self._looks.items() if uid in served}
        self._said = {uid: text for uid, text in self._said.items() if uid in uids}
        self._failing &= served
        now = due(choice.served, self._looks, now=self._monotonic())
        try:
            await self._serve(choice, now, found)
        except TenureError as error:
            if self._in_a_row >= TELL_AFTER:
                text = f"not served yet: {error}"
                for one in now:
                    await self._say(one, "StoreDelayed", text, warning=True, same="StoreDelayed")
            raise
        for one, reason in choice.refused:
            await self._say(one, "StoreRefused", reason, warning=True)
        self.counts = {
            ("served",): len(choice.served) - len(self._failing),
            ("refused",): len(choice.refused),
            ("failed",): len(self._failing),
        }
        return str(listing["metadata"]["resourceVersion"])

    # --- parts ------------------------------------------------------------------------------------

    async def _serve(
        self, choice: Choice, now: tuple[Namespace, ...], found: list[Namespace]
    ) -> None:
        """Users, then Secrets, of those that are due."""
        await self._users(choice, now, found)
        keys = Keys(self._api, self._config)
        why = await keys.serve([one.name for one in now], self._wall() / _NANOS)
        changed = {line.partition("/")[0] for line in keys.done}
        for one in now:
            wait = RETRY if one.name in why else self._config.look_every
            self._looks[one.uid] = self._monotonic() + wait
            if one.name in why:
                self._failing.add(one.uid)
                await self._say(one, "StoreFailed", why[one.name], warning=True)
                continue
            if one.name in changed or one.uid in self._failing or one.uid in self._said:
                await self._say(one, "StoreReady", self._ready(one.name))
            self._failing.discard(one.uid)

    async def _users(
        self, choice: Choice, now: tuple[Namespace, ...], found: list[Namespace]
    ) -> None:
        if self._administrator is None:
            return
        async with self._administrator() as client:
            done, gone = await database.namespaces(
                client, serve=[one.name for one in now], keep=choice.names
            )
        for line in done:
            _log.info("upkeep", done=line)
        names = {namespace_of(user) for user in gone}
        for one in found:
            if one.name in names:
                text = (
                    f"user {user_of(one.name)} of etcd taken away; what it wrote stays, and "
                    f"label {LABEL_STORE}=true gives access again"
                )
                await self._say(one, "StoreEnded", text)

    def _ready(self, name: str) -> str:
        config = self._config
        if self._administrator is None:
            return f"Secret {config.peers_secret} has its certificate"
        secrets = f"Secrets {config.app_secret} and {config.peers_secret} have their certificates"
        return f"user {user_of(name)} of etcd is there, {secrets}"

    async def _rest(self, version: str) -> None:
        """Until a namespace changes or a look is due; a while when the round has failed."""
        if not version:
            await self._pause(RETRY)
            return
        soonest = min(self._looks.values(), default=math.inf) - self._monotonic()
        within = max(1.0, min(soonest, WATCH_FOR))
        try:
            await self._api.changed("watch namespaces", _PATH, version=version, within=within)
        except ClusterApiError as error:
            self._broke(error)
            await self._pause(RETRY)

    def _broke(self, error: TenureError) -> None:
        self.rounds["failed",] += 1
        self._in_a_row += 1
        self.trouble = str(error)
        _log.error("namespaces not looked at", error=str(error))

    async def _say(
        self, about: Namespace, reason: str, text: str, *, warning: bool = False, same: str = ""
    ) -> None:
        """Put an Event into the namespace, unless it is the last that was put there.

        ``same``: what makes two of them one, when their texts may differ.
        """
        if self._said.get(about.uid) == (same or text):
            return
        self._said[about.uid] = same or text
        log = _log.warning if warning else _log.info
        log("upkeep", namespace=about.name, reason=reason, message=text)
        path = f"{_PATH}/{quote(about.name)}/events"
        event = self._event(about, reason, text, kind="Warning" if warning else "Normal")
        try:
            await self._api.call("create event", "POST", path, event)
        except ClusterApiError as error:  # a courtesy
            _log.info("event not sent", namespace=about.name, error=str(error))

    def _event(self, about: Namespace, reason: str, text: str, *, kind: str) -> Json:
        now: Any = format_time(self._wall())
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"generateName": f"{COMPONENT}-", "namespace": about.name},
            "involvedObject": {
                "apiVersion": "v1",
                "kind": "Namespace",
                "name": about.name,
                "namespace": about.name,
                "uid": about.uid,
            },
            "type": kind,
            "reason": reason,
            "message": text[:_LONGEST],
            "source": {"component": COMPONENT},
            "reportingComponent": COMPONENT,
            "reportingInstance": COMPONENT,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
