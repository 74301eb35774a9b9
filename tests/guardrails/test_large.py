"""What is done to the bytes of large items: written once, sent and summed by nobody on their way."""

from __future__ import annotations

from tests.helpers import eventually, open_leader, open_member

COUNT = """
    from groupqueue import follower
    # However busy the machine is.
    follower.AWAITED = 5.0
    import os, socket, zlib
    from groupqueue.core import outbox, records
    from groupqueue.system import segments
    counted = {"sent": 0, "written": 0, "summed": 0}
    def count(name, owner, call, size):
        original = getattr(owner, call)
        def counting(*args):
            counted[name] += size(*args)
            return original(*args)
        setattr(owner, call, counting)
    count("sent", socket.socket, "sendmsg", lambda sock, parts, *rest: sum(map(len, parts)))
    count("written", os, "pwritev", lambda fd, parts, at: sum(map(len, parts)))
    for module in (outbox, records, segments):
        count("summed", module, "crc32", lambda data, *rest: len(data))
"""

SIZE = 1_000_000
ITEMS = 40


def test_of_a_stream_that_is_consumed(group):
    leader = open_leader(group)
    producer = open_member(group, mode="client")
    for member in (leader, producer):
        member.do(COUNT)
    producer.do(f"q.put(bytes({SIZE})); q.flush()")
    eventually(lambda: leader.do("q.qsize()") == 1)
    leader.do("q.get(timeout=5); None")
    for member in (leader, producer):
        member.do("counted.update(sent=0, written=0, summed=0)")
    leader.begin(f"for _ in range({ITEMS}): q.get(timeout=20)")
    producer.do(f"for _ in range({ITEMS}): q.put(bytes({SIZE}))\nq.flush()")
    leader.result()
    whole = ITEMS * SIZE
    of_leader, of_producer = leader.do("counted"), producer.do("counted")
    assert whole / 2 < of_producer["written"] < 1.1 * whole
    assert of_producer["sent"] < whole / 2
    assert of_producer["summed"] < whole / 2
    assert of_leader["written"] < whole / 2
    assert of_leader["sent"] < 100_000
