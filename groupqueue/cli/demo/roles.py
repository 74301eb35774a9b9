"""
What the demo's processes do: `python -m groupqueue.cli.demo.roles PARENT ROLE ...`, related by nothing but a name.

    work DIRECTORY                   takes files, hashes them, answers or sends the result
    feed DIRECTORY LIST SPREAD       puts every file of LIST
    ask DIRECTORY LIST SPREAD LOG    asks for the hash of every file of LIST, and writes the answers to LOG

Workers and askers stand for election, and are what the demo kills. What they have finished is in a group or in a file
before they go on, so the process that replaces one carries on where it was. None outlives PARENT, the demo's process.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence

from groupqueue import GroupQueue, ShutDown
from groupqueue.cli.demo.files import sha256
from groupqueue.cli.demo.tally import Result

FILES = "files"
HASHES = "hashes"
MAX_ATTEMPTS = 100
ANSWER_LENGTH = 8 + 1 + 64 + 1

Job = tuple[int, str]


def work(directory: str) -> None:
    """Hashes until the group is shut down."""
    files: GroupQueue[Job] = GroupQueue(FILES, directory=directory)
    hashes: GroupQueue[Result] = GroupQueue(HASHES, directory=directory)
    with contextlib.suppress(ShutDown), files, hashes:
        while True:
            message = files.get_message()
            number, path = message.obj
            digest = try_sha256(path)
            if message.wants_reply:
                message.reply(digest)
            else:
                hashes.put(Result(number, digest, message.attempt, os.getpid()))
                hashes.flush()
                message.done()


def feed(directory: str, jobs: Sequence[Job], spread: float) -> None:
    """Puts half of the files at once, so that there is a backlog, and the others in the course of `spread` seconds."""
    half = len(jobs) // 2
    with GroupQueue[Job](FILES, mode="client", directory=directory, max_attempts=MAX_ATTEMPTS) as files:
        files.put_many(jobs[:half])
        for job in paced(jobs[half:], time.monotonic(), spread):
            files.put(job)
        files.flush()


def ask(directory: str, jobs: Sequence[Job], spread: float, log: str) -> None:
    """Asks one question after the other, from the first that LOG has no answer to."""
    answers = os.open(log, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    answered = os.fstat(answers).st_size // ANSWER_LENGTH
    left = spread * (1 - answered / max(len(jobs), 1))
    with GroupQueue[Job](FILES, directory=directory, max_attempts=MAX_ATTEMPTS) as files:
        for number, path in paced(jobs[answered:], time.monotonic(), left):
            digest = files.put_wait((number, path))
            os.write(answers, f"{number:>8} {digest:<64}\n".encode())


def read_answers(log: str) -> list[tuple[int, str]]:
    """What an asker has written so far."""
    try:
        with open(log, encoding="ascii") as lines:
            return [(int(number), digest) for number, digest in map(str.split, lines)]
    except FileNotFoundError:
        return []


def count_answers(log: str) -> int:
    try:
        return os.stat(log).st_size // ANSWER_LENGTH
    except FileNotFoundError:
        return 0


def paced(jobs: Sequence[Job], start: float, spread: float) -> Iterator[Job]:
    """The jobs, none before its time, the last of them `spread` seconds after the start."""
    for done, job in enumerate(jobs, 1):
        ahead = start + spread * done / len(jobs) - time.monotonic()
        if ahead > 0.01:
            time.sleep(ahead)
        yield job


def try_sha256(path: str) -> str:
    """The digest, or in its place the name of what the file could not be read for."""
    try:
        return sha256(path)
    except OSError as error:
        return type(error).__name__


def end_with(parent: int) -> None:
    """Ends this process when its parent is gone, whatever it waits for."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, name="watches the demo", daemon=True).start()


def main(parent: str, role: str, directory: str, *rest: str) -> None:
    end_with(int(parent))
    if role == "work":
        work(directory)
        return
    path, spread, *log = rest
    with open(path, encoding="utf-8") as file:
        jobs = [(number, path) for number, path in json.load(file)]
    if role == "feed":
        feed(directory, jobs, float(spread))
    else:
        ask(directory, jobs, float(spread), *log)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)
