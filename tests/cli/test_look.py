"""`stats` and `ls` tell what is there, and leave it as it was."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

from groupqueue import GroupQueue
from groupqueue.__main__ import main
from groupqueue.cli.viewer import Viewer, others
from groupqueue.stats import MemberInfo, Stats
from tests.helpers import Clock, Script, eventually, open_leader, open_member, run_script


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


def test_what_a_dead_leader_held_is_in_flight_though_it_never_said_so(group, capsys):
    member = open_leader(group)
    member.do("q.put_many(range(5)); q.flush(); held = [q.get_message(), q.get_message()]; q.get()")
    member.kill()
    found = told(capsys, "stats", group)
    assert (found["ready"], found["in_flight"], found["total_put"], found["total_finished"]) == (2, 2, 5, 1)


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


def test_a_group_of_another_version_is_listed_and_said_to_be_wrong(group, capsys):
    of_another_version(group)
    open_leader("other")
    found = told(capsys, "stats", group)
    assert found["exit status"] == 1
    assert "journal version 9, this groupqueue reads version 1" in found["problem"]
    assert main(["ls"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[1][:2] == [group, "wrong"]
    assert lines[2][0] == "other"


def of_another_version(group: str) -> None:
    """A group that a later groupqueue has left."""
    script = run_script(
        """
        # of another version
        import sys
        from groupqueue.core import records
        records.VERSION = 9
        from groupqueue import GroupQueue
        with GroupQueue(sys.argv[1]) as q:
            q.put(1)
            q.flush()
        """,
        group,
    )
    assert script.wait() == 0


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


# Watching


def watch(group: str, *options: str) -> Script:
    command = [sys.executable, "-u", "-m", "groupqueue", "stats", group, "--watch", "--interval", "0.05", *options]
    return Script(command, label="watch")


def test_watching_is_a_line_to_each_look_until_ctrl_c(group):
    leader = open_leader(group)
    script = watch(group)
    heading = eventually(lambda: script.lines and script.lines[0].split())
    assert heading[:2] == ["time", "leader"]
    row = eventually(lambda: len(script.lines) > 1 and script.lines[1].split())
    assert (row[1], row[3]) == (str(leader.pid), "0")
    leader.do("q.put_many(range(7)); q.flush()")
    eventually(lambda: script.lines[-1].split()[3] == "7")
    script.signal(signal.SIGINT)
    assert script.wait() == 130
    assert script.stderr == ""


def test_watching_goes_on_over_a_failover_and_without_a_leader(group):
    leader = open_leader(group)
    heir = open_member(group)
    script = watch(group, "--json")

    def last() -> dict:
        return json.loads(script.lines[-1]) if script.lines else {}

    eventually(lambda: last().get("leader_pid") == leader.pid)
    leader.kill()
    eventually(lambda: last()["leader_pid"] == heir.pid)
    assert last()["epoch"] == 2
    heir.kill()
    eventually(lambda: last()["leader_pid"] is None)
    assert [json.loads(line)["name"] for line in script.lines] == [group] * len(script.lines)


def test_who_watches_a_group_without_a_leader_does_not_keep_it(group, directory):
    leader = open_leader(group)
    script = watch(group)
    eventually(lambda: len(script.lines) > 1)
    leader.kill()
    eventually(lambda: script.lines[-1].split()[1] == "-")
    GroupQueue.unlink(group)
    assert script.wait() == 1
    assert script.stderr == f"groupqueue stats: there is no group {group!r} in {directory}\n"


def test_ls_names_the_groups_that_it_cannot_look_at(directory, monkeypatch, capsys):
    for name in ("good", "secret"):
        open_leader(name).do("q.put(1); q.flush()")
    look = Viewer.look

    def selective(viewer):
        if viewer._paths.name == "secret":
            raise PermissionError(13, "Permission denied", viewer._paths.group)
        return look(viewer)

    monkeypatch.setattr(Viewer, "look", selective)
    assert main(["ls"]) == 1
    out, err = capsys.readouterr()
    assert [line.split()[0] for line in out.splitlines()] == ["group", "good"]
    assert err.startswith("groupqueue ls: group 'secret' cannot be looked at: [Errno 13] Permission denied")


def test_another_container_s_member_with_our_number_is_told():
    ours = os.getpid()
    members = [(ours, "dual", "leader"), (ours, "client", "follower"), (1, "client", "follower")]
    found = others(Stats("jobs", 1, 1, 0, members=tuple(MemberInfo(*member) for member in members)))
    assert [(member["pid"], member["mode"]) for member in found] == [(os.getpid(), "dual"), (1, "client")]
