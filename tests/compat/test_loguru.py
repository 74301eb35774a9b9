"""loguru with `enqueue=True` and our context: its records go through a group."""

from __future__ import annotations

import pytest

from groupqueue import GroupQueue, get_context
from tests.helpers import run_script

loguru = pytest.importorskip("loguru", reason="loguru is not installed")

SCRIPT = """
# logs from several processes into one file
import sys
from loguru import logger
from groupqueue import get_context

def work(logger, number):
    for n in range(50):
        logger.info("{} {}", number, n)
    logger.complete()

if __name__ == "__main__":
    path, method = sys.argv[1:]
    context = get_context(method)
    logger.remove()
    logger.add(path, format="{message}", enqueue=True, context=context)
    workers = [context.Process(target=work, args=(logger, number)) for number in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    logger.info("end")
    logger.remove()
    say("exits", *(worker.exitcode for worker in workers))
"""


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_records_of_several_processes_go_into_one_file(method, tmp_path):
    path = tmp_path / "all.log"
    script = run_script(SCRIPT, path, method)
    assert script.expect("exits") == "0 0 0"
    assert (script.wait(), script.stderr) == (0, "")
    lines = path.read_text().splitlines()
    assert lines[-1] == "end"
    assert sorted(lines[:-1]) == sorted(f"{number} {n}" for number in range(3) for n in range(50))
    for number in "012":
        assert [line for line in lines if line[:2] == f"{number} "] == [f"{number} {n}" for n in range(50)]


def test_its_queue_is_ours(monkeypatch):
    context = get_context()
    made = []
    make = context.SimpleQueue
    monkeypatch.setattr(context, "SimpleQueue", lambda: made.append(make()) or made[-1], raising=False)
    texts = []
    handler = loguru.logger.add(texts.append, format="{message}", enqueue=True, context=context)
    loguru.logger.info("hello")
    loguru.logger.complete()
    loguru.logger.remove(handler)
    assert texts == ["hello\n"]
    assert isinstance(made[0], GroupQueue)
