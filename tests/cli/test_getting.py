"""`get`: what was printed is gone, what was not printed is not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from groupqueue.__main__ import main
from tests.helpers import ROOT, Clock, Script, eventually, open_leader, open_member

SHOP = ROOT / "tests" / "cli" / "shop.py"


def get(*argv: str) -> Script:
    return Script([sys.executable, "-m", "groupqueue", "get", *argv], label="get")


def run_shop(group: str) -> None:
    """Puts two items that cannot be rebuilt here and one that can."""
    assert Script([sys.executable, str(SHOP), group], label="shop").wait() == 0


def test_one_item_by_default(group, capsys):
    leader = open_leader(group)
    leader.do("q.put('first'); q.put({'second': 2}); q.flush()")
    assert main(["get", group]) == 0
    assert capsys.readouterr().out == "first\n"
    assert main(["get", group, "--json"]) == 0
    assert capsys.readouterr().out == '{"second": 2}\n'
    assert leader.do("q.qsize(), q.stats().in_flight") == (0, 0)


@pytest.mark.parametrize(("count", "printed"), [("2", 2), ("0", 5)])
def test_several(count, printed, group, capsys):
    leader = open_leader(group)
    leader.do("q.put_many(range(5)); q.flush()")
    assert main(["get", group, "-n", count, "--timeout", "0"]) == 0
    assert capsys.readouterr().out.split() == [str(number) for number in range(printed)]
    assert leader.do("q.qsize(), q.stats().in_flight") == (5 - printed, 0)


@pytest.mark.parametrize(
    ("argv", "status"),
    [
        (["--timeout", "0"], 1),
        (["--timeout", "0.2"], 124),
        (["-n", "0", "--timeout", "0"], 1),
        (["-n", "0", "--timeout", "0.2"], 124),
    ],
)
def test_nothing_there(argv, status, group, capsys):
    open_leader(group)
    with Clock() as clock:
        assert main(["get", group, *argv]) == status
    assert clock.elapsed < 10
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "")


def test_fewer_than_wanted_are_printed_and_it_is_late(group, capsys):
    leader = open_leader(group)
    leader.do("q.put(1); q.flush()")
    assert main(["get", group, "-n", "3", "--timeout", "0.2"]) == 124
    assert capsys.readouterr().out == "1\n"


def test_it_waits_for_a_group_that_is_not_there_yet(group):
    script = get(group, "-n", "2")
    member = open_member(group)
    member.do("q.put('one'); q.put('two'); q.flush()")
    assert script.wait() == 0
    assert script.lines == ["one", "two"]


def test_each_form(group, capsys):
    leader = open_leader(group)
    for options, line in (([], "'a\\nb'"), (["--repr"], "'a\\nb'"), (["--text"], "a\nb"), (["--json"], '"a\\nb"')):
        leader.do("q.put('a\\nb'); q.flush()")
        assert main(["get", group, *options]) == 0
        assert capsys.readouterr().out == line + "\n"
    assert main(["get", group, "--json", "--text"]) == 2
    assert "exclude each other" in capsys.readouterr().err


def test_who_waits_for_a_reply_is_answered_none(group):
    leader = open_leader(group)
    leader.begin("q.put_wait('question', timeout=20)")
    assert get(group).wait() == 0
    assert leader.result() is None


def test_what_cannot_be_rebuilt_is_described_and_kept(group, capsys):
    run_shop(group)
    assert main(["get", group, "-n", "0", "--timeout", "0"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("<shop.Order, ")
    assert lines[1].startswith("<dict, ")
    assert "from process " in lines[0]
    assert lines[0].endswith(": ModuleNotFoundError: No module named 'shop'>")
    assert lines[2:] == ["readable"]
    assert main(["failed", group, "--json"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["item"]["type"] for one in found] == ["shop.Order", "dict"]
    assert all("No module named 'shop'" in one["reason"] for one in found)
    assert main(["requeue", group]) == 0
    assert capsys.readouterr().out == "2 item(s) put back\n"


def test_who_asks_with_what_cannot_be_rebuilt_is_told(group):
    script = get(group, "--timeout", "30")
    asker = Script([sys.executable, str(SHOP), group, "--ask"], label="shop asks")
    assert asker.expect("DecodeError").startswith("<shop.Order, ")
    assert script.wait() == 1
    assert asker.wait() == 0


# What could not be written


def test_what_a_closed_pipe_did_not_take_goes_back(group):
    leader = open_leader(group)
    leader.do("q.put_many(f'line {n}' for n in range(10)); q.flush()")
    reading, writing = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "groupqueue", "get", group, "-n", "0"],
        stdout=writing,
        stderr=subprocess.PIPE,
        cwd=ROOT,
    )
    os.close(writing)
    os.close(reading)
    assert process.wait(40) == 0
    assert process.stderr is not None
    with process.stderr as stderr:
        assert stderr.read() == b""
    leader.do("left = [q.get_message(timeout=5) for _ in range(10)]")
    assert leader.do("[m.obj for m in left]") == [f"line {n}" for n in range(10)]
    assert leader.do("[m.attempt for m in left]") == [2] + [1] * 9


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="has no /dev/full")
def test_what_a_full_disk_did_not_take_goes_back(group):
    leader = open_leader(group)
    leader.do("q.put('kept'); q.flush()")
    with open("/dev/full", "w") as full:
        found = subprocess.run(
            [sys.executable, "-m", "groupqueue", "get", group],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            timeout=40,
        )
    assert found.returncode == 1
    assert found.stderr.startswith("groupqueue get: ")
    assert "No space left" in found.stderr
    assert found.stderr.count("\n") == 1
    assert leader.do("(m := q.get_message(timeout=5)).obj, m.attempt") == ("kept", 2)


def test_what_was_printed_before_the_pipe_closed_does_not_come_again(group):
    leader = open_leader(group)
    leader.do("q.put_many(f'{n:06}' for n in range(3000)); q.flush()")
    process = subprocess.Popen(
        [sys.executable, "-m", "groupqueue", "get", group, "-n", "0"], stdout=subprocess.PIPE, cwd=ROOT
    )
    assert process.stdout is not None
    with process.stdout as stdout:
        read = [stdout.readline() for _ in range(100)]
    assert process.wait(40) == 0
    assert read == [b"%06d\n" % n for n in range(100)]
    left = leader.do("[q.get(timeout=5) for _ in range(q.qsize())]")
    # What was in the pipe when it closed is gone; what was not written is all there, in order.
    assert left == [f"{n:06}" for n in range(3000 - len(left), 3000)]
    assert int(left[0]) >= 100


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_killed_in_the_midst_of_many_at_most_one_comes_again(number, group):
    leader = open_leader(group)
    for _ in range(5):
        leader.do("q.put_many(range(3000)); q.flush()")
        process = subprocess.Popen(
            [sys.executable, "-m", "groupqueue", "get", group, "-n", "0"], stdout=subprocess.PIPE, cwd=ROOT
        )
        assert process.stdout is not None
        with process.stdout as stdout:
            printed = [int(stdout.readline()) for _ in range(200)]
            process.send_signal(number)
            printed += [int(line) for line in stdout.read().splitlines()]
        assert process.wait(20) == -number
        eventually(lambda: leader.do("len(q.stats().members), q.stats().in_flight") == (1, 0))
        left = leader.do("[q.get(timeout=20) for _ in range(q.qsize())]")
        assert printed == list(range(len(printed)))
        assert left == list(range(left[0], 3000))
        assert 0 <= len(printed) - left[0] <= 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_ended_while_it_waits(number, group):
    leader = open_leader(group)
    script = get(group)
    eventually(lambda: leader.do("q.stats().waiting_getters") == 1)
    script.signal(number)
    assert script.wait() == (130 if number == signal.SIGINT else -number)
    assert script.stderr == ""
    leader.do("q.put('kept'); q.flush()")
    assert leader.do("q.get(timeout=10)") == "kept"


def test_the_leader_dies_while_it_waits(group):
    leader = open_leader(group)
    script = get(group)
    eventually(lambda: leader.do("q.stats().waiting_getters") == 1)
    leader.kill()
    member = open_member(group, mode="client")
    member.do("q.put('after'); q.flush(timeout=10)")
    assert script.wait() == 0
    assert script.lines == ["after"]


def test_a_group_that_is_shut_down_ends_it(group, capsys):
    leader = open_leader(group)
    leader.do("q.put('last'); q.shutdown()")
    assert main(["get", group, "-n", "0"]) == 0
    assert capsys.readouterr().out == "last\n"
    assert main(["get", group]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "is shut down" in said.err
