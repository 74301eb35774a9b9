"""What a script started by a test says and hears: lines on its standard output and input."""

import faulthandler
import os
import signal
import sys

faulthandler.register(signal.SIGUSR1, all_threads=True)  # a test that gives up asks for the stacks


def say(*words: object) -> None:
    """One line, in one system call: also from a signal handler, a `__del__` or a second thread it arrives whole."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def hear() -> str:
    """The next line from the test; the script ends with the test."""
    line = sys.stdin.readline()
    if not line:
        os._exit(70)
    return line.rstrip("\n")
