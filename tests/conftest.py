"""Each test has its own directory for groups, and ends without a process that it started."""

from __future__ import annotations

import gc
import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import helpers

HERE = Path(__file__).resolve().parent
PURE = [HERE / "core", HERE / "formats"]
"""Folders whose tests are over before another process could begin with them."""


@pytest.fixture(autouse=True)
def directory(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Where this test's groups live, also by default: short enough for a socket's path, 0700, removed afterwards."""
    path = tempfile.mkdtemp(prefix="gq-", dir="/tmp")
    monkeypatch.setenv("GROUPQUEUE_DIR", path)
    yield path
    helpers.remove_tree(path)


@pytest.fixture
def group() -> str:
    return "jobs"


@pytest.fixture(autouse=True)
def _scripts(directory: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Ends every process of the test, whatever became of it."""
    folder = tempfile.mkdtemp(prefix="gq-scripts-", dir="/tmp")
    monkeypatch.setenv("GROUPQUEUE_TEST_SCRIPTS", folder)
    yield
    for script in helpers.started:
        script.end()
    helpers.started.clear()
    helpers.remove_tree(folder)


@pytest.fixture
def open_queue() -> Iterator[Callable[..., Any]]:
    """Opens queues in this process, and closes them at the end; what is unsent then is dropped."""
    import groupqueue

    opened: list[Any] = []

    def open_queue(name: str | None = None, *, kind: str = "GroupQueue", **options: Any) -> Any:
        queue = getattr(groupqueue, kind)(name, **options)
        opened.append(queue)
        return queue

    yield open_queue
    for queue in opened:
        queue.cancel_join_thread()
        queue.close()


def worth_showing(script: helpers.Script) -> bool:
    """Not those that a test has killed in silence."""
    return script.is_alive or script.wait() != -signal.SIGKILL or bool(script.stderr)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    report = yield
    if report.failed:
        for script in filter(worth_showing, helpers.started):
            report.sections.append((f"{script!r}", script.report()))
    return report


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    # What collecting makes is kept; looking through it for garbage takes a tenth of a second from the pure folders.
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    asked = [Path(argument.partition("::")[0]).resolve() for argument in config.args]
    return 0 if all(any(path.is_relative_to(folder) for folder in PURE) for path in asked) else 4


def pytest_configure() -> None:
    # Of a shell's background job SIGINT is ignored, and every process that a test starts would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_report_header() -> str:
    return f"groupqueue: soak x{helpers.SOAK:g}, {os.cpu_count()} cpus"
