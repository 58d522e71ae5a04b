"""What a value could have been, for whoever gave one that is none of them.

msgspec says that a value is not in an enumeration, and where; this finds the enumeration there.  Pure.
"""

from __future__ import annotations

import re
from typing import Any, Final

_STEP: Final = re.compile(r"[^.\[\]]+")


def choices(kind: Any, place: str) -> list[str]:  # noqa: ANN401 - any type that msgspec decodes
    """The texts that may stand at ``place`` (``filter.status[0]``) of a value of the type ``kind``,
    sorted; none when it is no enumeration."""
    from msgspec import inspect  # noqa: PLC0415 - for a request that is refused

    nodes: list[inspect.Type] = [inspect.type_info(kind)]
    found: set[str] = set()
    for step in [*_STEP.findall(place), None]:
        below: list[inspect.Type] = []
        while nodes:
            node = nodes.pop()
            match node:
                case inspect.Metadata():
                    nodes.append(node.type)
                case inspect.UnionType():
                    nodes.extend(node.types)
                case inspect.StructType() if step is not None and step == node.tag_field:
                    found.add(str(node.tag))
                case inspect.StructType():
                    below += [field.type for field in node.fields if field.encode_name == step]
                case inspect.VarTupleType():
                    below.append(node.item_type)
                case inspect.LiteralType() if step is None:
                    found.update(map(str, node.values))
                case inspect.EnumType() if step is None:
                    found.update(str(one.value) for one in node.cls)
                case _:
                    pass
        nodes = below
    return sorted(found)
