"""Who leads, who should, and what keeps anybody from it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from groupqueue import GroupQueue
from groupqueue.__main__ import main
from tests.helpers import (
    ROOT,
    Clock,
    Member,
    eventually,
    linux_only,
    lock_holder,
    open_leader,
    open_member,
    process_state,
    root_only,
    run_script,
)

FORK_BEHIND_PYTHON_S_BACK = """
    import ctypes
    child = ctypes.PyDLL(None).fork()
    if not child:
        signal.pause()
"""
HOLD_THE_GIL = "ctypes.PyDLL(None).sleep(30)"


def everything_in(directory: str) -> dict[str, tuple[float, int]]:
    paths = [path for path in Path(directory).rglob("*") if path.is_file()]
    return {str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in paths}


def test_a_group_that_is_led_is_healthy(group, diagnose):
    leader = open_leader(group)
    leader.do("q.put_many(range(3)); q.flush(); m = q.get_message()")
    client = open_member(group, mode="client")
    found = diagnose()
    assert (found["status"], found["healthy"], found["findings"]) == (0, True, [])
    assert (found["leader_pid"], found["answers"]) == (leader.pid, True)
    assert {member["pid"] for member in found["members"]} == {leader.pid, client.pid}
    assert (found["ready"], found["in_flight"], found["failed"]) == (2, 1, 0)


def test_what_it_says_to_people(group, directory, capsys):
    leader = open_leader(group)
    assert main(["doctor", group]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split(None, 1) == ["group", f"{group} in {directory}"]
    assert lines[1].split(None, 1) == ["leader", f"process {leader.pid}, answers"]
    assert lines[-1] == "nothing is wrong"
    leader.stop()
    assert main(["doctor", group]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split(None, 1) == ["leader", f"process {leader.pid}, does not answer"]
    assert lines[-2].startswith(f"WRONG: process {leader.pid}, which leads, is stopped")
    assert lines[-1].startswith(f"  -> kill -CONT {leader.pid}")


def test_a_group_that_nobody_has_open_waits_and_is_healthy(group, diagnose):
    member = open_leader(group)
    member.do("q.put(1); q.flush(); q.close(); q.join_thread()")
    found = diagnose()
    assert found["status"] == 0
    assert list(found["named"]) == ["nobody"]
    assert (found["leader_pid"], found["ready"], found["members"]) == (None, 1, [])


def test_a_group_that_does_not_exist_is_not_made(directory, capsys, open_queue):
    open_queue("other")
    assert main(["doctor", "nobody"]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert "there is no group 'nobody'" in said.err
    assert "groups there: other" in said.err
    assert "GROUPQUEUE_DIR" in said.err
    assert os.listdir(directory) == ["other"]


def test_a_file_in_the_place_of_the_directory_is_said_in_one_line(tmp_path, capsys):
    file = tmp_path / "file"
    file.touch()
    assert main(["doctor", "jobs", "--directory", str(file)]) == 1
    assert capsys.readouterr().err == f"groupqueue doctor: the directory {file} is not a directory; name another\n"


@linux_only
def test_only_clients(group, diagnose):
    clients = [open_member(group, mode="client") for _ in range(2)]
    with Clock() as clock:
        found = diagnose()
    assert clock.elapsed < 5
    assert found["status"] == 1
    text = found["named"]["no-leader"]["text"]
    assert all(str(client.pid) in text for client in clients)
    assert "mode='client'" in text
    assert f"groupqueue serve {group}" in found["named"]["no-leader"]["remedy"]


@linux_only
def test_the_only_one_that_may_lead_is_stopped(group, diagnose):
    leader = open_leader(group)
    heir = open_member(group)
    client = open_member(group, mode="client")
    heir.stop()
    leader.kill()
    found = diagnose()
    assert found["status"] == 1
    assert f"process {heir.pid} is stopped" in found["named"]["no-leader"]["text"]
    assert f"kill -CONT {heir.pid}" in found["named"]["no-leader"]["remedy"]
    assert found["named"]["member-stopped"]["wrong"] is False
    heir.cont()
    client.do("q.put(1); q.flush(10)")
    assert diagnose()["status"] == 0


def test_a_stopped_leader(group, diagnose):
    leader = open_leader(group)
    leader.stop()
    found = diagnose()
    assert found["status"] == 1
    finding = found["named"]["leader-stopped"]
    assert f"process {leader.pid}, which leads, is stopped" in finding["text"]
    assert finding["remedy"].startswith(f"kill -CONT {leader.pid}")
    os.kill(leader.pid, signal.SIGCONT)
    eventually(lambda: diagnose()["status"] == 0)


@linux_only
def test_a_forked_child_of_a_dead_leader_holds_its_lock(group, directory, diagnose):
    leader = open_leader(group)
    child = fork_behind_python_s_back(leader)
    waiting = open_member(group)
    leader.kill()
    found = diagnose()
    assert found["status"] == 1
    finding = found["named"]["orphaned-lock"]
    assert f"process {leader.pid}, which led, is dead" in finding["text"]
    assert f"process {child}, which it forked" in finding["text"]
    assert finding["remedy"].endswith(f"kill {child}")
    assert waiting.do("q.is_leader") is False
    os.kill(child, signal.SIGKILL)
    eventually(lambda: lock_holder(directory, group) == waiting.pid)
    eventually(lambda: diagnose()["status"] == 0)


@linux_only
def test_who_is_about_to_lead_is_no_child_of_the_one_that_led(group, directory, diagnose):
    """The lock file still names the dead one."""
    dead = open_leader(group)
    eventually(lambda: os.path.exists(os.path.join(directory, group, "socket")))
    dead.kill()
    script = run_script(
        """
        # is about to lead
        import signal, sys
        from groupqueue.system.leadership import Leadership
        from groupqueue.system.paths import GroupPaths
        leadership = Leadership.try_take(GroupPaths(sys.argv[1], sys.argv[2]))
        say("locked", leadership is not None)
        signal.pause()
        """,
        directory,
        group,
    )
    assert script.expect("locked") == "True"
    found = diagnose()
    assert found["leader_pid"] == script.pid
    assert (
        f"process {script.pid}, which leads, is sleeping, holds the lock and does not listen"
        in (found["named"]["not-serving"]["text"])
    )
    script.stop()
    assert f"process {script.pid}, which leads, is stopped" in diagnose()["named"]["leader-stopped"]["text"]


def fork_behind_python_s_back(member: Member) -> int:
    """A child that no fork hook of Python has seen, and that holds what its parent holds."""
    member.do(FORK_BEHIND_PYTHON_S_BACK)
    child = member.do("child")
    assert isinstance(child, int)
    eventually(lambda: process_state(child) == "S", what="the child to wait")
    return child


@linux_only
def test_a_leader_that_never_lets_go_of_the_gil(group, diagnose):
    leader = open_leader(group)
    leader.do("import ctypes")
    leader.begin(HOLD_THE_GIL)
    finding = eventually(lambda: diagnose()["named"].get("leader-silent"))
    assert f"process {leader.pid}, which leads, is " in finding["text"]
    assert "and does not answer" in finding["text"]
    assert "mode='client'" in finding["remedy"]


def test_a_socket_that_is_gone(group, directory, diagnose):
    leader = open_leader(group)
    path = os.path.join(directory, group, "socket")
    eventually(lambda: os.path.exists(path))
    os.unlink(path)
    found = diagnose()
    assert found["status"] == 1
    assert f"process {leader.pid}, which leads, is" in found["named"]["no-socket"]["text"]
    assert f"{path} is not there" in found["named"]["no-socket"]["text"]


def test_a_socket_behind_which_nobody_listens(group, directory, diagnose):
    leader = open_leader(group)
    path = os.path.join(directory, group, "socket")
    eventually(lambda: os.path.exists(path))
    os.unlink(path)
    Path(path).touch()
    found = diagnose()
    assert found["status"] == 1
    assert f"process {leader.pid}, which leads, is" in found["named"]["not-serving"]["text"]


@root_only
def test_a_socket_of_another_user(group, directory, diagnose):
    leader = open_leader(group)
    path = os.path.join(directory, group, "socket")
    eventually(lambda: os.path.exists(path))
    os.unlink(path)
    stranger = run_script(
        """
        # listens as another user
        import os, signal, socket, sys
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(sys.argv[1])
        os.setuid(65534)
        sock.listen()
        say("listens")
        signal.pause()
        """,
        path,
    )
    stranger.expect("listens")
    found = diagnose()
    assert found["status"] == 1
    assert found["named"]["foreign-socket"]["text"] == f"{path} is another user's"
    assert str(leader.pid) in found["named"]["foreign-socket"]["remedy"]


@linux_only
def test_a_stranger_s_lock_on_the_folder(group, directory, diagnose):
    folder = os.path.join(directory, group)
    os.mkdir(folder, 0o700)
    stranger = run_script(
        """
        # locks the folder
        import fcntl, os, sys
        fd = os.open(sys.argv[1], os.O_RDONLY)
        fcntl.flock(fd, fcntl.LOCK_EX)
        say("locked")
        hear()
        """,
        folder,
    )
    stranger.expect("locked")
    member = open_member(group)
    found = diagnose()
    assert found["status"] == 1
    assert f"process {stranger.pid} holds a lock on" in found["named"]["folder-locked"]["text"]
    stranger.kill()
    assert member.do("q.wait_for_leader(10)")
    assert diagnose()["status"] == 0


@linux_only
def test_members_that_died_while_nobody_leads_are_counted(group, diagnose):
    leader = open_leader(group)
    clients = [open_member(group, mode="client") for _ in range(3)]
    for client in clients:
        client.do("q.wait_for_leader(5)")
    leader.kill()
    for client in clients[:2]:
        client.kill()
    found = diagnose()
    assert "3 member(s) died" in found["named"]["dead-members"]["text"]
    assert [member["pid"] for member in found["members"]] == [clients[2].pid]


@root_only
@linux_only
def test_a_leader_in_a_container_is_not_seen_but_answers(group, directory):
    """Here the doctor is in the container, which sees less of the world than the world of it."""
    leader = open_leader(group)
    open_member(group, mode="client")
    inside = ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-m", "groupqueue", "doctor", group]
    probe = subprocess.run([*inside[:4], "true"], capture_output=True)
    if probe.returncode:
        pytest.skip(f"cannot unshare here: {probe.stderr.decode()}")
    found = subprocess.run(inside, capture_output=True, text=True, cwd=ROOT, timeout=30)
    assert found.returncode == 0, found.stdout + found.stderr
    assert f"process {leader.pid}, answers" in found.stdout
    assert "2 alive" in found.stdout
    leader.stop()
    found = subprocess.run([*inside, "--json"], capture_output=True, text=True, cwd=ROOT, timeout=30)
    assert found.returncode == 1
    finding = next(one for one in json.loads(found.stdout)["findings"] if one["name"] == "hidden-leader")
    assert "held by a process that cannot be seen from here" in finding["text"]
    assert str(leader.pid) in finding["text"]


# It only looks


def test_looking_changes_nothing(group, directory, diagnose):
    member = open_leader(group)
    member.do("q.put_many(range(5)); q.flush(); q.get()")
    before = everything_in(directory)
    assert diagnose()["status"] == 0
    assert everything_in(directory) == before
    member.kill()
    before = everything_in(directory)
    assert diagnose()["status"] == 0
    assert everything_in(directory) == before


def test_looking_does_not_revive_a_group_that_was_shut_down(group, diagnose):
    with GroupQueue(group) as q:
        q.shutdown()
    assert list(diagnose()["named"]) == ["nobody", "shut-down"]
    assert list(diagnose()["named"]) == ["nobody", "shut-down"]


def test_no_leader_counts_who_looks_as_a_member(group, diagnose):
    leader = open_leader(group)
    for _ in range(5):
        diagnose()
    assert leader.do("len(q.stats().members)") == 1


def test_a_failover_under_many_looks_is_a_failover(group):
    """Neither a candidate nor a new member is kept out by those who look."""
    leader = open_leader(group)
    looks = [
        run_script(
            """
            # looks all the time
            import sys
            from groupqueue.cli.doctor import lead
            from groupqueue.system.paths import GroupPaths
            say("looks")
            while True:
                lead._look(GroupPaths(sys.argv[1], sys.argv[2]))
            """,
            os.environ["GROUPQUEUE_DIR"],
            group,
        )
        for _ in range(2)
    ]
    for script in looks:
        script.expect("looks")
    for _ in range(5):
        heir = open_member(group)
        leader.kill()
        with Clock() as clock:
            heir.do("q.put(1); q.flush(); q.get()")
        assert clock.elapsed < 5
        leader = heir
