# ruff: noqa: INP001 - a script, not a package
"""Build the image of all roles as an OCI archive, without a container engine.

::

    python image/build.py                         # build/tenure.tar
    python image/build.py --name registry.example.org/tenure:0.1.0 --out tenure.tar

What it makes is what ``image/Dockerfile`` makes: the interpreter that runs this script, the packages
of ``requirements/image.txt`` by their hashes, Tenure, a user without rights, and a bill of
materials.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from oci.product import ROOT, build, say

NAME = "tenure.dev/tenure:dev"


def main() -> int:
    """Build it."""
    parser = argparse.ArgumentParser(description="Build the image as an OCI archive.")
    parser.add_argument("--name", default=NAME, help=f"name and tag (default {NAME})")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "tenure.tar")
    asked = parser.parse_args()
    digest = build(asked.name, asked.out)
    size = asked.out.stat().st_size / 1_000_000
    say(f"{asked.out}: {asked.name}, {size:.0f} MB, {digest}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
