"""What cannot travel is refused by dumps, with the path to it, and never met by the receiver."""

from __future__ import annotations

import pickle
import sys
import threading
from typing import Any

import pytest

from groupqueue.exceptions import GroupQueueError, PicklingError
from groupqueue.serializers import default_serializer
from tests.serializers.processes import SCRIPTS, run

serializer = default_serializer()


class Raises:
    def __init__(self, exc: BaseException) -> None:
        self.exc = exc

    def __reduce__(self) -> Any:
        raise self.exc


def nested(depth: int) -> list[Any]:
    made: list[Any] = []
    for _ in range(depth):
        made = [made]
    return made


def test_refusals_name_the_path() -> None:
    run("-W", "ignore", SCRIPTS / "refused.py")


def test_the_error_is_a_pickling_error_in_both_trees() -> None:
    with pytest.raises(PicklingError, match=r"^cannot pickle '_thread.lock' object at obj\['a'\]\[1\]$") as caught:
        serializer.dumps({"a": [0, threading.Lock()]})
    assert isinstance(caught.value, pickle.PicklingError)
    assert isinstance(caught.value, GroupQueueError)
    assert isinstance(caught.value.__cause__, TypeError)


@pytest.mark.parametrize("depth", [5_000, 200_000])
def test_too_deep_nesting_says_so(depth: int) -> None:
    with pytest.raises(PicklingError, match="nested too deeply"):
        serializer.dumps({"tree": nested(depth)})


def test_a_deep_cause_is_found_and_its_path_is_kept_short() -> None:
    made: Any = threading.Lock()
    for _ in range(150):
        made = {"key": made}
    with pytest.raises(PicklingError, match=r"at obj\['key'\].{200,300}\['key'\]$"):
        serializer.dumps(made)


def test_a_wide_object_is_searched_in_bounded_time() -> None:
    made: list[Any] = [[i] for i in range(300_000)]
    made.append(threading.Lock())
    with pytest.raises(PicklingError, match=r"^cannot pickle '_thread\.lock' object"):
        serializer.dumps(made)


@pytest.mark.parametrize("exc", [KeyboardInterrupt(), MemoryError(), SystemExit()])
def test_what_is_not_about_the_object_passes(exc: BaseException) -> None:
    with pytest.raises(type(exc)):
        serializer.dumps([Raises(exc)])


def test_code_of_another_python_is_refused_by_the_receiver() -> None:
    data = serializer.dumps([lambda: 1])
    tag = sys.implementation.cache_tag.encode()
    with pytest.raises(pickle.UnpicklingError, match="code of"):
        serializer.loads(data.replace(tag, tag[:-1] + b"x"))
