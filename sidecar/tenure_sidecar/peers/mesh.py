"""All connections of one member: those that it makes, to lend, and those that it takes, to borrow.

Whom it connects to is decided together with the distribution of partitions (``actors/sharing``): the
neighbours always, to see that they are there, and others with workers while its own app has more
activities than slots.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import msgspec
import structlog

from tenure_common.errors import BadRequestError, BadSettingError, ClocksDifferError
from tenure_sidecar.actors.sharing.neighbours import Connection, Neighbours, Peer, ring
from tenure_sidecar.peers import frames, lend
from tenure_sidecar.peers.borrower import Borrowers
from tenure_sidecar.peers.clocks import Clocks, estimate
from tenure_sidecar.peers.link import BROKEN, Link
from tenure_sidecar.peers.server import PeerServer, nobody_at
from tenure_sidecar.peers.tls import Contents, PeerTls, channel_credentials, renew_after

if TYPE_CHECKING:
    from tenure_sidecar.actors.port import Clock
    from tenure_sidecar.actors.sharing.records import MemberRecord
    from tenure_sidecar.dispatch.dispatcher import Dispatcher

_CONNECT = 1.0  # seconds
_WANT_FOR = 1.0  # seconds that one counts as wanting after the last activity that had to wait
_LINKS_FOR = 30.0  # the same, before connections made for that are closed
# A connection that ended; as an internal error when that was in the middle of a write.
_ENDED = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL})
_LOOK = 0.5  # seconds between looks while nothing happens
_FILES_EVERY = 20  # looks, between those at the certificates, and at the clocks of others
_OPTIONS = (
    ("grpc.enable_retries", 0),
    ("grpc.enable_http_proxy", 0),
    ("grpc.use_local_subchannel_pool", 1),  # no connection is shared, nor its state
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.keepalive_time_ms", 5_000),
    ("grpc.keepalive_timeout_ms", 3_000),
    ("grpc.http2.max_pings_without_data", 0),
)

_log = structlog.get_logger(__name__)


class Mesh:
    """See the module docstring.

    Args:
        dispatcher: whose activities are lent, and whose workers run those of others.
        host: address of this process that others reach.
        port: to listen on; 0 = any free one.
        hello: who this process is.
        clock: the wall clock, nanoseconds since the Unix epoch.
        tls: None = plain.
    """

    def __init__(  # noqa: PLR0913 - few call sites, by name
        self,
        dispatcher: Dispatcher,
        *,
        host: str,
        port: int,
        hello: frames.Hello,
        clock: Clock,
        tls: PeerTls | None = None,
    ) -> None:
        self._dispatcher = dispatcher
        self._hello = hello
        self._clock = clock
        self.clocks = Clocks()
        self._borrowers = Borrowers(dispatcher, clock=clock)
        self._tls = tls
        self._server = PeerServer(
            host=host, port=port, hello=hello, borrowers=self._borrowers, tls=tls
        )
        self.neighbours = Neighbours(self._dial, word=hello.word)
        self.neighbours.links = self._links
        self._loop = asyncio.get_running_loop()
        self._open: dict[Link, None] = {}  # in order, as whatever is said to all of them
        self._complained: set[str] = set()
        self._closing: set[asyncio.Task[None]] = set()
        self._kept: frozenset[str] = frozenset()  # connected for what they owe, and nothing else
        self._wanted_at = -_LINKS_FOR  # loop time
        self._reaching = False  # others than the neighbours are connected to
        self._looking = False
        self._waits_for = ""  # a file with certificates that is not there yet
        dispatcher.on_pumped = self._look_soon

    # --- life ---------------------------------------------------------------------------------

    async def start(self) -> None:
        """Listen, if the certificates are there.  Raises: PortInUseError, BadSettingError.

        Without them this process is for itself: it neither connects nor is connected to, because
        what was to be encrypted is never sent in plain text.
        """
        if self._tls is not None and (missing := await asyncio.to_thread(self._tls.missing)):
            if missing != self._waits_for:
                _log.warning(
                    "not connected to other sidecars, and activities are not lent: "
                    "the certificates for it are not there",
                    file=missing,
                )
            self._waits_for = missing
            return
        self.neighbours.address = await self._server.start()
        if self._waits_for:
            _log.info("the certificates are there: connecting to other sidecars")
            self._waits_for = ""
            self.neighbours.changed()

    async def run(self) -> None:
        """Look now and then, until cancelled: what wanted room may want none any more."""
        files = await self._files()
        looks = 0
        while True:
            await asyncio.sleep(_LOOK)
            self._look()
            looks += 1
            if looks % _FILES_EVERY:
                continue
            if not self.neighbours.address:
                await self.start()
            for link in tuple(self._open):
                link.ask()
            if (fresh := await self._files()) != files:
                _log.info("certificates for peers changed, connecting anew")
                files = fresh
                for link in tuple(self._open):
                    link.replace()

    async def _files(self) -> Contents | None:
        """The certificates; None when there are none, or they are being replaced just now."""
        try:
            return None if self._tls is None else await asyncio.to_thread(self._tls.read)
        except BadSettingError:
            return None

    async def drain(self, grace: float) -> None:
        """Borrow nothing more, and wait up to ``grace`` seconds for what was."""
        self._dispatcher.loans.closed = True
        self._borrowers.look()
        try:
            async with asyncio.timeout(grace):
                await self._borrowers.settled()
        except TimeoutError:
            owed = self._dispatcher.loans.owed
            _log.warning("activities of other members are cut off", count=owed)

    async def stop(self) -> None:
        """End everything; whoever watches this process is told by that."""
        self.neighbours.stop()
        for link in tuple(self._open):
            link.abort()
        await self._server.stop()
        await asyncio.gather(*self._closing, return_exceptions=True)

    # --- facts --------------------------------------------------------------------------------

    @property
    def connections(self) -> tuple[int, int]:
        """Streams on which this process lends, and borrows."""
        return len(self._open), len(self._borrowers)

    # --- connecting ---------------------------------------------------------------------------

    async def _dial(self, name: str, peer: Peer) -> Connection | bool:
        """See ``neighbours.Dial``."""
        address, word = peer
        left: list[float] = []  # seconds for which certificates are valid
        try:
            channel = self._channel(address, left)
        except BadSettingError as error:
            return self._complain(name, address, str(error))
        hello = msgspec.structs.replace(self._hello, to=word)
        call = channel.stream_stream(frames.PATH)()
        incoming = aiter(call)
        try:
            async with asyncio.timeout(_CONNECT):
                await call.write(frames.join([frames.encode(hello)]))
                message = await anext(incoming, b"")
            first = frames.from_peer(message) if message else ()
        except (*BROKEN, BadRequestError, TimeoutError) as error:
            try:
                if isinstance(error, TimeoutError):
                    return False
                return await self._failed(name, address, error, call)
            finally:
                self._drop(channel)
        except BaseException:
            self._drop(channel)
            raise
        if not first or not isinstance(first[0], frames.Hello) or first[0].word != word:
            self._drop(channel)
            return self._complain(name, address, "it does not say who it is")
        if self._tls is not None:
            left.append(first[0].good_for or 0.0)
        self._complained.discard(name)
        link = Link(
            name,
            peer=address,
            call=call,
            incoming=incoming,
            close=lambda: self._closed(link, channel),
            dispatcher=self._dispatcher,
            changed=self._look_soon,
            timed=partial(self._timed, name),
            protocol=first[0].protocol,
            until=renew_after(*left) if left else None,
        )
        self._open[link] = None
        link.take(first[1:])
        link.ask()
        return link

    async def _failed(self, name: str, address: str, error: Exception, call: Any) -> bool:  # noqa: ANN401 - as above
        """Whether certainly nobody is there."""
        if not isinstance(error, grpc.aio.AioRpcError):
            return self._complain(name, address, str(error))
        code = await call.code()  # a write's error only says that the call is over
        if code is grpc.StatusCode.NOT_FOUND:  # another process is there by now
            return True
        if code in _ENDED and await nobody_at(address, _CONNECT):
            return True
        return self._complain(name, address, await call.details() or str(code))

    def _channel(self, address: str, left: list[float]) -> Any:  # noqa: ANN401 - as above
        """A connection to be; what is added to ``left`` bounds its life.  Raises: BadSettingError."""
        if self._tls is None:
            return grpc.aio.insecure_channel(address, options=_OPTIONS)
        files = self._tls.read()
        left.append(self._tls.left(files.certificate))
        named = ("grpc.ssl_target_name_override", self._tls.app)
        return grpc.aio.secure_channel(
            address, channel_credentials(files), options=(*_OPTIONS, named)
        )

    def _complain(self, name: str, address: str, reason: str) -> bool:
        """Say once that a member cannot be connected to, though it may be there."""
        if name not in self._complained:
            self._complained.add(name)
            _log.warning(
                "cannot connect to a member, trying on",
                member=name,
                address=address,
                reason=reason,
            )
        return False

    def _closed(self, link: Link, channel: Any) -> None:  # noqa: ANN401 - as above
        if link in self._open:
            del self._open[link]
            self._drop(channel)
            self.clocks.keep({one.name for one in self._open})

    def _drop(self, channel: Any) -> None:  # noqa: ANN401 - as above
        task = self._loop.create_task(channel.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _timed(self, name: str, asked: float, there: int) -> None:
        """A member has said what its clock says."""
        found = estimate(
            asked=asked, heard=self._loop.time(), here=self._clock() / 1e9, there=there / 1e9
        )
        if found is None or not self.clocks.take(name, found):
            return
        facts = {"member": name, "ahead": round(found.ahead, 3), "within": round(found.error, 3)}
        if self.clocks.differ:
            _log.warning("clocks of sidecars differ", code=ClocksDifferError.code, **facts)
        else:
            _log.info("clocks of sidecars agree again", **facts)

    # --- whom, and for what ---------------------------------------------------------------------

    def _links(self, near: Sequence[str], members: Mapping[str, MemberRecord]) -> Collection[str]:
        """See ``neighbours.Links``."""
        if not self.neighbours.address:
            return ()
        able = [n for n, one in members.items() if one.address and one.workers and not one.leaving]
        able = [n for n in ring(self._hello.name, able) if n in members]
        self._reaching = self._loop.time() - self._wanted_at < _LINKS_FOR
        owing = dict.fromkeys(link.name for link in self._open if link.owing)
        found = lend.links(
            near,
            able,
            wanting=self._reaching,
            held={link.name for link in self._open},
            owing=owing,
        )
        self._kept = frozenset(owing).difference(near, able if self._reaching else ())
        return found

    def _look_soon(self) -> None:
        """Look once after all that happens now."""
        if not self._looking:
            self._looking = True
            self._loop.call_soon(self._look)

    def _look(self) -> None:
        self._looking = False
        now = self._loop.time()
        if self._dispatcher.queued[1]:
            self._wanted_at = now
        for link in tuple(self._open):
            link.tidy()
            link.want(now - self._wanted_at < _WANT_FOR)
        self._borrowers.look()
        reach = now - self._wanted_at < _LINKS_FOR
        owing = {link.name for link in self._open if link.owing}
        if reach != self._reaching or self._kept - owing:
            self._reaching = reach
            self._kept &= owing
            self.neighbours.changed()
