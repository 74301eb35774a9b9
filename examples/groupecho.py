"""
Everybody asks the group the time once a second, and everybody answers.

Start several copies, each in a terminal of its own::

    python examples/groupecho.py

Who answers is whoever is free. Then kill any of them, with Ctrl-C or with `kill -9`, also the one that leads: the
others carry on. A copy that runs alone answers itself.
"""

import os
import threading
import time

from groupqueue import GroupQueue


def answer_others(q: GroupQueue) -> None:
    for question in q:
        q.reply(f"it is {time.strftime('%H:%M:%S')} in process {os.getpid()}, {question['name']}")


def main() -> None:
    name = f"process {os.getpid()}"
    with GroupQueue("echo") as q:
        threading.Thread(target=answer_others, args=(q,), daemon=True).start()
        while True:
            answer = q.put_wait({"name": name})
            print(f"{name}{' (leads)' if q.is_leader else ''}: {answer}", flush=True)
            time.sleep(1)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
