"""A program that drives etcd with an independent client, one JSON command a line.

A process of its own: two clients' protocol messages cannot be loaded in one.  Not a test module.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from etcd3aio import Etcd3Client, prefix_range_end
from google.protobuf import descriptor_pool


async def run(client: Etcd3Client, command: dict[str, Any]) -> Any:
    """Carry out one command; bytes travel as Latin-1 text."""
    key = command.get("key", "").encode("latin-1")
    value = command.get("value", "").encode("latin-1")
    match command["do"]:
        case "put":
            done = await client.kv.put(key, value, lease=command.get("lease", 0))
            return done.header.revision
        case "get":
            found = await client.kv.get(key, range_end=prefix_range_end(key))
            return [
                [kv.key.decode("latin-1"), kv.value.decode("latin-1"), kv.mod_revision, kv.lease]
                for kv in found.kvs
            ]
        case "create":
            made = await client.kv.txn(
                compare=[client.kv.txn_compare_create_revision(key, 0)],
                success=[client.kv.txn_op_put(key, value)],
                failure=[],
            )
            return made.succeeded
        case "delete":
            return (await client.kv.delete(key)).deleted
        case "grant":
            return (await client.lease.grant(command["ttl"])).ID
        case "left":
            return (await client.lease.time_to_live(command["lease"])).TTL
        case "revoke":
            await client.lease.revoke(command["lease"])
            return None
        case "watch":
            events = []
            stream = client.watch.watch(
                key, range_end=prefix_range_end(key), start_revision=command["revision"]
            )
            async for response in stream:
                events += [[int(e.type), e.kv.key.decode("latin-1")] for e in response.events]
                if len(events) >= command["count"]:
                    return events
        case "types":
            return {
                **types("etcdserverpb.RangeRequest"),
                **types("mvccpb.KeyValue"),
                **types("authpb.Permission"),
            }
    raise ValueError(command["do"])


def types(name: str) -> dict[str, dict[int, list[Any]]]:
    """The messages of the file that defines ``name``: field numbers with type and label."""
    file = descriptor_pool.Default().FindFileContainingSymbol(name)
    found = {}
    todo = list(file.message_types_by_name.values())
    while todo:
        message = todo.pop()
        todo += message.nested_types
        found[message.name] = {
            number: [field.type, field.is_repeated]
            for number, field in message.fields_by_number.items()
        }
    return found


async def main() -> None:
    loop = asyncio.get_running_loop()
    async with Etcd3Client([sys.argv[1].removeprefix("http://")]) as client:
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            print(json.dumps(await run(client, json.loads(line))), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
