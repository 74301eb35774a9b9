"""Every public name says what it is for, what it promises or raises, and how it is called; the examples are run."""

from __future__ import annotations

import ast
import asyncio
import inspect
import logging
import textwrap
import threading
from typing import Any, NamedTuple

import pytest

import groupqueue
import groupqueue.aio
import groupqueue.logging
import groupqueue.stats
import groupqueue.testing

STANDARD = {groupqueue.Empty, groupqueue.Full, getattr(__import__("queue"), "ShutDown", None)}
SPECIAL = ("__aiter__", "__iter__")


class Told(NamedTuple):
    """One public name, and its docstring in two parts."""

    name: str
    prose: str
    example: str
    is_awaited: bool


def told(name: str, what: object) -> Told:
    lines = (inspect.getdoc(what) or "").splitlines()
    example = [line[4:] for line in lines if line.startswith("    ") or not line]
    prose = " ".join(line for line in lines if not line.startswith("    ")).strip()
    text = textwrap.dedent("\n".join(example)).strip("\n").replace(">>> ", "")
    return Told(name, prose, text, ".aio." in name)


def everything() -> list[Told]:
    handler, listener = groupqueue.logging.GroupQueueHandler, groupqueue.logging.GroupQueueListener
    groups = groupqueue.testing.TestGroups
    # Of what they inherit, logging has said it.
    named = {"MemberInfo": groupqueue.stats.MemberInfo, "GroupQueueHandler": handler, "GroupQueueListener": listener}
    named |= {"start": listener.start, "stop": listener.stop, "group_queue": groups, "directory": groups.directory}
    named |= {"group_queue()": groups.__call__, "joinable": groups.joinable}
    found = [told(name, what) for name, what in named.items()]
    for module in (groupqueue, groupqueue.aio):
        for name in module.__all__:
            public = getattr(module, name)
            if public in STANDARD:
                continue
            found.append(told(f"{module.__name__}.{name}", public))
            if inspect.isclass(public) and not issubclass(public, Exception):
                found += methods(f"{module.__name__}.{name}", public)
    return found


def methods(prefix: str, cls: type) -> list[Told]:
    """Its own and those of its bases that are ours; not those that a dataclass or a type has."""
    found = {}
    for base in cls.__mro__:
        if base.__module__.startswith("groupqueue"):
            for name, value in vars(base).items():
                is_call = callable(value) or isinstance(value, (property, classmethod, staticmethod))
                if is_call and (name in SPECIAL or not name.startswith("_")) and name != "from_reply":
                    found.setdefault(name, told(f"{prefix}.{name}", getattr(cls, name)))
    return list(found.values())


EVERYTHING = everything()


@pytest.mark.parametrize("one", EVERYTHING, ids=lambda one: one.name)
def test_a_public_name_says_what_it_promises_and_how_it_is_called(one: Told):
    assert one.prose.endswith((".", ":", "::"))
    assert one.prose.count(".") >= 2, "nothing but a summary: what does it promise, what does it raise?"
    assert one.example, "no example"
    ast.parse(one.example.partition("\n{")[0])


def test_there_are_many():
    assert len(EVERYTHING) > 90


class Scene:
    """A queue `q` of the group "jobs", as an example needs it."""

    def __init__(self, example: str) -> None:
        self.needs_answers = "put_wait(" in example or "put_future(" in example
        self.has_end = "for job in q:" in example
        # What must not be left unfinished, must not be there.
        self.items = [] if "join()" in example else [{"id": number} for number in range(5)]
        self.q: groupqueue.JoinableGroupQueue[Any] = groupqueue.JoinableGroupQueue("jobs")
        if self.needs_answers:
            threading.Thread(target=self.answer, daemon=True).start()
        else:
            self.q.put_many(self.items)
        if '"old"' in example:
            with groupqueue.GroupQueue("old"):
                pass
        if self.has_end:
            self.q.shutdown()

    def answer(self) -> None:
        for job in self.q:
            self.q.reply(job)
            self.q.task_done()

    def names(self) -> dict[str, Any]:
        given = {"groupqueue": groupqueue, "logging": logging, "job": 1, "item": 1, "dropped": 0}
        return {**vars(groupqueue), **vars(groupqueue.logging), **given}


@pytest.fixture
def scene(request):
    scene = Scene(request.param.example)
    yield scene
    scene.q.cancel_join_thread()
    scene.q.close()


SYNC = [one for one in EVERYTHING if not one.is_awaited]
AIO = [one for one in EVERYTHING if one.is_awaited]


@pytest.mark.parametrize(("one", "scene"), [(one, one) for one in SYNC], indirect=["scene"], ids=[o.name for o in SYNC])
def test_its_example_runs(one: Told, scene: Scene, request):
    listener = groupqueue.logging.GroupQueueListener("logs")
    names = {**scene.names(), "q": scene.q, "work": lambda job: job, "listener": listener}
    if "group_queue" in one.example:
        names["group_queue"] = request.getfixturevalue("group_queue")
    if "message" in one.example and "get_message" not in one.example:
        names["message"] = scene.q.get_message(timeout=20)
    exec(compile(one.example.partition("\n{")[0], one.name, "exec"), names)
    names["q"].cancel_join_thread()
    names["q"].close()
    listener.stop()


@pytest.mark.parametrize(("one", "scene"), [(one, one) for one in AIO], indirect=["scene"], ids=[o.name for o in AIO])
def test_its_example_runs_in_a_loop(one: Told, scene: Scene):
    async def run() -> None:
        async def work(job: object) -> object:
            return job

        async with groupqueue.aio.JoinableGroupQueue("jobs", linger=1) as q:
            given = {"q": q, "work": work, "answer": work, "asyncio": asyncio}
            names = {**scene.names(), **vars(groupqueue.aio), **given}
            inside = "async def example():\n    global dropped, q\n" + textwrap.indent(one.example, "    ")
            exec(compile(inside, one.name, "exec"), names)
            await names["example"]()
            await names["q"].close()

    asyncio.run(run())
