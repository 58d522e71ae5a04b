"""The cluster store: etcd, shared by any number of processes.

::

    write(ops) ── writing ── rounds: one transaction each, one nested transaction for each op
                     │
                     ├── judge ─── plan, turns, birth, effects: what an op compares and writes (pure)
                     ├── cells ─── what is remembered of instances: hints, compared in every op
                     ├── barrier ─ shuts out requests whose outcome was unknown
                     └── outbox ── what is too large for one transaction
    load, head ──── reading ── one snapshot each          heads, count ── pages
    due, active ─── scans                                 watch ───────── changes
    own, claim ──── owners ─── the fence is a key's revision
    etcd://… ────── address                               tenure doctor ─ check

``keys`` says where everything lies, ``values`` in which form.  Two laws hold everything together:
an op is one transaction of etcd's (W1), and a turn compares the revisions of its partition's owner
key and of its instance's head key (W2).
"""

from tenure_sidecar.store.etcd.address import Address, parse
from tenure_sidecar.store.etcd.check import check, examine
from tenure_sidecar.store.etcd.store import EtcdStore

__all__ = ["Address", "EtcdStore", "check", "examine", "parse"]
