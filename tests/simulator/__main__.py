"""
    python -m tests.simulator [--histories 100000] [--first 0] [--jobs 2] [--moves 40]

Plays that many histories, one to a seed, of up to so many moves each, and prints how many there were and what went
wrong, shrunk. Ends with status 1 if anything did.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from concurrent.futures import ProcessPoolExecutor

from tests.simulator.histories import Failure, history

BLOCK = 250


def play(first: int, count: int, most: int) -> list[Failure]:
    """Short and long ones: what a death breaks shows at once, and what is left behind later."""
    found = []
    for seed in range(first, first + count):
        failure = history(seed, random.Random(~seed).randint(most // 4, most))
        if failure is not None:
            found.append(failure)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulator", description="Plays made-up lives of a group.")
    parser.add_argument("--histories", type=int, default=100_000)
    parser.add_argument("--first", type=int, default=0, metavar="SEED")
    parser.add_argument("--moves", type=int, default=40)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    wanted = parser.parse_args()
    start = time.monotonic()
    failures: list[Failure] = []
    with ProcessPoolExecutor(wanted.jobs) as pool:
        firsts = range(wanted.first, wanted.first + wanted.histories, BLOCK)
        last = wanted.first + wanted.histories
        played = [pool.submit(play, first, min(BLOCK, last - first), wanted.moves) for first in firsts]
        for block in played:
            for failure in block.result():
                failures.append(failure)
                sys.stdout.write(f"{failure}\n\n")
    seconds = time.monotonic() - start
    sys.stdout.write(f"{wanted.histories} histories in {seconds:.0f} s: {len(failures)} went wrong\n")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
