"""`for item in q`, with somebody else's loop around it."""

from __future__ import annotations

import io

import pytest

from tests.helpers import open_member


@pytest.fixture
def q(open_queue):
    """A queue that another process fills with 0 to 99, and then shuts down."""
    q = open_queue("jobs")
    producer = open_member("jobs", mode="client")
    producer.begin("q.put_many(range(100)); q.flush(); q.shutdown()")
    return q


def test_tqdm(q):
    tqdm = pytest.importorskip("tqdm", reason="tqdm is not installed")
    shown = io.StringIO()
    assert list(tqdm.tqdm(q, file=shown, total=100)) == list(range(100))
    assert "100/100" in shown.getvalue()


def test_tqdm_without_a_total(q):
    tqdm = pytest.importorskip("tqdm", reason="tqdm is not installed")
    shown = io.StringIO()
    assert list(tqdm.tqdm(q, file=shown)) == list(range(100))
    assert "100it" in shown.getvalue()


def test_rich(q):
    progress = pytest.importorskip("rich.progress", reason="rich is not installed")
    console = pytest.importorskip("rich.console").Console(file=io.StringIO(), force_terminal=True, width=80)
    assert list(progress.track(q, total=100, console=console)) == list(range(100))
    assert "100%" in console.file.getvalue()
