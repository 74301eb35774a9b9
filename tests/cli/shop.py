"""Puts what only it can rebuild: `python shop.py` with `tests/cli` as its folder, so that its module is `shop`."""

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
        queue.put_many([Importable(1), {"orders": [Importable(2)]}, "readable"])
        queue.flush()
