"""The clients' half of TaskHubSidecarService: requests to verbs to replies.

Each method takes the request's bytes and returns the reply's; errors are raised and become statuses
in ``adapt``.  What the two flavours ask for under different names ends in the same verb.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from tenure_common.errors import (
    InstanceExistsError,
    NotTerminalError,
    UnsupportedError,
)
from tenure_sidecar.actors.operations import TERMINAL
from tenure_sidecar.engine import starting
from tenure_sidecar.store.port import Order, Query
from tenure_sidecar.wire import client, replies
from tenure_sidecar.wire.requests import ReuseAction

if TYPE_CHECKING:
    from tenure_sidecar.actors.operations import Operations
    from tenure_sidecar.actors.port import Clock
    from tenure_sidecar.engine.head import Head
    from tenure_sidecar.engine.ids import Ids
    from tenure_sidecar.wire.codec import Codec
    from tenure_sidecar.wire.requests import Reuse, StartRequest

_PAGE = 100  # instances on a page when the client has no opinion
_PAGE_MAX = 1_000
_IDS_PAGE = 1_024


class ClientService:
    """Handlers of one listener.

    Args:
        knows_stalled: whether the port's clients know the status STALLED.
    """

    def __init__(  # noqa: PLR0913 - the composition root passes each part once
        self,
        operations: Operations,
        *,
        dapr: Codec,
        ids: Ids,
        clock: Clock,
        app_id: str,
        knows_stalled: bool,
    ) -> None:
        self._verbs = operations
        self._dapr = dapr
        self._ids = ids
        self._clock = clock
        self._app_id = app_id
        self._knows_stalled = knows_stalled

    def _own(self, target_app: str | None) -> None:
        """Raises: UnsupportedError for a request that means another app."""
        if target_app and target_app != self._app_id:
            message = (
                f"the request is for app '{target_app}', this engine serves '{self._app_id}'; "
                "send it to that app's own engine"
            )
            raise UnsupportedError(message)

    # --- start --------------------------------------------------------------------------------

    async def start(self, request: bytes) -> bytes:
        """StartInstance."""
        asked = client.start(request)
        self._own(asked.target_app)
        creation = starting.start(
            asked.name,
            instance_id=asked.instance_id,
            input=asked.input,
            version=asked.version,
            scheduled_start=asked.scheduled_start,
            tags=asked.tags,
            trace=asked.trace,
            execution_id=asked.execution_id,
            now=self._clock(),
            ids=self._ids,
        )
        instance_id = creation.head.instance_id
        try:
            await self._verbs.start(creation, replace=frozenset())
        except InstanceExistsError:
            free = await self._may_replace(instance_id, asked)
            if free:
                await self._verbs.start(creation, replace=TERMINAL)
        return replies.created(instance_id)

    async def _may_replace(self, instance_id: str, asked: StartRequest) -> bool:
        """Whether the instance that has the id may go; False when the start is to be ignored.

        Raises: InstanceExistsError when neither.
        """
        head = await self._verbs.head(instance_id)
        if head is None:
            return True
        reuse = asked.reuse
        if reuse is None:
            free = head.status.terminal and not asked.enforce_unique
            if free and (child := await self._live_child(instance_id)) is not None:
                message = (
                    f"cannot recreate workflow with ID '{instance_id}': child workflow '{child}' "
                    "is still active"
                )
                raise InstanceExistsError(message)
        else:
            free = head.status in reuse.statuses
        if not free:
            # SDKs match on the first words.
            kind = "an active workflow" if not head.status.terminal else "a workflow"
            message = f"{kind} with ID '{instance_id}' already exists ({head.status.name})"
            raise InstanceExistsError(message)
        return reuse is None or await self._make_way(head, reuse)

    async def _make_way(self, head: Head, reuse: Reuse) -> bool:
        if reuse.action is ReuseAction.IGNORE:
            return False
        if reuse.action is ReuseAction.ERROR:
            message = f"an active workflow with ID '{head.instance_id}' already exists"
            raise InstanceExistsError(message)
        if not head.status.terminal:
            await self._verbs.terminate(head.instance_id, None, recurse=True)
        return True

    async def _live_child(self, instance_id: str) -> str | None:
        """A descendant that has not ended, if there is one."""
        for child in await self._verbs.children(instance_id):
            head = await self._verbs.head(child)
            if head is not None and not head.status.terminal:
                return child
            found = await self._live_child(child)
            if found is not None:
                return found
        return None

    # --- read ---------------------------------------------------------------------------------

    async def get(self, request: bytes) -> bytes:
        """GetInstance."""
        asked = client.get(request)
        self._own(asked.target_app)
        return await self._state(asked.instance_id, with_payloads=asked.with_payloads)

    async def _state(self, instance_id: str, *, with_payloads: bool) -> bytes:
        found: tuple[Head, str | None] | None
        if with_payloads:
            found = await self._verbs.state(instance_id)
        else:
            head = await self._verbs.head(instance_id)
            found = None if head is None else (head, None)
        if found is None:
            return replies.MISSING
        return replies.state(*found, with_payloads, knows_stalled=self._knows_stalled)

    async def wait_start(self, request: bytes) -> bytes:
        """WaitForInstanceStart."""
        return await self._wait(request, method="WaitForInstanceStart", end=False)

    async def wait_end(self, request: bytes) -> bytes:
        """WaitForInstanceCompletion."""
        return await self._wait(request, method="WaitForInstanceCompletion", end=True)

    async def _wait(self, request: bytes, *, method: str, end: bool) -> bytes:
        asked = client.get(request, method=method)
        self._own(asked.target_app)
        given: str | None = None
        if asked.with_payloads:
            head, given = await self._verbs.wait_state(asked.instance_id, end=end)
        else:
            head = await self._verbs.wait(asked.instance_id, end=end)
        return replies.state(head, given, asked.with_payloads, knows_stalled=self._knows_stalled)

    async def query(self, request: bytes) -> bytes:
        """QueryInstances."""
        asked = client.query(request)
        page = await self._verbs.page(
            Query(
                statuses=asked.statuses,
                created_from=asked.created_from,
                created_to=asked.created_to,
                id_prefix=asked.id_prefix,
                order=Order.CREATED,
            ),
            limit=min(asked.limit or _PAGE, _PAGE_MAX),
            cursor=asked.cursor,
        )
        rows: list[tuple[Head, str | None]] = []
        for head in page.heads:
            given = await self._verbs.input(head.instance_id) if asked.with_payloads else None
            rows.append((head, given))
        return replies.query_page(rows, cursor=page.cursor, with_payloads=asked.with_payloads)

    async def list_microsoft(self, request: bytes) -> bytes:
        """ListInstanceIds: ended instances by the time of their end."""
        asked = client.list_microsoft(request)
        page = await self._verbs.page(
            Query(
                statuses=asked.statuses or TERMINAL,
                completed_from=asked.completed_from,
                completed_to=asked.completed_to,
                order=Order.COMPLETED,
            ),
            limit=min(asked.limit or _IDS_PAGE, _IDS_PAGE),
            cursor=asked.cursor,
        )
        return replies.ids_page_microsoft(
            (head.instance_id for head in page.heads), cursor=page.cursor
        )

    async def list_dapr(self, request: bytes) -> bytes:
        """ListInstanceIDs: all instances by id."""
        asked = client.list_dapr(request)
        page = await self._verbs.page(
            Query(), limit=min(asked.limit or _IDS_PAGE, _IDS_PAGE), cursor=asked.cursor
        )
        return replies.ids_page_dapr((head.instance_id for head in page.heads), cursor=page.cursor)

    async def history(self, request: bytes) -> bytes:
        """GetInstanceHistory."""
        asked = client.history_dapr(request)
        _, events = await self._verbs.history(asked.instance_id)
        return replies.history([e for e in map(self._dapr.event, events) if e])

    # --- change -------------------------------------------------------------------------------

    async def raise_event(self, request: bytes) -> bytes:
        """RaiseEvent."""
        asked = client.raise_event(request)
        self._own(asked.target_app)
        await self._verbs.raise_event(asked.instance_id, asked.name, asked.input)
        return replies.EMPTY

    async def terminate(self, request: bytes) -> bytes:
        """TerminateInstance."""
        asked = client.terminate(request)
        self._own(asked.target_app)
        await self._verbs.terminate(asked.instance_id, asked.output, recurse=asked.recursive)
        return replies.EMPTY

    async def suspend(self, request: bytes) -> bytes:
        """SuspendInstance."""
        asked = client.suspend(request)
        self._own(asked.target_app)
        await self._verbs.suspend(asked.instance_id, asked.reason)
        return replies.EMPTY

    async def resume(self, request: bytes) -> bytes:
        """ResumeInstance."""
        asked = client.resume(request)
        self._own(asked.target_app)
        await self._verbs.resume(asked.instance_id, asked.reason)
        return replies.EMPTY

    async def rewind(self, request: bytes) -> bytes:
        """RewindInstance."""
        asked = client.rewind(request)
        await self._verbs.rewind(asked.instance_id, asked.reason)
        return replies.EMPTY

    async def restart(self, request: bytes) -> bytes:
        """RestartInstance."""
        asked = client.restart(request)
        return replies.created(await self._verbs.restart(asked.instance_id, new_id=asked.new_id))

    async def rerun(self, request: bytes) -> bytes:
        """RerunWorkflowFromEvent."""
        asked = client.rerun(request)
        self._own(asked.target_app)
        return replies.created(
            await self._verbs.rerun(
                asked.source_id,
                event_id=asked.event_id,
                new_id=asked.new_id,
                overwrite_input=asked.overwrite_input,
                given=asked.input,
                child_id=asked.child_id,
            )
        )

    async def purge(self, request: bytes) -> bytes:
        """PurgeInstances: by id, by a batch of ids, or by filter."""
        asked = client.purge(request)
        self._own(asked.target_app)
        if asked.filter is not None:
            wanted = asked.filter
            query = Query(
                statuses=wanted.statuses or TERMINAL,
                created_from=wanted.created_from,
                created_to=wanted.created_to,
            )
            count = await self._verbs.purge_matching(query, recursive=asked.recursive)
            return replies.purged(count)
        count = 0
        for instance_id in asked.instance_ids:
            try:
                count += await self._verbs.purge(
                    instance_id, recursive=asked.recursive, force=asked.force
                )
            except NotTerminalError:
                if len(asked.instance_ids) == 1:
                    raise
        return replies.purged(count)

    async def skip_terminations(self, request: bytes) -> bytes:
        """SkipGracefulOrchestrationTerminations: our terminations never need the code."""
        asked = client.skip_termination(request)
        left: list[str] = []
        for instance_id in asked.instance_ids:
            head = await self._verbs.head(instance_id)
            if head is None or head.status.terminal:
                left.append(instance_id)
                continue
            await self._verbs.terminate(instance_id, asked.reason, recurse=False)
        return replies.unterminated(left)

    async def create_task_hub(self, request: bytes) -> bytes:
        """CreateTaskHub: the hub is there as long as the store is.

        Raises: UnsupportedError for ``recreateIfExists``, which would delete every workflow.
        """
        if client.create_task_hub(request):
            message = (
                "CreateTaskHub with recreateIfExists would delete every workflow of the app; "
                "purge them, or start with a new store"
            )
            raise UnsupportedError(message)
        return replies.EMPTY

    async def delete_task_hub(self, _request: bytes) -> bytes:
        """DeleteTaskHub: accepted, because old test suites call it before each test; the store is
        not touched."""
        return replies.EMPTY


def unsupported(what: str) -> Callable[[bytes], Awaitable[bytes]]:
    """An answer for an RPC that is known and not done."""

    async def refuse(_request: bytes) -> bytes:
        message = f"{what} is not supported by Tenure yet; docs/compatibility.md lists what is"
        raise UnsupportedError(message)

    return refuse
