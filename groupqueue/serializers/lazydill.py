"""
The only door to dill: imported at the first need, and with no effect on the program's own pickle.

Importing dill extends the table of `pickle._Pickler` and sets signatures on functions of `ctypes.pythonapi`; both are
undone here. Where the program itself imported dill before, that was its wish, and nothing is touched.

A signal handler or a finaliser that runs in the middle of this import, in the thread that does it, cannot have dill;
what it does not need dill for is done without. A fork waits for the import, as the child could not continue it.
"""

from __future__ import annotations

import logging  # noqa: F401 - hooks before a fork run last first: that of logging, whose lock dill needs, has to be older
import os
import sys
import threading
from types import CodeType, FunctionType
from typing import Any

_lock = threading.RLock()
_importing = False
_dill: Any = None

os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


def maybe_dill() -> Any:
    """The module `dill._dill`, whose creating functions are part of dill's own stream format, or None as said above."""
    global _dill, _importing
    if _dill is None:
        with _lock:
            if not _importing:
                _importing = True
                try:
                    _dill = _imported()
                finally:
                    _importing = False
    return _dill


def dill() -> Any:
    module = maybe_dill()
    if module is None:
        raise ImportError("dill is needed by what interrupted its import")
    return module


def _imported() -> Any:
    theirs = "dill" in sys.modules
    import ctypes  # dill needs it anyway

    known = set(vars(ctypes.pythonapi))
    import dill as package

    if not theirs:
        package.extend(use_dill=False)
        for name in set(vars(ctypes.pythonapi)) - known:
            delattr(ctypes.pythonapi, name)
    return package._dill


def create_code(*args: Any) -> CodeType:
    module = maybe_dill()
    created: CodeType = CodeType(*args) if module is None else module._create_code(*args)
    return created


def create_function(*args: Any) -> FunctionType:
    module = maybe_dill()
    created: FunctionType = FunctionType(*args) if module is None else module._create_function(*args)
    return created
