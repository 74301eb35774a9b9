"""`logging` between unrelated processes: the standard handler and listener as they are, and those of `groupqueue`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from groupqueue.logging import GroupQueueListener
from tests.compat.conftest import Keep
from tests.helpers import eventually, open_member, run_script

PRODUCERS, ROUNDS, EACH = 4, 5, 100

PRODUCER = """
# a process that logs
import logging, logging.handlers, sys
from groupqueue import GroupQueue
from groupqueue.logging import GroupQueueHandler
number, mode, rounds, each, kind = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]
q = GroupQueue("logs", mode=mode)
logger = logging.getLogger("work")
logger.addHandler(logging.handlers.QueueHandler(q) if kind == "theirs" else GroupQueueHandler(q))
say("open")
for round in range(rounds):
    hear()
    for n in range(each):
        logger.warning("%s %d %d", number, round, n)
    say("logged")
"""

WRITER = """
# the process that writes
import logging, logging.handlers, sys
from groupqueue import GroupQueue
from groupqueue.logging import GroupQueueListener
path, mode, kind = sys.argv[1:]
q = GroupQueue("logs", mode=mode)
listen = logging.handlers.QueueListener if kind == "theirs" else GroupQueueListener
listener = listen(q, logging.FileHandler(path))
listener.start()
say("open")
hear()
listener.stop()
say("stopped")
"""


@pytest.mark.parametrize("kind", ["theirs", "ours"])
@pytest.mark.parametrize(("mode", "kills"), [("client", 4), ("dual", 1)])
def test_two_thousand_records_arrive_once_while_leaders_are_killed(kind, mode, kills, tmp_path):
    path = tmp_path / "all.log"
    leader = open_member("logs", mode="master")
    writer = run_script(WRITER, path, mode, kind)
    producers = [run_script(PRODUCER, n, mode, ROUNDS, EACH, kind) for n in range(PRODUCERS)]
    for script in (writer, *producers):
        script.expect("open")
    for turn in range(ROUNDS):
        for producer in producers:
            producer.send("go")
        if turn < kills:
            leader.kill()
            leader = open_member("logs", mode="master")
        for producer in producers:
            producer.expect("logged")
    for producer in producers:
        assert producer.wait() == 0
        assert "Logging error" not in producer.stderr, producer.stderr
    total = PRODUCERS * ROUNDS * EACH
    eventually(lambda: path.read_bytes().count(b"\n") >= total, what="every record is written")
    writer.send("stop")
    writer.expect("stopped")
    wanted = [f"{number} {turn} {n}" for number in range(PRODUCERS) for turn in range(ROUNDS) for n in range(EACH)]
    found = path.read_text().splitlines()
    assert sorted(found) == sorted(wanted)
    for number in map(str, range(PRODUCERS)):
        ours = [line for line in found if line.split()[0] == number]
        assert ours == [line for line in wanted if line.split()[0] == number], "each process's in its order"


def test_the_end_of_another_process_s_listener_does_not_end_ours(keep, listen, open_queue):
    other = open_member("logs", mode="client")
    listen("logs", keep)
    other.do("import logging, logging.handlers")
    other.do("listener = logging.handlers.QueueListener(q)")
    other.do("listener.enqueue_sentinel()")
    other.do("logging.getLogger().addHandler(logging.handlers.QueueHandler(q))")
    other.do("logging.warning('after the end')")
    assert keep.heard(1) == ["after the end"]


def test_what_nobody_has_handled_waits_for_the_next_listener(keep, listen):
    producer = run_script(PRODUCER, 7, "dual", 1, 3, "ours")
    producer.expect("open")
    producer.send("go")
    assert producer.wait() == 0
    listen("logs", keep)
    assert keep.heard(3) == ["7 0 0", "7 0 1", "7 0 2"]


CONFIGURED = """
# a process that is configured
import json, logging, logging.config, sys
logging.config.dictConfig(json.loads(sys.argv[1]))
say("open")
hear()
logging.getLogger("shop.orders").error("order %d", 17)
logging.getLogger("quiet").info("not this")
"""

WRITES = """
# the configured writer
import json, logging, logging.config, sys
logging.config.dictConfig(json.loads(sys.argv[1]))
(handler,) = logging.getLogger("writer").handlers
with handler.listener:
    say("open")
    hear()
say("stopped")
"""


def test_a_configuration_file_makes_both_ends(directory, tmp_path):
    path = tmp_path / "all.log"
    queue = {"name": "logs", "directory": directory, "maxsize": 0}
    there = {
        "version": 1,
        "handlers": {"group": {"class": "groupqueue.logging.GroupQueueHandler", "queue": queue, "level": "WARNING"}},
        "root": {"level": "INFO", "handlers": ["group"]},
    }
    here = {
        "version": 1,
        "formatters": {"line": {"format": "%(name)s %(levelname)s %(message)s"}},
        "handlers": {
            "file": {"class": "logging.FileHandler", "filename": str(path), "formatter": "line"},
            "listener": {
                "class": "groupqueue.logging.GroupQueueHandler",
                "queue": "logs",
                "handlers": ["cfg://handlers.file"],
            },
        },
        "loggers": {"writer": {"handlers": ["listener"]}},
    }
    writer = run_script(WRITES, json.dumps(here))
    producer = run_script(CONFIGURED, json.dumps(there), env={"GROUPQUEUE_DIR": None})
    for script in (writer, producer):
        script.expect("open")
    producer.send("go")
    assert (producer.wait(), producer.stderr) == (0, "")
    eventually(path.read_text, what="the record is written")
    writer.send("stop")
    assert (writer.wait(), writer.stderr) == (0, "")
    assert path.read_text() == "shop.orders ERROR order 17\n"


def test_at_exit_everything_is_flushed_and_nothing_hangs(tmp_path, directory):
    source = tmp_path / "exits.py"
    source.write_text(
        "import logging\n"
        "from groupqueue.logging import GroupQueueHandler\n"
        "handler = GroupQueueHandler('logs', handlers=[logging.FileHandler('out.log')])\n"
        "logging.getLogger().addHandler(handler)\n"
        "handler.listener.start()\n"
        "for n in range(100): logging.warning('%d', n)\n"
    )
    root = str(Path(__file__).resolve().parents[2])
    found = subprocess.run(
        [sys.executable, source],
        cwd=tmp_path,
        env={"PYTHONPATH": root, "GROUPQUEUE_DIR": directory},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (found.returncode, found.stderr) == (0, "")
    written = (tmp_path / "out.log").read_text().splitlines()
    rest = Keep()
    with GroupQueueListener("logs", rest):
        pass
    assert written + rest.texts == [str(n) for n in range(100)]
