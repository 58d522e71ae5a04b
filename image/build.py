# ruff: noqa: INP001 - a script, not a package
"""Build the image of all roles as an OCI archive, without a container engine.

::

    python image/build.py                         # build/tenure.tar
    python image/build.py --name registry.example.org/tenure:0.1.0 --out tenure.tar
    python image/build.py --root FOLDER --layer python --layer packages

Its layers: ``python`` is the interpreter that runs this script with the libraries that it loads, and
a user without rights; ``packages`` are those of ``requirements/image.txt``, by their hashes;
``tenure`` is the program and a bill of materials.  ``image/Dockerfile`` calls this script for them,
so that what an engine builds is the same.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from oci.product import LAYERS, ROOT, build, say, unpack

NAME = "tenure.dev/tenure:dev"


def main() -> int:
    """Build it."""
    parser = argparse.ArgumentParser(description="Build the image as an OCI archive.")
    parser.add_argument("--name", default=NAME, help=f"name and tag (default {NAME})")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "tenure.tar")
    parser.add_argument("--root", type=Path, help="write the files below a folder; no archive")
    parser.add_argument(
        "--layer", action="append", choices=LAYERS, help="with --root: this one alone (repeatable)"
    )
    asked = parser.parse_args()
    if asked.root:
        unpack(asked.layer or LAYERS, asked.root)
        return 0
    digest = build(asked.name, asked.out)
    size = asked.out.stat().st_size / 1_000_000
    say(f"{asked.out}: {asked.name}, {size:.0f} MB, {digest}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
