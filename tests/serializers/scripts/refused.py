"""What cannot travel, and where the error has to say that it is. Exits with 0 if all of them say so."""

from __future__ import annotations

import asyncio
import contextvars
import dataclasses
import functools
import io
import multiprocessing
import queue
import socket
import sqlite3
import sys
import tempfile
import threading
import types
import weakref

import __main__
from groupqueue.exceptions import PicklingError
from groupqueue.serializers import default_serializer

dumps = default_serializer().dumps
LOCK = threading.Lock()


class Job:
    def __init__(self, lock=LOCK):
        self.ok = 1
        self.lock = lock


class Slots:
    __slots__ = ("__hidden", "a")

    def __init__(self):
        self.__hidden = LOCK


class ClassAttribute:
    shared = (0, LOCK)


class Method:
    def run(self):
        return LOCK


class Getstate:
    def __init__(self):
        self.inner = [LOCK]

    def __getstate__(self):
        return {"renamed": self.inner[0]}


@dataclasses.dataclass
class Data:
    parts: list


class Hostile:
    def __init__(self):
        self.x = LOCK

    def __repr__(self):
        raise RuntimeError

    def __getattr__(self, name):
        if not name.startswith("__"):
            raise RuntimeError(name)
        raise AttributeError(name)


class BadReduce:
    def __reduce__(self):
        return 5


class FailingReduce:
    def __reduce__(self):
        raise ValueError("out of order")


class NewWithArguments:
    def __new__(cls, value):
        return super().__new__(cls)


def uses():
    return LOCK


def uses_indirectly():
    return uses()


def uses_main():
    return __main__.LOCK


def closure(lock):
    return lambda: lock


def default(lock=LOCK):
    return lock


def generator():
    yield 1


cyclic: list = []
cyclic += [cyclic, {"k": LOCK}]

LOCK_AT = {
    "obj['jobs'][3].lock": {"jobs": [1, 2, 3, Job()]},
    "obj[0]._Slots__hidden": [Slots()],
    "type(obj).shared[1]": ClassAttribute(),
    "type(obj).run.__globals__['LOCK']": Method(),
    "obj.inner[0]": Getstate(),
    "obj.parts[0]['a']": Data([{"a": LOCK}]),
    "obj.x": Hostile(),
    "obj.__globals__['LOCK']": uses,
    "obj.__globals__['uses'].__globals__['LOCK']": uses_indirectly,
    "obj.__closure__['lock']": closure(LOCK),
    "obj.__defaults__[0]": default,
    "obj.func.__globals__['LOCK']": functools.partial(uses),
    "obj.keywords['end']": functools.partial(print, end=LOCK),
    "obj.__self__.lock": Job().__init__,
    "obj[1]['k']": cyclic,
    "obj[0][1][0]": ((1, (LOCK,)),),
    "list(obj)[0]": {LOCK},
    "obj.keys()[<lock>]": {LOCK: 1},
    "obj": LOCK,
    "obj._cond._lock": threading.Event(),
    "obj.mutex": queue.Queue(),
    "type(obj[0]).run.__globals__['LOCK']": [Method()],
}

WITH_TEXT = {
    "cannot pickle '_io.TextIOWrapper' object at obj[0]": [open(__file__)],  # noqa: SIM115
    "cannot pickle '_io.BufferedRandom' object at obj": tempfile.TemporaryFile(),  # noqa: SIM115
    "cannot pickle '_io.FileIO' object at obj": io.FileIO(__file__),
    "cannot pickle '_io.TextIOWrapper' object at obj.out": types.SimpleNamespace(out=sys.stdout),
    "cannot pickle 'socket.socket' object at obj": socket.socket(),
    "cannot pickle 'generator' object at obj['g']": {"g": generator()},
    "cannot pickle 'frame' object at obj": sys._getframe(),
    "cannot pickle 'memoryview' object at obj": memoryview(b"x"),
    "cannot pickle '_thread.RLock' object at obj": threading.RLock(),
    "cannot pickle 'sqlite3.Connection' object at obj": sqlite3.connect(":memory:"),
    "cannot pickle '_contextvars.ContextVar' object at obj": contextvars.ContextVar("x"),
    "cannot pickle '_contextvars.Context' object at obj": contextvars.copy_context(),
    "cannot pickle 'module' object at obj: the receiver cannot import": __main__,
    "cannot pickle 'module' object at obj.__globals__['__main__']: the receiver cannot import": uses_main,
    "cannot pickle 'module' object at obj[0]: the receiver cannot import": [types.ModuleType("dynamic")],
    "cannot pickle 'cell' object at obj: a cell travels with its function only": closure(1).__closure__[0],
    "object at obj._": threading.Thread(),
    "a weak proxy": weakref.proxy(Job()),
    "cannot pickle 'multiprocessing.synchronize.Lock' object at obj: Lock objects should only": multiprocessing.Lock(),
    "cannot pickle '__main__.BadReduce' object at obj: ": BadReduce(),
    "cannot pickle '__main__.FailingReduce' object at obj[0]: out of order": [FailingReduce()],
    "cannot pickle '__main__.NewWithArguments' object at obj: NewWithArguments.__new__ needs": NewWithArguments(1),
}


def refusal(obj):
    try:
        data = dumps(obj)
    except PicklingError as exc:
        return str(exc)
    raise AssertionError(f"{type(obj)} became {len(data)} bytes")


for path, obj in LOCK_AT.items():
    said = refusal(obj)
    assert said == f"cannot pickle '_thread.lock' object at {path}", said
for text, obj in WITH_TEXT.items():
    said = refusal(obj)
    assert text in said, said
loop = asyncio.new_event_loop()
assert "Future" in refusal([loop.create_future()])
loop.close()
