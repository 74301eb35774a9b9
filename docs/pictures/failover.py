"""
Draws failover.svg: a leader is killed, and what its group does meanwhile. `python docs/pictures/failover.py`

Four processes: one leads, one stands by, one puts an item every millisecond, one gets. Of nine runs the one with the
shortest pause is drawn: whatever else the machine does meanwhile makes it longer, and is not what is to be seen.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import marks
import svg
from marks import Mark, mark

from groupqueue import GroupQueue

RUNS = 9
BEFORE = 5.0
LANES = ("leads", "stands by", "puts", "gets")


def leads() -> None:
    with GroupQueue("jobs") as q:
        q.wait_for_leader()
        mark("ready")
        time.sleep(60)


def stands_by() -> None:
    marks.watch_roles()
    leads()


def puts() -> None:
    marks.watch_roles()
    with GroupQueue("jobs", mode="client") as q:
        q.wait_for_leader()
        mark("ready")
        for number in range(60_000):
            q.put(number)
            mark("put")
            time.sleep(0.001)


def gets() -> None:
    marks.watch_roles()
    with GroupQueue("jobs", mode="client") as q:
        q.wait_for_leader()
        mark("ready")
        for number, expected in zip(q, range(60_000)):
            mark("got" if number == expected else f"got {number}, not {expected}")


def run() -> tuple[dict[str, int], list[Mark], float]:
    """The processes, what they did, and when the leader was killed."""
    with tempfile.TemporaryDirectory(prefix="gq-", dir="/tmp") as directory:
        path = Path(directory, "marks")
        path.touch()
        processes = []
        try:
            for role in LANES:
                processes.append(marks.start(__file__, role, directory, path))
                marks.wait_for(path, lambda found: [m.what for m in found].count("ready") == len(processes))
            time.sleep(0.5)
            killed_at = time.monotonic_ns() / 1e6
            processes[0].send_signal(signal.SIGKILL)
            marks.wait_for(path, lambda found: sum(m.what == "got" and m.time > killed_at + 60 for m in found))
        finally:
            marks.end(processes)
        found = marks.read(path)
    return {role: process.pid for role, process in zip(LANES, processes)}, found, killed_at


def pause_of(made: tuple[dict[str, int], list[Mark], float]) -> tuple[float, float]:
    """The get before which, and the get after which, nothing came for longest; both in ms after the kill."""
    _, found, killed_at = made
    times = [m.time - killed_at for m in found if m.what == "got"]
    return max(((a, b) for a, b in pairwise(times) if b > 0 and a < 100), key=length)


def length(pause: tuple[float, float]) -> float:
    return pause[1] - pause[0]


SAID = {
    "stands by": {
        "end of file": "its connection ends",
        "lock": "it has the lock",
        "journal read": "it has read the journal",
        "listens": "it leads",
    },
    "puts": {"end of file": "its connection ends", "welcome": "it is connected, sends the rest"},
    "gets": {"end of file": "its connection ends", "welcome": "it is connected, asks again"},
}


def draw(made: tuple[dict[str, int], list[Mark], float]) -> svg.Picture:
    pids, found, killed_at = made
    names = {pid: lane for lane, pid in pids.items()}
    pause = pause_of(made)
    after = 5 * (int(pause[1]) // 5 + 2)
    left, top, row, scale = 96, 60, 46, 720 / (BEFORE + after)
    picture = svg.Picture(840, 398, "A failover, in milliseconds")
    picture.text(
        12, 28, f"A leader is killed. Four processes, {os.cpu_count()} cores, an item every millisecond or so."
    )

    def x(at: float) -> float:
        return left + (at + BEFORE) * scale

    def y(lane: str) -> int:
        return top + LANES.index(lane) * row + 10

    bottom = top + len(LANES) * row
    for at in range(-int(BEFORE), after + 1, 5):
        picture.line(x(at), top - 8, x(at), bottom - 12)
        picture.text(x(at), bottom + 4, f"{at} ms", colour=svg.PALE, anchor="middle", size=11)
    for lane in LANES:
        picture.text(12, y(lane) + 4, lane)
        picture.line(x(-BEFORE), y(lane), x(0) if lane == "leads" else x(after), y(lane), colour=svg.PALE)
    picture.cross(x(0), y("leads"))
    picture.text(x(0) + 12, y("leads") + 5, "kill -9", colour=svg.RED)
    picture.box(x(pause[0]), y("gets") - 12, x(pause[1]) - x(pause[0]), 24, colour=svg.AMBER)
    picture.text((x(pause[0]) + x(pause[1])) / 2, y("gets") - 14, f"{length(pause):.0f} ms", anchor="middle")

    steps: dict[tuple[str, str], float] = {}
    for event in found:
        at, lane = event.time - killed_at, names[event.pid]
        if event.what in ("put", "got"):
            if -BEFORE <= at <= after:
                picture.dot(x(at), y(lane), colour=svg.BLUE if event.what == "put" else svg.GREEN, radius=3)
        elif 0 < at <= after and event.what in SAID[lane] and (lane, event.what) not in steps:
            steps[lane, event.what] = at
            picture.line(x(at), y(lane) - 9, x(at), y(lane) + 9, colour=svg.INK, width=1.5)
    for number, (lane, words) in enumerate(SAID.items()):
        column = 12 + number * 276
        picture.text(column, bottom + 34, f"who {lane}", colour=svg.PALE)
        for line, what in enumerate(sorted(words, key=lambda what: steps.get((lane, what), after)), 1):
            at = steps[lane, what]
            picture.text(column, bottom + 34 + 18 * line, f"{at:.1f} ms", size=12)
            picture.text(column + 58, bottom + 34 + 18 * line, words[what], size=12)
    for column, colour, said in ((12, svg.BLUE, "put returns"), (126, svg.GREEN, "get returns")):
        picture.dot(column + 4, bottom + 136, colour=colour, radius=3)
        picture.text(column + 14, bottom + 140, said, size=12)
    return picture


def main() -> None:
    runs = sorted((run() for _ in range(RUNS)), key=lambda made: length(pause_of(made)))
    wrong = [m for _, found, _ in runs for m in found if m.what.startswith("got ")]
    if wrong:
        raise SystemExit(f"not once and in order: {wrong}")
    print("pauses in ms:", *(f"{length(pause_of(made)):.1f}" for made in runs))
    draw(runs[0]).save(Path(__file__).with_suffix(".svg"))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        {"leads": leads, "stands by": stands_by, "puts": puts, "gets": gets}[sys.argv[1]]()
    else:
        main()
