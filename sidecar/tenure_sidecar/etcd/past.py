"""Whether etcd is what it was: it went back to the past (a backup was restored, or its data were lost),
or another cluster answers in its place.

Revisions only grow, and an answer that a majority stands behind is never behind what anybody was told
before the question.  One that is comes from an earlier state: what was written since is gone.  Every
answer also carries the id of its cluster, and the first one says which is ours; another id is that of
an etcd that was set up anew, or that an address leads to by mistake.

Either way, what this process knows (fences, versions, places of watches, what has ended) is not of this
store, and its revisions will come again, for other writes.  So from then on nothing is sent to etcd,
and ``over`` ends the process: the next one begins with what is there.

What a single member tells of itself (watches, renewals) may be behind; it only says what is known.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tenure_common.errors import EtcdOtherClusterError, EtcdWentBackError, OutcomeUnknownError

if TYPE_CHECKING:
    from tenure_sidecar.etcd._generated import etcd_pb2 as pb


class Past:
    """See the module docstring."""

    def __init__(self) -> None:
        self._cluster = 0  # its id; 0 = nobody said
        self._newest = 0  # of the revisions that this process was told
        self._back = asyncio.Event()
        self._error: OutcomeUnknownError | None = None

    def told(self, header: pb.ResponseHeader) -> None:
        """Some member is at that revision.  Raises: EtcdOtherClusterError."""
        self.of(header)
        self._newest = max(self._newest, header.revision)

    def of(self, header: pb.ResponseHeader) -> None:
        """Some member answered, of the cluster in ``header``.  Raises: EtcdOtherClusterError, before
        anything of the answer is believed."""
        self._cluster = self._cluster or header.cluster_id
        if header.cluster_id in {0, self._cluster}:  # 0: a server that has none
            return
        message = (
            f"etcd is another cluster, {header.cluster_id:x} and not {self._cluster:x}: an address "
            "leads to the wrong etcd, or it was set up anew; nothing more is sent, and this process "
            "ends; compare the addresses with what 'etcdctl endpoint status' says of each"
        )
        self._end(EtcdOtherClusterError(message))

    def known(self) -> int:
        """The newest revision, before a question is sent.  Raises: EtcdWentBackError,
        EtcdOtherClusterError."""
        if self._error is not None:
            raise type(self._error)(self._error.message)
        return self._newest

    def answered(self, header: pb.ResponseHeader, *, known: int) -> None:
        """A majority is at that revision, in answer to a question that was sent when ``known`` was
        the newest.  Raises: EtcdWentBackError, EtcdOtherClusterError."""
        self.told(header)
        revision = header.revision
        if revision >= known:
            return
        message = (
            f"etcd went back from revision {known} to {revision}: a backup was restored or data were "
            "lost, and what was written since is gone; this process ends, the next one goes on with "
            "what is there"
        )
        self._end(EtcdWentBackError(message))

    def _end(self, error: OutcomeUnknownError) -> None:
        self._error = self._error or error
        self._back.set()
        self.known()

    async def over(self) -> None:
        """Never returns.  Raises: as ``known``, as soon as that is seen."""
        await self._back.wait()
        self.known()
