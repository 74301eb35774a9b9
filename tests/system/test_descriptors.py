"""What a process that was started without the standard streams has under their numbers."""

from __future__ import annotations

from tests.helpers import open_leader, run_script

BARE = """
    # without standard streams
    import errno, os, sys
    from groupqueue import GroupQueue
    told = os.dup(1)
    os.closerange(0, 3)

    def look(who):
        for number, act in enumerate((lambda: os.read(0, 1), lambda: os.write(1, b"x"), lambda: os.write(2, b"x"))):
            assert os.path.samestat(os.fstat(number), os.stat(os.devnull)), (who, number)
            try:
                act()
            except OSError as error:
                assert error.errno == errno.EBADF, (who, number)
            else:
                raise AssertionError((who, number))

    q = GroupQueue(sys.argv[1])
    assert q.wait_for_leader(20)
    q.put(1)
    q.flush(20)
    look("parent")
    os.closerange(0, 3)
    child = os.fork()
    if child:
        status = os.waitpid(child, 0)[1]
    else:
        status = 1
        try:
            q.put(2)
            q.flush(20)
            look("child")
            status = 0
        finally:
            os._exit(status)
    os.write(told, b"status %d\\n" % status)
    q.close()
    q.join_thread()
"""


def test_no_file_of_a_member_is_where_somebody_prints(group):
    script = run_script(BARE, group)
    assert script.expect("status") == "0"
    assert script.wait() == 0


def test_those_that_are_open_are_left_alone(group):
    leader = open_leader(group)
    is_null = "os.path.samestat(os.fstat(n), os.stat(os.devnull))"
    assert leader.do(f"[{is_null} for n in (0, 1, 2)]") == [False] * 3
