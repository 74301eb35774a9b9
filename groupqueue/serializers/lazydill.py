"""
The only door to dill: imported at the first need, and with no effect on the program's own pickle.

Importing dill extends the table of `pickle._Pickler` and sets signatures on functions of `ctypes.pythonapi`; both are
undone here. Where the program itself imported dill before, that was its wish, and nothing is touched.
"""

from __future__ import annotations

import sys
from typing import Any

_dill: Any = None


def dill() -> Any:
    """The module `dill._dill`, whose creating functions are part of dill's own stream format."""
    global _dill
    if _dill is None:
        theirs = "dill" in sys.modules
        import ctypes  # dill needs it anyway

        known = set(vars(ctypes.pythonapi))
        import dill as package

        if not theirs:
            package.extend(use_dill=False)
            for name in set(vars(ctypes.pythonapi)) - known:
                delattr(ctypes.pythonapi, name)
        _dill = package._dill
    return _dill
