"""Builds the environments of the SDKs, all or those that are named: what the tests do by themselves too,
but within their limits of time, which an installation may exceed."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.sdks import main

if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except RuntimeError as error:
        sys.exit(str(error))
