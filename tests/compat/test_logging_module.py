"""`groupqueue.logging` within one process: what its handler and its listener promise, and `dictConfig`."""

from __future__ import annotations

import logging
import logging.config
import logging.handlers
import sys
import threading

import pytest

import groupqueue.logging
from groupqueue.logging import GroupQueueHandler, GroupQueueListener
from tests.compat.conftest import Keep
from tests.helpers import Clock, eventually, open_leader


def test_stop_handles_what_was_logged_before_it(open_queue, keep, listen, logger):
    handler = GroupQueueHandler(open_queue("logs"))
    logger.addHandler(handler)
    listener = listen(handler.queue, keep)
    for n in range(1000):
        logger.warning("%d", n)
    listener.stop()
    assert keep.texts == [str(n) for n in range(1000)]
    logger.warning("later")
    listener.stop()
    assert len(keep.records) == 1000
    listener.start()
    assert keep.heard(1001)[-1] == "later"
    with pytest.raises(RuntimeError):
        listener.start()


def test_records_travel_as_those_of_the_standard_handler(open_queue, keep, listen, logger):
    q = open_queue("logs")
    logger.addHandler(GroupQueueHandler(q))
    logger.addHandler(logging.handlers.QueueHandler(q))
    try:
        raise LookupError("the reason")
    except LookupError:
        logger.exception("with %s", threading.Lock(), stack_info=True, extra={"order": 17})
    listen(q, keep)
    keep.heard(2)
    ours, theirs = keep.records
    assert "LookupError: the reason" in ours.getMessage()
    assert vars(ours) == vars(theirs)
    assert ours.order == 17


def test_a_record_that_cannot_travel_is_reported_and_the_next_one_comes(open_queue, keep, listen, logger, capsys):
    q = open_queue("logs")
    logger.addHandler(GroupQueueHandler(q))
    logger.warning("first", extra={"lock": threading.Lock()})
    logger.warning("second")
    listen(q, keep)
    assert keep.heard(1) == ["second"]
    assert "cannot pickle '_thread.lock' object" in capsys.readouterr().err


def test_filters_and_levels_hold(open_queue, keep, listen, logger):
    handler = GroupQueueHandler(open_queue("logs"))
    handler.setLevel(logging.ERROR)
    handler.addFilter(lambda record: "secret" not in record.getMessage())
    logger.addHandler(handler)
    high = Keep()
    high.setLevel(logging.CRITICAL)
    listener = listen(handler.queue, keep, high, respect_handler_level=True)
    logger.warning("too low")
    logger.error("secret")
    logger.error("seen")
    logger.critical("seen by both")
    listener.stop()
    assert keep.texts == ["seen", "seen by both"]
    assert high.texts == ["seen by both"]


class NotHere:
    """Travels, and does not arrive."""

    def __reduce__(self):
        return int, ("no number",)


def test_a_listener_outlives_what_its_handlers_raise_and_what_cannot_be_decoded(open_queue, keep, listen, capsys):
    class Raises(logging.Handler):
        def handle(self, record):
            if record.msg == "first":
                raise OSError("the disk is full")
            return True

    q = open_queue("logs")
    listen(q, Raises(), keep)
    handler = GroupQueueHandler(q)
    q.put(NotHere())
    handler.handle(logging.makeLogRecord({"msg": "first"}))
    handler.handle(logging.makeLogRecord({"msg": "second"}))
    assert keep.heard(1) == ["second"]
    assert "OSError: the disk is full" in capsys.readouterr().err
    assert len(q.failed()) == 1


def test_stop_waits_no_longer_than_it_says_for_a_leader_that_is_stopped(listen, keep, logger, monkeypatch):
    monkeypatch.setattr(groupqueue.logging, "PATIENCE", 5.0)
    leader = open_leader("logs")
    logger.addHandler(GroupQueueHandler("logs"))
    listener = listen("logs", keep)
    logger.warning("before")
    keep.heard(1)
    leader.stop()
    try:
        logger.warning("after")
        with Clock() as clock:
            listener.stop()
        # Once its patience, not once for each of the three things that it would ask a leader.
        assert clock.elapsed < 2 * groupqueue.logging.PATIENCE
    finally:
        leader.cont()
    assert keep.texts == ["before"]
    listener.start()
    assert keep.heard(2) == ["before", "after"]


def test_a_listener_ends_with_its_group(open_queue, keep, listen):
    q = open_queue("logs")
    listener = listen(q, keep)
    q.put(logging.makeLogRecord({"msg": "last"}))
    q.shutdown()
    eventually(lambda: not any(thread.name == "listens to logs" for thread in threading.enumerate()))
    assert keep.texts == ["last"]
    listener.stop()


def test_records_of_a_joinable_queue_are_finished_when_they_are_handled(open_queue, keep, listen):
    q = open_queue("logs", kind="JoinableGroupQueue")
    listen(q, keep)
    q.put(logging.makeLogRecord({"msg": "work"}))
    q.join()
    assert keep.texts == ["work"]


def test_what_is_no_queue_is_refused(open_queue):
    with pytest.raises(TypeError, match="not int"):
        GroupQueueHandler(17)
    with pytest.raises(ValueError, match="delivery"):
        GroupQueueListener({"name": "logs", "delivery": "leader"})
    with pytest.raises(ValueError, match="delivery"):
        GroupQueueListener(open_queue("logs", delivery="leader"))


# dictConfig


@pytest.mark.skipif(sys.version_info < (3, 12, 2), reason="dictConfig knows listeners from Python 3.12.2 on")
def test_the_standard_configuration_of_a_queue_handler_takes_our_queue_and_listener(restored, keep):
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "handlers": {
                "a_queue": {
                    "class": "logging.handlers.QueueHandler",
                    "queue": {"()": "groupqueue.GroupQueue", "name": "logs"},
                    "listener": "groupqueue.logging.GroupQueueListener",
                    "handlers": ["kept"],
                },
                "kept": {"()": lambda: keep},
            },
            "root": {"handlers": ["a_queue"]},
        }
    )
    (handler,) = logging.getLogger().handlers
    assert type(handler.listener) is GroupQueueListener
    handler.listener.start()
    logging.getLogger("shop").warning("hello")
    handler.listener.stop()
    handler.queue.close()
    assert keep.texts == ["hello"]


def test_a_handler_that_is_named_too_early_is_an_error_that_says_so(restored):
    with pytest.raises(ValueError, match="'a_listener'") as caught:
        logging.config.dictConfig(
            {
                "version": 1,
                "disable_existing_loggers": False,
                "handlers": {
                    "a_listener": {
                        "class": "groupqueue.logging.GroupQueueHandler",
                        "queue": "logs",
                        "handlers": ["cfg://handlers.b_file"],
                    },
                    "b_file": {"class": "logging.NullHandler"},
                },
            }
        )
    assert "must come behind" in str(caught.value.__cause__)


def test_configuring_anew_lets_go_of_the_group(restored, open_queue):
    config = {
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": {
            "a": {"class": "logging.NullHandler"},
            "b": {"class": "groupqueue.logging.GroupQueueHandler", "queue": "logs", "handlers": ["cfg://handlers.a"]},
        },
        "root": {"handlers": ["b"]},
    }
    q = open_queue("logs")
    for _ in range(3):
        logging.config.dictConfig(config)
        logging.getLogger().handlers[0].listener.start()
    logging.config.dictConfig({"version": 1, "disable_existing_loggers": False})
    eventually(lambda: len(q.stats().members) == 1, what="nobody but the test is there")
    eventually(lambda: not any(thread.name.startswith("listens") for thread in threading.enumerate()))
