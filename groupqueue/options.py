"""What a queue is opened with, and what is wrong with it."""

from __future__ import annotations

MODES = ("dual", "client", "master")
DELIVERIES = ("shared", "leader")
MAX_ITEM_BYTES = 1 << 30
LARGEST_ITEM_BYTES = (1 << 32) - 1


class Options:
    """The arguments that a handle keeps, passes on when it is pickled, and its member acts by.

    Raises ValueError or TypeError for a value that is none.
    """

    __slots__ = ("delivery", "durable", "linger", "max_attempts", "max_item_bytes", "maxsize", "mode")

    def __init__(
        self,
        mode: str,
        delivery: str,
        maxsize: int | None,
        max_item_bytes: int,
        linger: float | None,
        max_attempts: int,
        durable: bool,
    ) -> None:
        if mode not in MODES:
            raise ValueError(f"mode must be one of {', '.join(map(repr, MODES))}, not {mode!r}")
        if delivery not in DELIVERIES:
            raise ValueError(f"delivery must be one of {', '.join(map(repr, DELIVERIES))}, not {delivery!r}")
        if delivery == "leader" and mode == "client":
            raise ValueError('delivery="leader" gets only while leading, and mode="client" never leads')
        if maxsize is not None:
            _check_type("maxsize", maxsize, (int,), "an int or None")
            if maxsize >= 1 << 63:
                raise ValueError(f"maxsize must be below {1 << 63}; 0 is unbounded")
        _check_type("max_item_bytes", max_item_bytes, (int,), "an int")
        if not 1 <= max_item_bytes <= LARGEST_ITEM_BYTES:
            raise ValueError(f"max_item_bytes must be from 1 to {LARGEST_ITEM_BYTES}, not {max_item_bytes}")
        if linger is not None:
            _check_type("linger", linger, (int, float), "a number of seconds or None")
        if linger is not None and not linger >= 0:
            raise ValueError(f"linger must be 0 or more seconds, not {linger!r}")
        _check_type("max_attempts", max_attempts, (int,), "an int")
        if not 1 <= max_attempts <= 0xFFFF:
            raise ValueError(f"max_attempts must be from 1 to 65535, not {max_attempts}")
        self.mode = mode
        self.delivery = delivery
        self.maxsize = maxsize
        self.max_item_bytes = max_item_bytes
        self.linger = linger
        self.max_attempts = max_attempts
        self.durable = bool(durable)

    def as_arguments(self) -> dict[str, object]:
        """Keyword arguments that make these options again."""
        return {name: getattr(self, name) for name in self.__slots__}


def _check_type(name: str, value: object, types: tuple[type, ...], wanted: str) -> None:
    if not isinstance(value, types) or isinstance(value, bool):
        raise TypeError(f"{name} must be {wanted}, not {type(value).__name__}")
