"""A forked child of the test, for what only a fork can show."""

from __future__ import annotations

import os
import pickle
import traceback
from collections.abc import Callable
from typing import Any


class Child:
    """Runs a function in a forked child. `result` waits for what it returns, or raises what it raised."""

    def __init__(self, act: Callable[[], Any]) -> None:
        self._read, write = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            status = 1
            try:
                os.close(self._read)
                try:
                    told = pickle.dumps((True, act()))
                except BaseException:
                    told = pickle.dumps((False, traceback.format_exc()))
                while told:
                    told = told[os.write(write, told) :]
                status = 0
            finally:
                os._exit(status)
        os.close(write)

    def result(self) -> Any:
        parts = []
        while part := os.read(self._read, 65536):
            parts.append(part)
        os.close(self._read)
        os.waitpid(self.pid, 0)
        good, value = pickle.loads(b"".join(parts))
        if not good:
            raise AssertionError(f"in the child:\n{value}")
        return value


def in_child(act: Callable[[], Any]) -> Any:
    return Child(act).result()
