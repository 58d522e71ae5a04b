"""Members of an app to each other: activities are lent where there is room, and who is gone is seen.

::

    owner                                        peer
    dispatch ─ a far stream ─ link.py ══ gRPC ══ borrower.py ─ loans ─ dispatch ─ its app
                                   (server.py)
    sharing ── neighbours ─── mesh.py            lend.py: who gets how much, whom to connect to

The owner connects to the peer.  To its dispatcher the peer is one more worker, which takes activities
only and comes last; to the peer's the owner is somebody who lends.  The connection is watched, too:
that it ends is how one learns that a process is gone.
"""
