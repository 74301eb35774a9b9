"""
A pytest plugin, there as soon as groupqueue is installed: the fixture `group_queue`.

    def test_jobs(group_queue):
        q = group_queue("jobs")
        subprocess.run([sys.executable, "worker.py"], check=True)     # GroupQueue("jobs") there is the same group
        assert q.get(timeout=5) == "done"

Groups of a test live in a directory of its own, which goes with it. What is left open then fails the test, and is
ended: it would work on beside the tests that follow.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from groupqueue.testing import TestGroups

__all__ = ["group_queue"]


@pytest.fixture
def group_queue() -> Iterator[TestGroups]:
    """Opens queues in a directory of the test's own: `group_queue(name, maxsize, **options)`, as `GroupQueue`.

    `group_queue.directory` is that directory, and $GROUPQUEUE_DIR while the test runs: processes that it starts, and
    code that opens a queue by its name alone, take part. At the end the queues that the fixture opened are closed. The
    test fails if two seconds later a process still is a member of one of its groups, this one included, or a child that
    `multiprocessing` has started in the meantime still runs; such processes are killed.
    """
    from groupqueue.testing import TestGroups

    groups = TestGroups()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GROUPQUEUE_DIR", groups.directory)
        yield groups
        left = groups.end()
    if left:
        pytest.fail("left behind by the test:\n" + "\n".join(f"  {line}" for line in left), pytrace=False)
