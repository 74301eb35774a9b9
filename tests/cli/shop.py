"""
Puts, or with --ask asks for, what only it can rebuild: its module, in the folder from which it is run, is `shop`.
"""

from __future__ import annotations

import sys

from groupqueue import GroupQueue


class Order:
    """An order."""

    def __init__(self, number: int) -> None:
        self.number = number


class SoldOut(Exception):
    """Cannot be rebuilt elsewhere either."""


if __name__ == "__main__":
    # As its customers would import it, which the command line cannot.
    from shop import Order as Importable  # type: ignore[import-not-found]

    with GroupQueue(sys.argv[1]) as queue:
        if "--ask" in sys.argv:
            try:
                queue.put_wait(Importable(1), timeout=30)
            except Exception as error:
                print(type(error).__name__, error)
        else:
            queue.put_many([Importable(1), {"orders": [Importable(2)]}, "readable"])
            queue.flush()
