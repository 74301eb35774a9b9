"""The interpreter's own tests, and how they are made to use our queues."""

from __future__ import annotations

import importlib
import inspect
import multiprocessing
import unittest
from collections.abc import Iterable
from types import ModuleType
from typing import Any, ClassVar
from unittest import mock

import pytest

from groupqueue import GroupQueue, get_context


def stdlib_tests(name: str) -> ModuleType:
    """The module `test.NAME` of this interpreter. Some systems package it apart; then the reason is shown."""
    try:
        return importlib.import_module(f"test.{name}")
    except ImportError as exc:
        return pytest.skip(f"this interpreter came without its test.{name}: {exc}", allow_module_level=True)


def leave_out(cls: type, reasons: dict[str, str]) -> None:
    """Marks tests as skipped, with the reason, where this interpreter has them."""
    for name, reason in reasons.items():
        if hasattr(cls, name):
            setattr(cls, name, unittest.skip(reason)(getattr(cls, name)))


def keep_only(cls: type, wanted: Iterable[str]) -> None:
    """Hides the tests that have nothing to do with queues."""
    for name, _ in inspect.getmembers(cls):
        if name.startswith("test") and name not in wanted:
            setattr(cls, name, None)


def close_queue(queue: Any) -> None:
    """As the interpreter's tests do with a `multiprocessing.Queue`."""
    if isinstance(queue, GroupQueue):
        queue.close()
        queue.join_thread()


class OurContext:
    """The mixin that those tests are completed with, made of our context instead of `multiprocessing`."""

    METHOD: ClassVar[str]
    MODULES: ClassVar[tuple[ModuleType, ...]] = ()
    TYPE = "processes"

    def __init_subclass__(cls, *, method: str = "", **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not method:
            return
        context = get_context(method)
        cls.METHOD = method
        for name in (
            "Barrier",
            "BoundedSemaphore",
            "Condition",
            "Event",
            "JoinableQueue",
            "Lock",
            "Pipe",
            "Pool",
            "Queue",
            "RLock",
            "Semaphore",
            "SimpleQueue",
            "Value",
        ):
            setattr(cls, name, staticmethod(getattr(context, name)))
        cls.Process = context.Process
        cls.connection = multiprocessing.connection
        cls.current_process = staticmethod(multiprocessing.current_process)
        cls.parent_process = staticmethod(multiprocessing.parent_process)
        cls.active_children = staticmethod(multiprocessing.active_children)

    def setUp(self) -> None:
        """Also what says `multiprocessing.Queue()` is to be ours."""
        super().setUp()
        before = multiprocessing.get_start_method(allow_none=True)
        multiprocessing.set_start_method(self.METHOD, force=True)
        self.addCleanup(multiprocessing.set_start_method, before, force=True)
        for name in ("Queue", "JoinableQueue", "SimpleQueue"):
            patch = mock.patch.object(multiprocessing, name, getattr(self, name))
            patch.start()
            self.addCleanup(patch.stop)
        for module in self.MODULES:
            patch = mock.patch.object(module, "close_queue", close_queue)
            patch.start()
            self.addCleanup(patch.stop)
