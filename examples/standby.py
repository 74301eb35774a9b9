"""
One active consumer, and as many hot standbys as you like.

Start several copies, each in a terminal of its own::

    python examples/standby.py

All of them put a tick every second; the one that leads gets them all, in the order of each. Kill it, with Ctrl-C or
with `kill -9`: a standby goes on, within milliseconds. A tick that its consumer had not finished comes again.
"""

import os
import threading
import time
from itertools import count

from groupqueue import GroupQueue


def put_ticks(q: GroupQueue) -> None:
    for number in count(1):
        q.put(f"tick {number} of process {os.getpid()}")
        time.sleep(1)


def main() -> None:
    with GroupQueue("example-standby", delivery="leader") as q:
        q.wait_for_leader()
        print(f"process {os.getpid()} {'is active' if q.is_leader else 'stands by'}", flush=True)
        threading.Thread(target=put_ticks, args=(q,), daemon=True).start()
        while True:
            with q.get_message() as message:
                print(f"process {os.getpid()} got {message.obj}", flush=True)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
