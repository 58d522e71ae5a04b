"""How long a command of ``tenure`` takes: one that only helps, and one that asks an engine.

Each command runs in a process of its own, as in a shell; one run before the measured ones warms the
file cache.  Prints wall time and processor time, median and most, in milliseconds.

Run: python bench/startup.py [RUNS]
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests")]
from support.engine import EngineProcess  # noqa: E402 - of the tests, beside us

TENURE = str(Path(sys.executable).with_name("tenure"))
RUNS = 20
MS = 1000


def run(words: list[str], env: dict[str, str]) -> tuple[float, float]:
    """Seconds that a command took, and of the processor."""
    begun = time.perf_counter()
    process = subprocess.Popen([TENURE, *words], stdout=subprocess.DEVNULL, env=env)
    _, status, used = os.wait4(process.pid, 0)
    took = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        message = f"tenure {' '.join(words)} failed"
        raise RuntimeError(message)
    return took, used.ru_utime + used.ru_stime


def main() -> None:
    """Measure and print."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS
    with tempfile.TemporaryDirectory() as folder:
        engine = EngineProcess(Path(folder))
        engine.start()
        env = {**os.environ, "TENURE_SERVER": engine.http_url}
        try:
            for words in (["--help"], ["list"]):
                run(words, env)
                walls, cpus = zip(*(run(words, env) for _ in range(runs)), strict=True)
                print(
                    f"tenure {' '.join(words):<8}",
                    f"wall {statistics.median(walls) * MS:.0f} ms (most {max(walls) * MS:.0f}),",
                    f"processor {statistics.median(cpus) * MS:.0f} ms (most {max(cpus) * MS:.0f})",
                )
        finally:
            engine.close()


if __name__ == "__main__":
    main()
