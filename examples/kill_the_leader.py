"""
Four processes; this one asks questions and kills the leader five times, and every question is answered::

    python examples/kill_the_leader.py

The three others are started as you would start them, by their command line. They answer `put_wait`, and stand for
election, which opening the queue is enough for. Look at `kills`: nothing in it catches an error.
"""

import os
import signal
import subprocess
import sys
import time

from groupqueue import GroupQueue

NAME = f"example-kills-{os.getpid()}"


def answer(name: str) -> None:
    with GroupQueue(name) as q:
        for number in q:
            q.reply((number * number, os.getpid()))


def start() -> subprocess.Popen:
    return subprocess.Popen([sys.executable, __file__, NAME])


def kills(q: GroupQueue, processes: dict) -> None:
    for number in range(1, 6):
        for _ in range(200):
            q.put_wait(number)
        leader = q.stats().leader_pid
        os.kill(leader, signal.SIGKILL)
        start_of_pause = time.monotonic()
        square, pid = q.put_wait(number)
        pause = 1000 * (time.monotonic() - start_of_pause)
        print(f"killed {leader}, which led; {number}*{number} = {square}, says {pid}, {pause:.0f} ms later", flush=True)
        processes.pop(leader).wait()
        newcomer = start()
        processes[newcomer.pid] = newcomer


def main() -> None:
    processes = {process.pid: process for process in (start(), start(), start())}
    try:
        with GroupQueue(NAME, mode="client") as q:
            kills(q, processes)
            q.shutdown()
    finally:
        for process in processes.values():
            process.terminate()
            process.wait()
    GroupQueue.unlink(NAME)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        answer(sys.argv[1])
    else:
        main()
