"""
Gets jobs for ever, one after the other; see producer.py.

Each job is held until it is worked off: kill a consumer in the middle of one (it takes half a second), and another
consumer, or the next that you start, is given it again.
"""

import time

from groupqueue import GroupQueue


def main() -> None:
    with GroupQueue("example-jobs") as q:
        print("waiting for jobs: start examples/producer.py", flush=True)
        while True:
            with q.get_message() as message:
                print(f"got {message.obj}" + (" again" if message.attempt > 1 else ""), flush=True)
                time.sleep(0.5)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
