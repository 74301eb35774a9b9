"""Which exceptions are the program's own: those that its signal handlers raise, at whatever instruction they run."""

from __future__ import annotations

import signal
from types import CodeType


def is_interrupt(error: BaseException) -> bool:
    """Whether a signal handler raised it, or it is none that a program catches by chance."""
    if not isinstance(error, Exception):
        return True
    try:
        codes = _handlers()
    except Exception:  # noqa: BLE001 - a handler of the program's whose attributes cannot be looked at
        return False
    step = error.__traceback__
    while step is not None:
        if step.tb_frame.f_code in codes:
            return True
        step = step.tb_next
    return False


def _handlers() -> set[CodeType]:
    """The code of every handler that is installed: a function, a method, an object that can be called."""
    found = set()
    for number in signal.valid_signals():
        handler = signal.getsignal(number)
        if not callable(handler):
            continue
        handler = getattr(handler, "func", handler)
        for called in (handler, type(handler).__call__):
            code = getattr(getattr(called, "__func__", called), "__code__", None)
            if isinstance(code, CodeType):
                found.add(code)
    return found
