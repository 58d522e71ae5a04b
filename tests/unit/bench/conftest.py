"""The benchmark's modules are scripts in one folder; these tests import them as they import each
other."""

from __future__ import annotations

import sys
from pathlib import Path

_FOLDER = str(Path(__file__).resolve().parents[3] / "bench")
if _FOLDER not in sys.path:
    sys.path.append(_FOLDER)
