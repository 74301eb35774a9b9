"""`peek`, `tail` and `failed` show items and leave them where they are."""

from __future__ import annotations

import json
import signal
import sys

from groupqueue.__main__ import main
from tests.cli.test_getting import run_shop
from tests.helpers import Script, eventually, open_leader, open_member


def test_peek_shows_the_next_and_takes_nothing(group, capsys):
    leader = open_leader(group)
    leader.do("q.put_many(range(15)); q.flush()")
    assert main(["peek", group]) == 0
    assert capsys.readouterr().out.split() == [str(n) for n in range(10)]
    assert main(["peek", group, "-n", "100", "--json"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["item"] for one in found] == list(range(15))
    assert found[0] == {"item": 0, "sender_pid": leader.pid, "attempt": 1, "wants_reply": False}
    assert leader.do("q.qsize()") == 15


def test_peek_of_an_empty_group(group, capsys):
    open_leader(group)
    assert main(["peek", group]) == 1
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "")


def test_peek_of_large_items_asks_for_few(group, capsys):
    leader = open_leader(group)
    leader.do("q.put_many(bytes([n]) * 5_000_000 for n in range(8)); q.flush(20)")
    assert main(["peek", group, "-n", "1000", "--json"]) == 0
    assert 1 <= len(capsys.readouterr().out.splitlines()) <= 4


def test_peek_where_nobody_is(group, capsys):
    member = open_leader(group)
    member.do("q.put('left'); q.flush()")
    member.kill()
    assert main(["peek", group]) == 0
    assert capsys.readouterr().out == "left\n"


def test_peek_behind_a_stopped_leader_says_who(group, capsys):
    leader = open_leader(group)
    leader.stop()
    assert main(["peek", group]) == 1
    said = capsys.readouterr().err
    assert f"process {leader.pid}, which leads, is stopped and does not answer; groupqueue doctor {group}" in said
    assert said.count("\n") == 1


def test_what_cannot_be_rebuilt_is_described_and_stays(group, capsys):
    run_shop(group)
    assert main(["peek", group]) == 0
    assert capsys.readouterr().out.startswith("<shop.Order, ")
    assert main(["peek", group, "--json"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert found[0]["item"]["type"] == "shop.Order"
    assert found[0]["item"]["sender_pid"] == found[0]["sender_pid"] > 0
    assert found[2]["item"] == "readable"


def test_the_failed_list_and_why(group, capsys):
    leader = open_leader(group)
    assert main(["failed", group]) == 0
    assert capsys.readouterr().out == ""
    leader.do("q.put('job'); q.get_message().fail(ValueError('no\\nway')); q.flush()")
    assert main(["failed", group]) == 0
    line = capsys.readouterr().out
    assert line == f"job  (ValueError: no\\nway; attempt 1, from process {leader.pid})\n"
    assert main(["failed", group, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["item"], found["reason"], found["attempt"]) == ("job", "ValueError: no\nway", 1)
    assert leader.do("q.stats().failed") == 1


# tail


def tail(group: str, *options: str) -> Script:
    command = [sys.executable, "-m", "groupqueue", "tail", group, "--interval", "0.05", *options]
    return Script(command, label="tail")


def test_tail_shows_what_comes_once_and_takes_nothing(group):
    leader = open_leader(group)
    leader.do("q.put('before'); q.flush()")
    script = tail(group)
    eventually(lambda: script.lines == ["before"])
    leader.do("q.put_many(['one', 'two']); q.flush()")
    eventually(lambda: script.lines == ["before", "one", "two"])
    leader.do("q.get(); q.get_message().requeue(); q.put('three'); q.flush()")
    eventually(lambda: script.lines[-1] == "three")
    assert script.lines == ["before", "one", "two", "three"]
    assert leader.do("q.qsize()") == 3
    script.signal(signal.SIGINT)
    assert script.wait() == 130
    assert script.stderr == ""


def test_tail_goes_on_with_the_next_leader_and_never_leads(group):
    leader = open_leader(group)
    script = tail(group, "--json")
    leader.do("q.put(1); q.flush()")
    eventually(lambda: len(script.lines) == 1)
    leader.kill()
    heir = open_leader(group)
    heir.do("q.put(2); q.flush()")
    eventually(lambda: len(script.lines) == 2)
    assert [json.loads(line)["item"] for line in script.lines] == [1, 2]
    assert {member[1] for member in heir.do("[tuple(member) for member in q.stats().members]")} == {"dual", "client"}


def test_a_small_window_sees_what_comes_near_the_front(group):
    leader = open_leader(group)
    consumer = open_member(group)
    leader.do("q.put_many(range(6)); q.flush()")
    script = tail(group, "--window", "2")
    shown = ["0", "1"]
    for taken in range(4):
        eventually(lambda: script.lines == shown)
        assert consumer.do("q.get(timeout=5)") == taken
        shown.append(str(taken + 2))
    eventually(lambda: script.lines == shown)
