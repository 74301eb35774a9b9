"""
Draws life.svg: what becomes of one item whose first consumer is killed. `python docs/pictures/life.py`

Four processes: one leads, one puts one item, two get. Whoever has it first is killed while it works.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from pathlib import Path

import marks
import svg
from marks import Mark, mark

from groupqueue import GroupQueue

RECORDS = {
    "ITEMS": "journal: ITEMS",
    "GRANT": "journal: GRANT",
    "TAKEN": "journal: TAKEN, as the cursor says",
    "REQUEUE": "journal: REQUEUE, its holder is dead",
    "FINISH": "journal: FINISH",
}
STATES = {"ITEMS": "ready", "GRANT": "granted", "got": "held", "REQUEUE": "ready", "FINISH": "finished"}
CALLS = {
    "put": "put() returns",
    "got 1": "get_message(): attempt 1",
    "kill": "kill -9",
    "got 2": "get_message(): attempt 2",
    "done": "done()",
}


def leads() -> None:
    marks.watch_records()
    with GroupQueue("jobs") as q:
        q.wait_for_leader()
        mark("ready")
        time.sleep(60)


def puts() -> None:
    with GroupQueue("jobs", mode="client") as q:
        q.wait_for_leader()
        q.flush()
        time.sleep(0.2)
        q.put({"id": 1})
        mark("put")
        time.sleep(60)


def gets() -> None:
    with GroupQueue("jobs", mode="client") as q:
        q.wait_for_leader()
        mark("ready")
        message = q.get_message()
        mark(f"got {message.attempt}")
        time.sleep(0.002)
        if message.attempt == 1:
            mark("kill")
            os.kill(os.getpid(), signal.SIGKILL)
        mark("done")
        message.done()
        time.sleep(60)


def run() -> tuple[dict[int, str], list[Mark]]:
    """The processes, and what they did from the put on."""
    with tempfile.TemporaryDirectory(prefix="gq-", dir="/tmp") as directory:
        path = Path(directory, "marks")
        path.touch()
        processes = []
        try:
            for number, role in enumerate(("leads", "gets", "gets"), 1):
                processes.append(marks.start(__file__, role, directory, path))
                marks.wait_for(path, lambda found, n=number: [m.what for m in found].count("ready") == n)
            processes.append(marks.start(__file__, "puts", directory, path))
            marks.wait_for(path, lambda found: any(m.what == "FINISH" for m in found))
        finally:
            marks.end(processes)
        found = marks.read(path)
    (first,) = (m.pid for m in found if m.what == "got 1")
    lanes = {process.pid: "a consumer" if process.pid == first else "another" for process in processes}
    lanes |= {processes[0].pid: "the leader", processes[-1].pid: "the producer"}
    begins = next(index for index, m in enumerate(found) if m.what in ("put", "ITEMS"))
    return lanes, [m for m in found[begins:] if m.what in RECORDS or m.what in CALLS]


def draw(lanes: dict[int, str], found: list[Mark]) -> svg.Picture:
    order = ("the producer", "the leader", "a consumer", "another")
    left, step, top, row = 200, 190, 70, 30
    picture = svg.Picture(990, top + row * len(found), "The life of an item")
    where = {lane: left + number * step for number, lane in enumerate(order)}
    picture.text(62, 28, "time", colour=svg.PALE, anchor="end")
    picture.text(74, 28, "the item is", colour=svg.PALE)
    for lane, x in where.items():
        picture.text(x, 28, lane, anchor="middle")
        killed = next((number for number, m in enumerate(found) if m.what == "kill"), 0)
        rows = killed if lane == "a consumer" else len(found) - 1
        picture.line(x, 38, x, top + row * rows, width=2)
    holder = ["a consumer", "another"]
    start = found[0].time
    for number, event in enumerate(found):
        y = top + row * number
        x = where[lanes[event.pid]]
        state = STATES.get(event.what.partition(" ")[0], "")
        picture.text(62, y + 4, f"{event.time - start:.1f} ms", colour=svg.PALE, anchor="end", size=12)
        picture.text(74, y + 4, state, colour=svg.GREEN if state == "finished" else svg.BLUE)
        if event.what == "ITEMS":
            picture.arrow(where["the producer"], x - 5, y, colour=svg.BLUE)
        elif event.what == "GRANT":
            picture.arrow(x, where[holder.pop(0)] - 2, y, colour=svg.BLUE)
        elif event.what == "FINISH":
            picture.arrow(where["another"], x + 5, y, colour=svg.GREEN)
        if event.what == "kill":
            picture.cross(x, y)
        else:
            picture.dot(x, y, colour=svg.GREEN if event.what in ("FINISH", "done") else svg.INK)
        said = RECORDS.get(event.what) or CALLS[event.what]
        picture.text(x + 10, y - 6, said, colour=svg.RED if event.what == "kill" else svg.INK, size=12)
    return picture


def main() -> None:
    draw(*run()).save(Path(__file__).with_suffix(".svg"))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        {"leads": leads, "puts": puts, "gets": gets}[sys.argv[1]]()
    else:
        main()
