"""Builds the control plane's programs, with progress; what the tests there do by themselves too."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.kube.programs import programs
from support.kube.toolchain import UnavailableError

if __name__ == "__main__":
    try:
        print(f"ready: {programs()}")
    except UnavailableError as error:
        sys.exit(str(error))
