"""`stats` and `ls` tell what is there, and leave it as it was."""

from __future__ import annotations

import json
import os
from pathlib import Path

from groupqueue import GroupQueue
from groupqueue.__main__ import main
from tests.helpers import Clock, eventually, open_leader, open_member


def told(capsys, *argv: str) -> dict:
    status = main([*argv, "--json"])
    return {**json.loads(capsys.readouterr().out), "exit status": status}


def everything_in(directory: str) -> dict[str, tuple[float, int]]:
    paths = [path for path in Path(directory).rglob("*") if path.is_file()]
    return {str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in paths}


def test_stats_of_a_led_group(group, capsys):
    leader = open_leader(group, maxsize=50)
    leader.do("q.put_many(range(10)); q.flush()")
    leader.do("m = q.get_message()")
    getter = open_member(group, mode="client")
    eventually(lambda: len(told(capsys, "stats", group)["members"]) == 2)
    found = told(capsys, "stats", group)
    assert found["exit status"] == 0
    assert (found["name"], found["leader_pid"], found["epoch"], found["maxsize"]) == (group, leader.pid, 1, 50)
    assert (found["ready"], found["in_flight"], found["failed"], found["total_put"]) == (9, 1, 0, 10)
    assert {(member["pid"], member["mode"], member["role"]) for member in found["members"]} == {
        (leader.pid, "dual", "leader"),
        (getter.pid, "client", "follower"),
    }
    assert found["problem"] == ""


def test_stats_for_people(group, capsys):
    leader = open_leader(group)
    leader.do("q.put_many(range(1200)); q.flush()")
    assert main(["stats", group]) == 0
    rows = dict(line.split(None, 1) for line in capsys.readouterr().out.splitlines())
    assert rows["leader"] == f"process {leader.pid}, epoch 1"
    assert rows["ready"] == "1,200"
    assert rows["maxsize"] == "unbounded"
    assert rows["members"] == f"process {leader.pid}, dual, leader"


def test_stats_of_a_group_that_does_not_exist_does_not_make_it(directory, capsys):
    assert main(["stats", "nobody"]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "there is no group 'nobody'" in said.err
    assert os.listdir(directory) == []


def test_stats_without_a_leader_come_from_the_directory_and_change_nothing(group, directory, capsys):
    member = open_leader(group, maxsize=7)
    member.do("q.put_many(range(5)); q.flush(); q.get()")
    member.kill()
    before = everything_in(directory)
    with Clock() as clock:
        found = told(capsys, "stats", group)
    assert clock.elapsed < 1
    assert found["exit status"] == 0
    assert (found["leader_pid"], found["epoch"], found["maxsize"], found["ready"]) == (None, 1, 7, 4)
    assert main(["stats", group]) == 0
    assert main(["ls"]) == 0
    assert everything_in(directory) == before


def test_looking_does_not_revive_a_group_that_was_shut_down(group, capsys):
    with GroupQueue(group) as q:
        q.shutdown()
    assert told(capsys, "stats", group)["is_shut_down"] is True
    assert main(["ls"]) == 0
    capsys.readouterr()
    assert told(capsys, "stats", group)["is_shut_down"] is True


def test_stats_of_a_stopped_leader_name_it_within_a_second_and_fail(group, capsys):
    leader = open_leader(group)
    leader.do("q.put(1); q.flush()")
    leader.stop()
    with Clock() as clock:
        found = told(capsys, "stats", group)
    assert clock.elapsed < 2
    assert (found["exit status"], found["leader_pid"], found["ready"]) == (1, None, 1)
    assert found["problem"] == f"process {leader.pid}, which leads, is stopped and does not answer"
    leader.cont()
    eventually(lambda: told(capsys, "stats", group)["exit status"] == 0)


def test_ls_lists_every_group_that_has_a_name(directory, open_queue, capsys):
    leader = open_leader("busy")
    leader.do("q.put_many(range(3)); q.flush()")
    dead = open_leader("abandoned")
    dead.do("q.put(1); q.flush()")
    dead.kill()
    open_queue(None)
    assert main(["ls"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[0][:2] == ["group", "leader"]
    assert lines[1:] == [["abandoned", "-", "1", "1", "0", "0"], ["busy", str(leader.pid), "1", "3", "0", "0"]]
    assert main(["ls", "--json"]) == 0
    assert [found["name"] for found in json.loads(capsys.readouterr().out)] == ["abandoned", "busy"]


def test_ls_of_nothing_is_nothing_and_makes_nothing(tmp_path, capsys):
    nowhere = tmp_path / "nowhere"
    assert main(["ls", "--directory", str(nowhere)]) == 0
    assert main(["ls", "--directory", str(nowhere), "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out) == []
    assert "no groups in" in said.err
    assert not nowhere.exists()


def test_ls_passes_over_what_is_no_group(directory, group, open_queue, capsys):
    open_queue(group)
    Path(directory, "notes.txt").write_text("not a group")
    Path(directory, "folder").mkdir()
    assert main(["ls", "--json"]) == 0
    assert [found["name"] for found in json.loads(capsys.readouterr().out)] == [group]
