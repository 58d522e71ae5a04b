"""The worker's half of TaskHubSidecarService: the work stream and the answers to it.

Handlers get raw bytes.  Which flavour they are in is known from the stream that the item was sent
on: the completion token leads to it.  Answers without a token come from SDKs that predate tokens;
their messages have none of the fields that the flavours disagree on, so either codec reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import structlog

from tenure_common.errors import BadRequestError, MessageTooLargeError, TenureError
from tenure_sidecar.dispatch.stream import Caps, WorkerStream
from tenure_sidecar.engine.actions import Response, Rewind
from tenure_sidecar.rpc.status import fail
from tenure_sidecar.wire.flavour import DAPR, MICROSOFT, choose
from tenure_sidecar.wire.peek import has_routers, peek_string

if TYPE_CHECKING:
    from tenure_sidecar.actors.instance import Ack
    from tenure_sidecar.dispatch.dispatcher import Dispatcher
    from tenure_sidecar.dispatch.items import Sent
    from tenure_sidecar.rpc.transport import Call, Stream
    from tenure_sidecar.wire.codec import Codec, TurnResult

_TURN_TOKEN = 4  # field number of completionToken in a turn's answer, the same in both flavours
_CHUNKS_MAX = 100_000  # actions in a chunked answer

_log = structlog.get_logger(__name__)


class WorkerService:
    """Handlers of one listener; ``default_flavour`` is what its port stands for."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        codecs: Mapping[str, Codec],
        *,
        default_flavour: str,
        forced_flavour: str | None,
        message_bytes: int,
    ) -> None:
        self._dispatcher = dispatcher
        self._codecs = codecs
        self._default = default_flavour
        self._forced = forced_flavour
        self._message_bytes = message_bytes

    def hello(self, call: Call) -> None:
        """A ping; also the keepalive of several SDKs."""
        call.reply(b"")

    def get_work_items(self, stream: Stream) -> None:
        """A worker offers itself."""
        try:
            choice = choose(
                stream.metadata, stream.request, default=self._default, forced=self._forced
            )
            codec = self._codecs[choice.flavour]
            hello = codec.hello(stream.request)
        except TenureError as error:
            stream.fail(error.grpc, str(error))
            return
        dispatcher = self._dispatcher
        worker = WorkerStream(
            dispatcher.next_id(),
            stream,
            codec=codec,
            hello=hello,
            caps=Caps(
                turns=hello.max_turns or choice.max_turns,
                activities=hello.max_activities or choice.max_activities,
                total=choice.max_total,
                message_bytes=max(choice.message_bytes, self._message_bytes),
            ),
            health_ping=choice.health_ping,
            now=dispatcher.now(),
            guessed=choice.guessed,
        )
        _log.info(
            "worker connected",
            worker=stream.peer,
            flavour=choice.flavour,
            because=choice.reason,
        )
        dispatcher.connect(worker)

    def complete_turn(self, call: Call) -> None:
        """CompleteOrchestratorTask and CompleteWorkflowTask."""
        try:
            result = self._turn_result(call.request)
        except TenureError as error:
            fail(call, error)
            return
        ack = acknowledge(call)
        sent = self._dispatcher.sent(result.token)
        response = result.response
        if sent is not None and (result.partial or sent.chunks is not None):
            merged = self._merge(sent, result)
            if merged is None:
                ack(None)
                return
            response = merged
        self._dispatcher.answer_turn(result, response, ack)

    def _turn_result(self, request: bytes) -> TurnResult:
        """Decode a turn's answer.  Raises: BadRequestError."""
        flavour = self._dispatcher.only_flavour()
        if flavour is None:
            sent = self._dispatcher.sent(peek_string(request, _TURN_TOKEN))
            flavour = self._default if sent is None else sent.stream.codec.flavour
        codec = self._codecs[flavour]
        try:
            result = codec.turn_result(request)
        except BadRequestError:
            if flavour == MICROSOFT and self._learn(request):
                return self._codecs[DAPR].turn_result(request)
            raise
        rewinds = any(isinstance(action, Rewind) for action in result.response.actions)
        if rewinds and flavour == MICROSOFT and self._learn(request):
            return self._codecs[DAPR].turn_result(request)
        return result

    def _learn(self, request: bytes) -> bool:
        """Whether a worker that was taken for Microsoft's by the port alone shows to be Dapr's."""
        sent = self._dispatcher.sent(peek_string(request, _TURN_TOKEN))
        if sent is None or not sent.stream.guessed or not has_routers(request):
            return False
        stream = sent.stream
        stream.codec = self._codecs[DAPR]
        stream.guessed = False
        _log.info("worker speaks another flavour", worker=stream.peer, flavour=DAPR)
        return True

    def _merge(self, sent: Sent, result: TurnResult) -> Response | None:
        """Collect a chunked answer; None until its last chunk is here."""
        chunks = sent.chunks
        if chunks is None:
            chunks = sent.chunks = []
        if result.chunk == 0:
            # The worker sends the whole answer again.
            chunks.clear()
        chunks.extend(result.response.actions)
        if len(chunks) > _CHUNKS_MAX:
            self._dispatcher.abandon(result.token)
            return None
        if result.partial:
            return None
        last = result.response
        return Response(
            actions=tuple(chunks),
            custom_status=last.custom_status,
            processed=last.processed,
            version=last.version,
            span_id=last.span_id,
        )

    def complete_activity(self, call: Call) -> None:
        """CompleteActivityTask; the message is the same in both flavours."""
        try:
            result = self._codecs[self._default].activity_result(call.request)
        except TenureError as error:
            fail(call, error)
            return
        self._dispatcher.answer_activity(result, acknowledge(call))

    def abandon(self, call: Call) -> None:
        """AbandonTask{Activity,Orchestrator,Entity}WorkItem: the worker gives an item back."""
        try:
            token = peek_string(call.request, 1)
        except BadRequestError as error:
            fail(call, error)
            return
        self._dispatcher.abandon(token)
        call.reply(b"")


def acknowledge(call: Call) -> Ack:
    """The answer to a completion: OK when it is durable.

    A failure is UNAVAILABLE, after which every SDK expects the item again; RESOURCE_EXHAUSTED would
    make some of them fail the task for good.
    """

    def ack(error: BaseException | None) -> None:
        if error is None:
            call.reply(b"")
        elif isinstance(error, MessageTooLargeError):
            fail(call, error)
        else:
            call.fail("UNAVAILABLE", str(error))

    return ack


Handlers = dict[str, Callable[["Call"], None]]
