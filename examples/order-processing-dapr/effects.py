"""The outside world of the shop: a file to which each executed step appends one line.

In a real shop this would be a warehouse, a payment service and a carrier.  What matters is the
same: a step may run more than once (the engine promises *at least once*), so each carries an
idempotency key that is the same in every run of that step, and the outside counts each key once.
"""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path

LOG = Path(os.environ.get("EFFECT_LOG", "effects.jsonl"))
_lock = threading.Lock()  # activities run on several threads


def record(step: str, *, order: str, key: str, item: str = "") -> None:
    """Append one line and make it durable before the step says that it is done."""
    line = json.dumps(
        {"step": step, "order": order, "item": item, "key": key, "at": round(time.time(), 3)}
    )
    with _lock, LOG.open("a") as log:
        log.write(line + "\n")
        log.flush()
        os.fsync(log.fileno())
