"""Whether etcd went back to the past: a backup was restored, or its data were lost.

Revisions only grow, and an answer that a majority stands behind is never behind what anybody was told
before the question.  One that is comes from an earlier state: what was written since is gone.  What
this process knows (fences, versions, places of watches, what has ended) is of a future that did not
happen, and the revisions of that future will come again, for other writes.  So from then on nothing is
sent to etcd, and ``over`` ends the process: the next one begins with what is there.

What a single member tells of itself (watches, renewals) may be behind; it only says what is known.
"""

from __future__ import annotations

import asyncio

from tenure_common.errors import EtcdWentBackError


class Past:
    """See the module docstring."""

    def __init__(self) -> None:
        self._newest = 0  # of the revisions that this process was told
        self._back = asyncio.Event()
        self._message = ""

    def told(self, revision: int) -> None:
        """Some member is at ``revision``."""
        self._newest = max(self._newest, revision)

    def known(self) -> int:
        """The newest revision, before a question is sent.  Raises: EtcdWentBackError."""
        if self._message:
            raise EtcdWentBackError(self._message)
        return self._newest

    def answered(self, revision: int, *, known: int) -> None:
        """A majority is at ``revision``, in answer to a question that was sent when ``known`` was
        the newest.  Raises: EtcdWentBackError."""
        if revision >= known:
            self.told(revision)
            return
        self._message = self._message or (
            f"etcd went back from revision {known} to {revision}: a backup was restored or data were "
            "lost, and what was written since is gone; this process ends, the next one goes on with "
            "what is there"
        )
        self._back.set()
        self.known()

    async def over(self) -> None:
        """Never returns.  Raises: EtcdWentBackError, as soon as that is seen."""
        await self._back.wait()
        self.known()
