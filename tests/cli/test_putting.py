"""`put`: arguments, lines, standard input, replies, and how far it came if it could not do all."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from groupqueue import PicklingError
from groupqueue.__main__ import main
from groupqueue.cli import items, opening
from tests.cli.terminal import Terminal
from tests.helpers import ROOT, Script, eventually, open_leader, open_member


def put(*argv: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "groupqueue", "put", *argv]
    return subprocess.run(command, input=stdin, capture_output=True, cwd=ROOT, timeout=40)


def left(open_queue, group: str) -> list[object]:
    """All items, taken."""
    queue = open_queue(group)
    return [queue.get(timeout=5) for _ in range(queue.qsize())]


def test_words_are_text(group, open_queue, capsys):
    assert main(["put", group, "hello", "world", "12", ""]) == 0
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "")
    assert left(open_queue, group) == ["hello", "world", "12", ""]


def test_json_becomes_what_python_makes_of_it(group, open_queue):
    assert main(["put", "--json", group, '{"id": 1}', "[1, 2.5]", "null", '"text"']) == 0
    assert left(open_queue, group) == [{"id": 1}, [1, 2.5], None, "text"]


def test_an_item_that_looks_like_an_option(group, open_queue):
    assert main(["put", group, "--", "--json", "-x"]) == 0
    assert left(open_queue, group) == ["--json", "-x"]


def test_all_of_standard_input_as_one_item(group, open_queue):
    assert put(group, "-", stdin="zwei\nZeilen äöü\n".encode()).returncode == 0
    assert put(group, "--json", "-", stdin=b'{"a":\n [1]}\n').returncode == 0
    assert left(open_queue, group) == ["zwei\nZeilen äöü\n", {"a": [1]}]


def test_the_lines_of_a_file(group, open_queue, tmp_path):
    file = tmp_path / "lines"
    file.write_bytes("one\r\n\ntwö\nlast".encode())
    assert main(["put", group, "--lines", str(file)]) == 0
    assert left(open_queue, group) == ["one", "", "twö", "last"]


def test_json_lines_from_a_pipe(group, open_queue):
    lines = b"".join(b'{"n": %d}\n' % n for n in range(5000)) + b"\n"
    found = put(group, "--json", "--lines", "-", stdin=lines)
    assert (found.returncode, found.stdout, found.stderr) == (0, b"", b"")
    assert left(open_queue, group) == [{"n": n} for n in range(5000)]


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["word", "--lines", "-"],
        ["--json", "--text", "1"],
        ["--json", "1", "{"],
        ["--lines", "/no/such/file"],
        ["--timeout", "-1", "x"],
        ["--timeout", "soon", "x"],
        ["--timeout", "nan", "x"],
        ["--timeout", "inf", "x"],
        ["--nonsense", "x"],
    ],
)
def test_wrong_usage_puts_nothing(argv, group, directory, capsys):
    assert main(["put", group, *argv]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "Usage: groupqueue put" in said.err
    assert "Error: " in said.err
    assert os.listdir(directory) == []


@pytest.mark.parametrize(
    ("line", "why"), [(b"{\n", "line 3 of {file} is not JSON"), (b"\xff\n", "line 3 of {file} is not UTF-8")]
)
def test_a_line_that_cannot_be_read_ends_it_and_those_before_are_put(line, why, group, open_queue, tmp_path, capsys):
    file = tmp_path / "lines"
    file.write_bytes(b"1\n2\n" + line + b"4\n")
    assert main(["put", group, "--json", "--lines", str(file)]) == 1
    said = capsys.readouterr().err
    assert said.startswith("groupqueue put: " + why.format(file=file))
    assert said.endswith("2 item(s) before it were put\n")
    assert said.count("\n") == 1
    assert left(open_queue, group) == [1, 2]


@pytest.mark.parametrize("reply", [[], ["--reply"]], ids=" ".join)
def test_a_line_that_cannot_travel_ends_it_and_those_before_are_put(
    reply, group, open_queue, tmp_path, capsys, monkeypatch
):
    class Serializer:
        loads = staticmethod(items.LENIENT.loads)

        @staticmethod
        def dumps(obj: object) -> bytes:
            if obj == 3:
                raise PicklingError("cannot pickle 3")
            return items.LENIENT.dumps(obj)

    monkeypatch.setattr(opening, "LENIENT", Serializer())
    file = tmp_path / "lines"
    file.write_bytes(b"1\n2\n3\n4\n")
    consumer = open_member(group)
    if reply:
        consumer.begin("for _ in range(2): q.get(); q.reply(None)")
    assert main(["put", group, "--json", *reply, "--lines", str(file)]) == 1
    assert capsys.readouterr().err == "groupqueue put: cannot pickle 3; 2 item(s) before it were put\n"
    if not reply:
        assert left(open_queue, group) == [1, 2]


def test_a_full_group(group, open_queue, capsys):
    queue = open_queue(group, maxsize=2)
    queue.wait_for_leader(5)
    assert main(["put", group, "a", "b", "c", "--timeout", "0.3"]) == 124
    assert capsys.readouterr().err == "groupqueue put: there is no room for more; 2 item(s) were put\n"
    assert left(open_queue, group) == ["a", "b"]


def test_a_leader_that_is_stopped(group, capsys):
    leader = open_leader(group)
    leader.stop()
    assert main(["put", group, "a", "--timeout", "0.3"]) == 124
    assert capsys.readouterr().err == "groupqueue put: no leader answers, nothing was put; groupqueue doctor jobs\n"


def test_a_leader_that_is_stopped_in_the_midst_of_it(group, tmp_path):
    leader = open_leader(group)
    script = Script([sys.executable, "-m", "groupqueue", "put", group, "--lines", "-", "--timeout", "4"], label="put")
    eventually(lambda: leader.do("len(q.stats().members)") == 2)
    leader.stop()
    script.send("one")
    script.hang_up()
    assert script.wait() == 124
    assert "no leader has confirmed all 1 item(s) in time; groupqueue doctor jobs" in script.stderr


# Replies


def test_replies_are_printed_in_order(group, capsys):
    consumer = open_leader(group)
    consumer.begin("for _ in range(3): q.reply([q.get(), None])")
    assert main(["put", group, "--json", "--reply", "1", '"a"', "null"]) == 0
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [[1, None], ["a", None], [None, None]]


def test_replies_to_text(group, capsys):
    consumer = open_leader(group)
    consumer.begin("for _ in range(2): q.reply(q.get().upper())")
    assert main(["put", group, "--reply", "a", "b"]) == 0
    assert capsys.readouterr().out == "A\nB\n"


@pytest.mark.parametrize(
    ("error", "text"),
    [
        ("ValueError('no good')", "ValueError: no good"),
        ("type('Odd', (Exception,), {'__reduce__': lambda self: 1})('gone')", "Odd: gone"),
    ],
)
def test_a_consumer_that_fails(error, text, group, capsys):
    consumer = open_leader(group)
    consumer.begin(f"q.get_message().fail({error})")
    assert main(["put", group, "--reply", "x"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("groupqueue put: the consumer failed: ")
    assert said.endswith(f"{text}\n")
    assert said.count("\n") == 1


def test_an_exception_that_cannot_be_rebuilt_here(group, capsys):
    """It travels by its name, and this process cannot import it."""
    consumer = open_leader(group, env={"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests' / 'cli'}"})
    consumer.do("import shop")
    consumer.begin("q.get_message().fail(shop.SoldOut('all of it'))")
    assert main(["put", group, "--reply", "x"]) == 1
    said = capsys.readouterr().err
    assert "the consumer failed: <shop.SoldOut, " in said
    assert "No module named 'shop'" in said


def test_no_reply_in_time_withdraws_the_item(group, capsys):
    leader = open_leader(group)
    assert main(["put", group, "--reply", "--timeout", "0.3", "x"]) == 124
    assert "no reply in time" in capsys.readouterr().err
    assert leader.do("q.qsize()") == 0


def test_a_group_that_is_shut_down(group, capsys):
    leader = open_leader(group)
    leader.do("q.shutdown()")
    assert main(["put", group, "x", "--timeout", "5"]) == 1
    said = capsys.readouterr().err
    assert "is shut down" in said
    assert said.count("\n") == 1


# The process around it


def test_it_needs_nobody_else(group, open_queue):
    assert put(group, "first").returncode == 0
    assert put(group, "second").returncode == 0
    assert left(open_queue, group) == ["first", "second"]


def test_ctrl_c_while_it_reads(group):
    script = Script([sys.executable, "-m", "groupqueue", "put", group, "--lines", "-"], label="put")
    script.send("one")
    member = open_member(group)
    eventually(lambda: member.do("len(q.stats().members)") == 2)
    script.signal(signal.SIGINT)
    assert script.wait() == 130
    assert script.stderr == ""


def test_a_bar_for_long_input_at_a_terminal_only(group, tmp_path, open_queue):
    leader = open_leader(group, maxsize=100)
    file = tmp_path / "lines"
    file.write_text("\n".join(map(str, range(200))))
    screen = Terminal("put", group, "--lines", str(file), "--timeout", "30")
    leader.begin("while q.get() != '199': time.sleep(0.01)")
    screen.expect(r"\d+ items")
    assert screen.wait() == 0
    screen.expect("200 items")
    screen.expect("100%")
    leader.result()


def test_a_short_input_shows_nothing_at_a_terminal(group, tmp_path):
    open_leader(group)
    file = tmp_path / "lines"
    file.write_text("one\n")
    screen = Terminal("put", group, "--lines", str(file))
    assert screen.wait() == 0
    assert screen.text == ""


def test_a_command_that_leads_is_not_stopped_by_ctrl_z(group, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    screen = Terminal("put", group, "--lines", str(tmp_path / "pipe"))
    with open(tmp_path / "pipe", "w"):
        client = open_member(group, mode="client")
        assert client.do("q.wait_for_leader(10)")
        assert client.do("q.stats().leader_pid") == screen.pid
        screen.type("\x1a")
        screen.expect(f"process {screen.pid} leads group {group!r} and is not stopped")
        client.do("q.put(1); q.flush(5)")
    assert screen.wait() == 0


def test_a_command_that_follows_is_stopped_by_ctrl_z_and_goes_on(group, tmp_path):
    leader = open_leader(group)
    os.mkfifo(tmp_path / "pipe")
    command = f"{sys.executable} -m groupqueue put {group} --lines {tmp_path}/pipe"
    screen = Terminal(shell=f"set -m; {command}; echo suspended; read; fg >/dev/null; echo ended $?")
    with open(tmp_path / "pipe", "w") as pipe:
        eventually(lambda: leader.do("len(q.stats().members)") == 2)
        screen.type("\x1a")
        screen.expect("suspended")
        pipe.write("after\n")
        screen.type("\n")
    screen.expect("ended 0")
    assert leader.do("q.get(timeout=5)") == "after"
