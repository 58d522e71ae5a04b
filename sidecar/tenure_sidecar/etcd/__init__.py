"""etcd for asyncio: exactly what Tenure stands on, and nothing blindly repeated.

``EtcdClient(endpoints, clock=monotonic)`` is the whole of it; make it inside a running loop and
``await client.close()`` in the end.  Every method has a deadline, and can be cancelled.

========================================  ==========================================================
``await client.range(Get(key, end))``     keys of [key, end), one snapshot; ``revision=`` pins one
``await client.snapshot(gets)``           several reads, all of one revision
``await client.get(key)``                 one ``KeyValue``, or None
``async for page in client.scan(a, b)``   a large range in pages, all of one revision
``await client.txn(compare, success)``    a transaction: ``absent(key)``, ``present(key)``,
                                          ``unchanged(key, mod_revision)``, ``value_is(key, v)``;
                                          ``Put``, ``Delete``, ``Get``, nested ``Txn``
``await client.put(key, value)``          the key's new mod revision
``await client.delete(key, end)``         how many keys went
``client.watch(key, end)``                a ``Watch``: ``revision = await watch.started()``, list at
                                          it, then ``async for batch in watch``; ``batch.gap`` means
                                          list again; ``watch.close()``
``await client.lease_grant(ttl)``         a ``Term``: ``id``, ``deadline``, ``alive(now)``
``await client.keep_alive(id, ...)``      one renewal; the new ``Term``
``await client.lease(ttl)``               a ``Lease`` that renews itself: ``id``, ``alive()``,
                                          ``lost`` (an event), ``close()``
``await client.revoke(id)``               end a lease, delete its keys
``status``, ``alarms``, ``compact``,      maintenance
``defragment``
``client.users``                          who may do what (``Users``)
========================================  ==========================================================

What can go wrong is one of three things (see ``faults``): *refused* (``EtcdRefusedError``:
compacted, lease gone, too large; ``EtcdFullError``; ``EtcdAccessError``), *unavailable*
(``EtcdUnavailableError``, nothing was changed) and *unknown* (``EtcdOutcomeUnknownError``, only of
writes: read before you act).
"""

from tenure_sidecar.etcd.access import Tls, User
from tenure_sidecar.etcd.client import EtcdClient, Status
from tenure_sidecar.etcd.lease import Lease, Term
from tenure_sidecar.etcd.records import (
    Compare,
    Delete,
    Get,
    KeyValue,
    Op,
    Part,
    Put,
    Range,
    Txn,
    TxnResult,
    absent,
    prefix_end,
    present,
    range_of,
    txn_of,
    unchanged,
    value_is,
)
from tenure_sidecar.etcd.users import Users
from tenure_sidecar.etcd.watch import Batch, Event, Watch

__all__ = [
    "Batch",
    "Compare",
    "Delete",
    "EtcdClient",
    "Event",
    "Get",
    "KeyValue",
    "Lease",
    "Op",
    "Part",
    "Put",
    "Range",
    "Status",
    "Term",
    "Tls",
    "Txn",
    "TxnResult",
    "User",
    "Users",
    "Watch",
    "absent",
    "prefix_end",
    "present",
    "range_of",
    "txn_of",
    "unchanged",
    "value_is",
]
