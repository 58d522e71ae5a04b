"""The engine, with something between it and each of its peers: ``behind_wires.py sidecar …`` runs as
``python -m tenure_sidecar`` does.

A sidecar says in the store at which address it listens, and that is where others connect.  Here they
connect to another one, which ``wires.json`` in the working directory has for it: ``{"host:port":
"host:port"}``.  So each of two that are connected to each other has its own wire to the other one.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tenure_sidecar.__main__ import main
from tenure_sidecar.actors.sharing.neighbours import Connection, Peer
from tenure_sidecar.peers.mesh import Mesh

WIRES = "wires.json"


def change(wires: Path) -> None:
    """From here on this process reaches its peers over ``wires``."""
    dial = Mesh._dial

    async def through(self: Mesh, name: str, peer: Peer) -> Connection | bool:
        address, word = peer
        routes: dict[str, str] = json.loads(wires.read_text())
        return await dial(self, name, (routes[address], word))

    Mesh._dial = through  # type: ignore[method-assign]


if __name__ == "__main__":
    change(Path(WIRES))
    sys.exit(main(sys.argv[1:]))
