"""``make sim``: plays many seeds, and shows those in which a promise was broken.

``SEEDS=1000`` plays seeds 0 to 999, ``SEEDS=500-520`` those; a single one, ``SEEDS=7-7``, is shown
with its faults and the last of what happened.  With ``--plant BUG`` the cluster has a bug
(``support/simulation/planted.py``), and the first seed that finds it ends the run.  ``--table``
plays all planted bugs, and prints the table of docs/concepts/simulation.md.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from support.simulation.planted import BUGS, found_by
from support.simulation.simulate import Outcome, simulate

MOST = 400  # seeds for a planted bug
_LINES = 60


def seeds(text: str) -> range:
    """``N`` or ``FIRST-LAST``.  Raises: ValueError."""
    first, dash, last = text.partition("-")
    return range(int(first), int(last) + 1) if dash else range(int(first))


def shown(outcome: Outcome, *, lines: int) -> Iterator[str]:
    """A seed for people."""
    yield f"seed {outcome.seed}: {outcome.digest}, {outcome.seconds:.0f} virtual seconds"
    yield "  " + ", ".join(f"{name} {count}" for name, count in outcome.numbers.items())
    yield from (f"  fault {one}" for one in outcome.faults)
    yield from (f"  | {one[:200]}" for one in outcome.last[-lines:])
    yield from (f"  WRONG {one}" for one in outcome.wrong)


def say(text: str) -> None:
    """Print at once."""
    print(text, flush=True)


def play(wanted: range) -> int:
    """Play the seeds on all processors; how many were wrong."""
    begun, wrong, virtual, faults = time.monotonic(), 0, 0.0, 0
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for number, outcome in enumerate(pool.map(simulate, wanted, chunksize=4), 1):
            virtual += outcome.seconds
            faults += len(outcome.faults)
            if outcome.wrong:
                wrong += 1
                for line in shown(outcome, lines=_LINES):
                    say(line)
            if number % 100 == 0 or number == len(wanted):
                spent = time.monotonic() - begun
                say(
                    f"{number} seeds, {faults} faults, {virtual / 3600:.1f} simulated hours in "
                    f"{spent:.0f} s ({virtual / spent:.0f} times as fast): {wrong} wrong"
                )
    return wrong


def table(wanted: range) -> int:
    """How many seeds each planted bug takes, as Markdown; how many were not found."""
    say("| bug | what is wrong with it | seeds | found by |")
    say("|---|---|---|---|")
    missing = 0
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        found = pool.map(partial(found_by, seeds=wanted), BUGS)
        for (name, bug), (took, by) in zip(BUGS.items(), found, strict=True):
            missing += took == 0
            say(f"| `{name}` | {bug.what} | {took or f'not in {len(wanted)}'} | {by} |")
    return missing


def main(argv: Sequence[str]) -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("seeds", type=seeds, help="N, or FIRST-LAST")
    parser.add_argument("--plant", choices=BUGS, help="play with this bug")
    parser.add_argument("--table", action="store_true", help="play with each bug")
    given = parser.parse_args(argv)
    if given.table:
        return min(table(given.seeds), 1)
    if given.plant:
        took, by = found_by(given.plant, given.seeds)
        say(f"{given.plant}: {f'found by seed number {took}, {by}' if took else 'not found'}")
        return 0 if took else 1
    if len(given.seeds) == 1:
        outcome = simulate(given.seeds[0])
        for line in shown(outcome, lines=len(outcome.last)):
            say(line)
        return 1 if outcome.wrong else 0
    return 1 if play(given.seeds) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
