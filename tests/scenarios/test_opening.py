"""What opening a group checks: names, options, the directory, and who may take part."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import tempfile

import pytest

from groupqueue import Empty, Full, GroupMismatchError, GroupQueue, GroupQueueError
from groupqueue.exceptions import GroupDirectoryError
from tests.helpers import Clock, Raised, eventually, open_leader, open_member, root_only, run_script

NOBODY = 65534


@pytest.mark.parametrize("name", ["", ".", "..", ".hidden", "a/b", "a b", "ä", "x" * 129, "a\0", "a\n", "/etc/passwd"])
def test_names_that_are_refused(name):
    with pytest.raises(ValueError, match="name"):
        GroupQueue(name)


@pytest.mark.parametrize("name", ["a", "A.b_c-9", "x" * 60, "9", "_", "-"])
def test_names_that_are_accepted(name, open_queue):
    queue = open_queue(name)
    queue.put(1)
    assert queue.get(timeout=5) == 1
    assert queue.name == name


@pytest.mark.parametrize(
    "options",
    [
        {"mode": "slave"},
        {"delivery": "none"},
        {"mode": "client", "delivery": "leader"},
        {"max_attempts": 0},
    ],
)
def test_options_that_are_refused(group, options):
    with pytest.raises(ValueError, match=r"mode|delivery|max_attempts"):
        GroupQueue(group, **options)


# Modes


def test_a_master_gets_and_leads_and_puts_nothing(group, open_queue):
    master = open_queue(group, mode="master")
    assert master.wait_for_leader(5)
    assert master.is_leader
    for call in (
        lambda: master.put(1),
        lambda: master.put(1, block=False),
        lambda: master.put_nowait(1),
        lambda: master.put_many([1]),
        lambda: master.put_wait(1),
        lambda: master.put_future(1),
    ):
        with pytest.raises(ValueError, match="master"):
            call()
    open_member(group, mode="client", begin="q.put('x')")
    assert master.get(timeout=5) == "x"


def test_clients_alone_never_lead_and_wait_within_their_timeouts(group, open_queue):
    client = open_queue(group, mode="client")
    other = open_member(group, mode="client")
    assert client.wait_for_leader(0.3) is False
    client.put("kept")
    with pytest.raises(Empty):
        client.get_nowait()
    with Clock() as clock, pytest.raises(Empty):
        client.get(timeout=0.3)
    assert 0.25 < clock.elapsed < 1.3
    with pytest.raises(TimeoutError):
        client.flush(timeout=0.2)
    assert not client.is_leader
    other.begin("q.get(timeout=10)")
    open_leader(group)
    assert other.result() == "kept"


def test_a_client_s_puts_without_a_leader_block_at_a_bound(group):
    client = open_member(group, mode="client")
    with pytest.raises(Raised, match="Full"):
        client.do(
            """
            block = b"x" * (1 << 20)
            accepted = 0
            while accepted < 2000:
                q.put(block, timeout=0.3)
                accepted += 1
            """
        )
    accepted = client.do("accepted")
    assert 0 < accepted < 2000
    leader = open_leader(group)
    assert leader.do(f"sum(len(q.get(timeout=10)) for _ in range({accepted}))", timeout=40) == accepted << 20
    with pytest.raises(Raised, match="Empty"):
        leader.do("q.get(timeout=0.3)")


# Another bound


def test_another_bound_than_the_living_group_s_is_an_error_that_names_both(group):
    open_leader(group, maxsize=5)
    with pytest.raises(GroupMismatchError) as caught:
        GroupQueue(group, maxsize=7)
    assert isinstance(caught.value, ValueError)
    assert "5" in str(caught.value)
    assert "7" in str(caught.value)


def test_no_bound_asked_for_is_the_group_s(group, open_queue):
    open_leader(group, maxsize=5)
    assert open_queue(group).maxsize == 5
    assert open_queue(group, maxsize=5).maxsize == 5


@pytest.mark.parametrize(("first", "second"), [(0, -1), (-1, 0), (None, 0), (0, None)])
def test_all_that_is_unbounded_is_the_same(group, open_queue, first, second):
    open_leader(group, maxsize=first)
    assert open_queue(group, maxsize=second).maxsize <= 0


def test_unbounded_and_bounded_are_a_mismatch(group):
    open_leader(group)
    with pytest.raises(GroupMismatchError):
        GroupQueue(group, maxsize=5)


def test_with_no_member_alive_a_new_bound_replaces_the_old(group, open_queue):
    dead = open_leader(group, maxsize=5)
    dead.do("q.put_many(range(5)); q.flush()")
    dead.kill()
    queue = open_queue(group, maxsize=7)
    assert queue.wait_for_leader(5)
    assert queue.maxsize == 7
    queue.put(5, timeout=5)
    queue.put(6, timeout=5)
    with pytest.raises(Full):
        queue.put_nowait(7)
    assert [queue.get(timeout=5) for _ in range(7)] == list(range(7))


def test_the_bound_outlives_the_leader_that_set_it(group):
    leader = open_leader(group, maxsize=3)
    heir = open_member(group)
    leader.kill()
    eventually(lambda: heir.do("q.is_leader"), timeout=5)
    assert heir.do("q.maxsize") == 3
    heir.do("q.put_many(range(3))")
    with pytest.raises(Raised, match="Full"):
        heir.do("q.put_nowait(3)")


# The directory


def test_nothing_in_it_is_for_others(group, directory, open_queue):
    queue = open_queue(group)
    queue.put(1)
    queue.flush(timeout=5)
    modes = {}
    for path, _, names in os.walk(directory):
        for name in [".", *names]:
            full = os.path.join(path, name)
            modes[full] = stat.S_IMODE(os.lstat(full).st_mode)
    assert [path for path, mode in modes.items() if mode & 0o077] == []
    assert modes[os.path.join(directory, group, "socket")] == 0o600
    assert modes[os.path.join(directory, group, ".")] == 0o700


def test_it_is_made_if_it_is_missing(directory, group, open_queue):
    path = os.path.join(directory, "new")
    queue = open_queue(group, directory=path)
    queue.put(1)
    assert queue.get(timeout=5) == 1
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o700


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o777, 0o1777])
def test_a_directory_that_others_may_enter_is_refused(directory, group, mode):
    path = os.path.join(directory, "open")
    os.mkdir(path)
    os.chmod(path, mode)
    with pytest.raises(GroupDirectoryError, match=r"open"):
        GroupQueue(group, directory=path)
    assert os.listdir(path) == []


def test_a_symbolic_link_is_refused(directory, group):
    real = os.path.join(directory, "real")
    link = os.path.join(directory, "link")
    os.mkdir(real, 0o700)
    os.symlink(real, link)
    with pytest.raises(GroupDirectoryError, match="link"):
        GroupQueue(group, directory=link)
    assert os.listdir(real) == []


def test_a_group_that_is_a_symbolic_link_is_refused(directory, group):
    real = os.path.join(directory, "real")
    os.mkdir(real, 0o700)
    os.symlink(real, os.path.join(directory, group))
    with pytest.raises(GroupDirectoryError):
        GroupQueue(group)
    assert os.listdir(real) == []


@root_only
def test_a_directory_of_another_user_is_refused(directory, group):
    path = os.path.join(directory, "theirs")
    os.mkdir(path, 0o700)
    os.chown(path, NOBODY, NOBODY)
    with pytest.raises(GroupDirectoryError, match=str(NOBODY)):
        GroupQueue(group, directory=path)


def test_a_file_in_its_place_is_refused(directory, group):
    path = os.path.join(directory, "file")
    with open(path, "w"):
        pass
    with pytest.raises(GroupDirectoryError):
        GroupQueue(group, directory=path)


def test_a_path_too_long_for_a_socket_is_an_error_that_says_so(directory, group):
    path = os.path.join(directory, "x" * 120)
    os.mkdir(path, 0o700)
    with pytest.raises((GroupQueueError, ValueError), match=r"long|bytes"):
        GroupQueue(group, directory=path)


# Who may take part


@root_only
def test_a_leader_hangs_up_on_another_user_before_it_reads(group):
    """Only root can reach the socket at all; the directory stops everybody else."""
    path = tempfile.mkdtemp(prefix="gq-theirs-", dir="/tmp")
    os.chown(path, NOBODY, NOBODY)
    script = run_script(
        f"""
        # leads as another user
        import os, sys
        from groupqueue import GroupQueue
        warm = GroupQueue(); warm.put(1); warm.get(); warm.close(); warm.join_thread()
        os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})
        q = GroupQueue(sys.argv[1], directory=sys.argv[2])
        q.wait_for_leader(5)
        say("leads", q.is_leader)
        while hear():
            q.put(1)
            say("still", q.get(timeout=5))
        """,
        group,
        path,
    )
    assert script.expect("leads") == "True"
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.settimeout(5)
        stranger.connect(os.path.join(path, group, "socket"))
        try:
            stranger.sendall(b"\0" * 64)
            assert stranger.recv(100) == b""
        except (BrokenPipeError, ConnectionResetError):
            pass
    with pytest.raises(GroupDirectoryError):
        GroupQueue(group, directory=path)
    script.send("go")
    assert script.expect("still") == "1"
    script.end()
    shutil.rmtree(path)


def test_a_leader_outlives_whoever_talks_nonsense(directory, group):
    leader = open_leader(group)
    path = os.path.join(directory, group, "socket")
    eventually(lambda: os.path.exists(path))
    for nonsense in (b"", b"\0" * 100, b"\xff" * 100, os.urandom(5000), b"GET / HTTP/1.1\r\n\r\n" * 100):
        with socket.socket(socket.AF_UNIX) as stranger:
            stranger.settimeout(5)
            stranger.connect(path)
            try:
                stranger.sendall(nonsense)
                stranger.shutdown(socket.SHUT_WR)
                while stranger.recv(1000):
                    pass
            except (BrokenPipeError, ConnectionResetError):
                pass
    leader.do("q.put('fine'); q.flush()")
    assert leader.do("(q.is_leader, q.get(timeout=5))") == (True, "fine")
