"""A bill of materials: what is in the image, as CycloneDX 1.5 JSON.

https://cyclonedx.org/docs/1.5/json/
"""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Iterable
from email.parser import HeaderParser
from pathlib import Path
from typing import Any

PLACE = "usr/share/doc/tenure/sbom.cdx.json"


def bill(folders: Iterable[Path], *, libraries: Iterable[str], version: str) -> bytes:
    """The document.

    Args:
        folders: where packages are installed (with their ``.dist-info``).
        libraries: names of shared libraries of the system.
        version: of Tenure.
    """
    components = [_python()]
    for folder in folders:
        components += [_package(info / "METADATA") for info in sorted(folder.glob("*.dist-info"))]
    components += [{"type": "library", "name": name} for name in sorted(set(libraries))]
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {"type": "container", "name": "tenure", "version": version}},
        "components": components,
    }
    return json.dumps(document, indent=1).encode()


def _python() -> dict[str, Any]:
    version = platform.python_version()
    return {
        "type": "platform",
        "name": "cpython",
        "version": version,
        "purl": f"pkg:generic/cpython@{version}",
    }


def _package(metadata: Path) -> dict[str, Any]:
    headers = HeaderParser().parsestr(metadata.read_text(encoding="utf-8"))
    name, version = str(headers["Name"]), str(headers["Version"])
    found: dict[str, Any] = {
        "type": "library",
        "name": name,
        "version": version,
        "purl": f"pkg:pypi/{name.lower()}@{version}",
    }
    terms = headers["License-Expression"] or headers["License"]
    if terms and "\n" not in terms:
        kind = "expression" if headers["License-Expression"] else "license"
        found["licenses"] = [
            {"expression": terms} if kind == "expression" else {"license": {"name": terms}}
        ]
    return found


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    (own,) = folder.glob("tenure-*.dist-info")
    version = own.name.removeprefix("tenure-").removesuffix(".dist-info")
    print(bill((folder,), libraries=(), version=version).decode())  # noqa: T201 - its output
