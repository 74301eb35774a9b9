"""
Puts ten jobs, and exits. The jobs stay until somebody gets them::

    python examples/producer.py
    python examples/consumer.py

Try it in the other order too, with several consumers, and again and again. An argument is how many jobs to put.
"""

import os
import sys

from groupqueue import GroupQueue


def main(count: int = 10) -> None:
    with GroupQueue("example-jobs") as q:
        for number in range(count):
            q.put({"number": number, "from": os.getpid()})
        q.flush()
        print(f"put {count} jobs; {q.qsize()} wait for a consumer", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
