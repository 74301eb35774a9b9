"""Loggers and listeners for the tests."""

from __future__ import annotations

import logging

import pytest

from groupqueue.logging import GroupQueueListener
from tests.helpers import eventually


class Keep(logging.Handler):
    """Remembers what it was told."""

    def __init__(self):
        super().__init__()
        self.records = []

    def emit(self, record):
        self.records.append(record)

    @property
    def texts(self):
        return [record.getMessage() for record in self.records]

    def heard(self, count):
        eventually(lambda: len(self.records) >= count, what=f"{count} records, {len(self.records)} have come")
        return self.texts


@pytest.fixture
def keep():
    return Keep()


@pytest.fixture
def logger():
    """A logger that has nothing, also afterwards."""
    found = logging.getLogger("tests.logging")
    found.propagate = False
    yield found
    for handler in found.handlers[:]:
        found.removeHandler(handler)
        handler.close()


@pytest.fixture
def listen():
    """Starts listeners, and ends them."""
    listeners = []

    def start(*args, **how):
        listener = GroupQueueListener(*args, **how)
        listener.start()
        listeners.append(listener)
        return listener

    yield start
    for listener in listeners:
        listener.stop()


@pytest.fixture
def restored():
    """What dictConfig did to the root logger is undone."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    for handler in root.handlers:
        if handler not in before[0]:
            handler.close()
    root.handlers[:], root.level = before
