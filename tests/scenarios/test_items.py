"""What travels between two processes with different `__main__`s, what does not, and what happens then."""

from __future__ import annotations

import json
import os
import pickle
import threading

import pytest

from groupqueue import DecodeError, Empty, PicklingError
from tests.helpers import Raised, eventually, open_leader, open_member, run_script

# The consumer has names of its own that clash with the producer's.
CONSUMER = """
    # uses what another script defined
    import sys
    from groupqueue import GroupQueue

    RATE = -1
    class Point: wrong = True
    class Colour: wrong = True
    def area(*args): return "the consumer's own"

    def show(value):
        return value

    q = GroupQueue(sys.argv[1])
    say("ready")
    while True:
        what, thing, use = q.get()
        if what is None:
            break
        try:
            say("result", what, repr(use(thing)))
        except Exception as exc:
            import traceback
            traceback.print_exc()
            say("result", what, type(exc).__name__, exc)
"""

PRODUCER = """
    # defines things and puts them
    import collections, dataclasses, enum, functools, math, sys, typing
    from groupqueue import GroupQueue

    RATE = 3

    def area(r):
        return round(RATE * math.floor(r), 2)

    def even(n):
        return True if n == 0 else odd(n - 1)

    def odd(n):
        return False if n == 0 else even(n - 1)

    def counter():
        count = 0
        def step():
            nonlocal count
            count += 1
            return count
        return step

    @dataclasses.dataclass(frozen=True)
    class Point:
        x: int
        y: int = 0
        def norm(self):
            return math.hypot(self.x, self.y)

    class Base:
        def hello(self):
            return "hello from " + type(self).__name__

    class Derived(Base):
        table = {"a": 1}
        def __init__(self, name):
            self.name = name
        def hello(self):
            return super().hello() + " " + self.name
        @property
        def upper(self):
            return self.name.upper()
        @classmethod
        def make(cls):
            return cls("made")

    class Slotted:
        __slots__ = ("value",)
        def __init__(self, value):
            self.value = value

    Pair = collections.namedtuple("Pair", "left right")

    class Row(typing.NamedTuple):
        key: str
        value: int = 5
        def double(self):
            return self.value * 2

    class Colour(enum.Enum):
        RED = 1
        GREEN = 2
        @property
        def pretty(self):
            return self.name.title()

    class Level(enum.IntEnum):
        LOW = 1
        HIGH = 9

    class Bits(enum.Flag):
        A = enum.auto()
        B = enum.auto()

    class Oops(Exception):
        def __init__(self, code):
            super().__init__(f"code {code}")
            self.code = code

        def __reduce__(self):
            return (Oops, (self.code,))

    class Plain(ValueError):
        pass

    def decorated(function):
        @functools.wraps(function)
        def wrapper(*args):
            return ["wrapped", function(*args)]
        return wrapper

    @decorated
    def add(a, b):
        return a + b

    step = counter()
    step()

    q = GroupQueue(sys.argv[1])
    for what, thing, use in [
        ("function", area, lambda f: f(2.5)),
        ("recursive", even, lambda f: (f(10), f(7))),
        ("closure", step, lambda f: (f(), f())),
        ("lambda", lambda n: n + RATE, lambda f: f(4)),
        ("partial", functools.partial(add, 1), lambda f: f(2)),
        ("decorated", add, lambda f: (f(1, 2), f.__name__)),
        ("dataclass", Point(3, 4), lambda p: (p.norm(), p.x, p == type(p)(3, 4))),
        ("dataclass-type", Point, lambda cls: (cls(6, 8).norm(), repr(cls(1)))),
        ("derived", Derived("d"), lambda d: (d.hello(), d.upper, d.make().name, d.table)),
        ("derived-type", Derived, lambda cls: cls.make().hello()),
        ("slots", Slotted(8), lambda s: s.value),
        ("namedtuple", Pair(1, 2), lambda p: (p.left, p._replace(right=5).right, p == (1, 2))),
        ("typed-namedtuple", Row("k"), lambda r: (r.key, r.value, r.double())),
        ("enum", Colour.GREEN, lambda c: (c.pretty, c.value, c is type(c)(2), c is type(c).GREEN)),
        ("enum-type", Colour, lambda cls: [member.name for member in cls]),
        ("int-enum", Level.HIGH, lambda level: (level + 1, level > type(level).LOW)),
        ("flag", Bits.A | Bits.B, lambda bits: (bits.value, type(bits).A in bits)),
        ("exception", Oops(7), lambda e: (str(e), e.code, isinstance(e, Exception))),
        ("plain-exception", Plain("p"), lambda e: (str(e), isinstance(e, ValueError))),
        ("nested", {"points": [Point(1, 1), Point(1, 1)], Colour.RED: area}, lambda d: (len(d), d["points"][0].x)),
        ("twice-the-same", (Point(1), Point), lambda pair: isinstance(*pair)),
        ("method", Derived("m").hello, lambda f: f()),
    ]:
        q.put((what, thing, use))
    q.put((None, None, None))
    q.close()
    q.join_thread()
    say("done")
"""

EXPECTED = {
    "function": (6,),
    "recursive": ((True, False),),
    "closure": ((2, 3),),
    "lambda": (7,),
    "partial": (["wrapped", 3],),
    "decorated": ((["wrapped", 3], "add"),),
    "dataclass": ((5.0, 3, True),),
    "derived": (("hello from Derived d", "D", "made", {"a": 1}),),
    "derived-type": ("hello from Derived made",),
    "slots": (8,),
    "namedtuple": ((1, 5, True),),
    "typed-namedtuple": (("k", 5, 10),),
    "enum": (("Green", 2, True, True),),
    "enum-type": (["RED", "GREEN"],),
    "int-enum": ((10, True),),
    "flag": ((3, True),),
    "exception": (("code 7", 7, True),),
    "plain-exception": (("p", True),),
    "nested": ((2, 1),),
    "twice-the-same": (True,),
    "method": ("hello from Derived m",),
}


def test_what_a_script_defines_works_in_a_process_that_never_saw_it(group):
    consumer = run_script(CONSUMER, group)
    consumer.expect("ready")
    producer = run_script(PRODUCER, group)
    producer.expect("done")
    assert producer.wait() == 0
    assert consumer.wait() == 0
    results = dict(line.split(" ", 2)[1:] for line in consumer.lines if line.startswith("result"))
    assert results.pop("dataclass-type") == "(10.0, 'Point(x=1, y=0)')"
    assert results == {what: repr(value) for what, (value,) in EXPECTED.items()}


def test_it_works_also_after_the_script_has_ended(group):
    producer = run_script(PRODUCER, group)
    assert producer.wait() == 0, producer.stderr
    consumer = run_script(CONSUMER, group)
    assert consumer.wait() == 0
    results = [line for line in consumer.lines if line.startswith("result")]
    assert len(results) == len(EXPECTED) + 1
    assert "result function 6" in results


def test_the_script_s_own_objects_come_home_as_themselves(group):
    script = run_script(
        """
        # gets what it has put
        import dataclasses, enum, sys
        from groupqueue import GroupQueue

        @dataclasses.dataclass
        class Point:
            x: int

        class Colour(enum.Enum):
            RED = 1

        q = GroupQueue(sys.argv[1])
        q.put(Point(5))
        q.put(Colour.RED)
        point, colour = q.get(timeout=5), q.get(timeout=5)
        say("same", point == Point(5), isinstance(point, Point), colour is Colour.RED)
        """,
        group,
    )
    assert script.expect("same") == "True True True"


def test_an_exception_of_the_consumer_s_main_reaches_the_asker(group):
    responder = open_leader(group)
    asker = open_member(group, begin="q.put_wait('question', timeout=10)")
    responder.do("""
        class Special(LookupError):
            pass
        q.get_message(timeout=5).fail(Special("not here"))
    """)
    with pytest.raises(Raised, match=r"^(Special/LookupError|RemoteError).*not here"):
        asker.result()


def test_dill_is_not_imported_for_plain_items_and_changes_no_pickle_of_the_program(group):
    script = run_script(
        """
        # watches its pickle
        import copyreg, pickle, sys
        from groupqueue import GroupQueue
        import groupqueue
        before = dict(pickle._Pickler.dispatch), dict(copyreg.dispatch_table)
        q = GroupQueue(sys.argv[1])
        q.put({"id": 1, "tags": ["a"], "when": 1.5, "data": b"x"})
        q.get(timeout=5)
        say("plain", "dill" in sys.modules)
        factor = 3
        q.put(lambda n: n * factor)
        say("lambda", q.get(timeout=5)(4))
        say("dispatch", (dict(pickle._Pickler.dispatch), dict(copyreg.dispatch_table)) == before)
        try:
            pickle.dumps(lambda: 0)
            say("pickle", "carries lambdas now")
        except Exception as exc:
            say("pickle", "refuses")
        try:
            pickle._dumps(lambda: 0)
            say("pickle", "carries lambdas now")
        except Exception as exc:
            say("pickle", "refuses")
        """,
        group,
    )
    assert script.expect("plain") == "False"
    assert script.expect("lambda") == "12"
    assert script.expect("dispatch") == "True"
    assert script.expect("pickle") == "refuses"
    assert script.expect("pickle") == "refuses"


@pytest.mark.parametrize(
    ("item", "path"),
    [
        (threading.Lock(), ""),
        ({"outer": [1, {"inner": threading.Lock()}]}, "inner"),
        ([0, (n for n in ())], "1"),
    ],
    ids=["lock", "nested lock", "generator"],
)
def test_what_cannot_travel_raises_in_put_with_the_path_to_it_and_queues_nothing(group, open_queue, item, path):
    queue = open_queue(group)
    with pytest.raises(PicklingError, match=path or None) as caught:
        queue.put(item)
    assert isinstance(caught.value, pickle.PicklingError)
    for call in (queue.put_nowait, queue.put_wait, queue.put_future):
        with pytest.raises(PicklingError):
            call(item)
    with pytest.raises(Empty):
        queue.get(timeout=0.2)
    assert queue.qsize() == 0


def test_a_batch_with_one_item_that_cannot_travel_raises(group, open_queue):
    queue = open_queue(group)
    with pytest.raises(PicklingError):
        queue.put_many([1, threading.Lock(), 3])


def test_changing_an_object_after_put_changes_nothing(group, open_queue):
    queue = open_queue(group)
    item = [1]
    queue.put(item)
    item.append(2)
    assert queue.get(timeout=5) == [1]


def test_an_item_too_large_names_both_sizes_and_is_not_queued(group, open_queue):
    queue = open_queue(group, max_item_bytes=1000)
    queue.put(b"x" * 900)
    with pytest.raises(ValueError, match="1000") as caught:
        queue.put(b"x" * 2000)
    assert "20" in str(caught.value)
    assert len(queue.get(timeout=5)) == 900
    with pytest.raises(Empty):
        queue.get(timeout=0.2)


@pytest.mark.parametrize("size", [0, 1, 1 << 16, (1 << 20) + 1, 40 << 20])
def test_items_of_any_size(group, size):
    leader = open_leader(group)
    producer = open_member(group, mode="client", begin=f"q.put(os.urandom(1) * {size}); q.put('after'); q.flush()")
    assert leader.do("len(q.get(timeout=15))") == size
    assert leader.do("q.get(timeout=15)") == "after"
    producer.result()


def test_a_serializer_of_one_s_own(group, open_queue):
    class Json:
        def dumps(self, obj):
            return json.dumps(obj).encode()

        def loads(self, data):
            return json.loads(bytes(data))

    queue = open_queue(group, serializer=Json())
    queue.put({"a": (1, 2)})
    assert queue.get(timeout=5) == {"a": [1, 2]}


class Bomb:
    """Can be pickled, and cannot be unpickled."""

    def __reduce__(self):
        return int, ("not a number",)


def test_an_item_that_cannot_be_decoded_raises_in_get_and_goes_to_the_failed_list(group, open_queue):
    consumer = open_leader(group)
    queue = open_queue(group)
    queue.put(1)
    queue.put(Bomb())
    queue.put(2)
    queue.flush(timeout=5)
    assert consumer.do("q.get(timeout=5)") == 1
    consumer.do("""
        try:
            q.get(timeout=5)
        except DecodeError as exc:
            caught = exc
    """)
    assert consumer.do("isinstance(caught.payload, bytes) and len(caught.payload) > 0")
    assert consumer.do("caught.sender_pid") == os.getpid()
    assert consumer.do("q.get(timeout=5)") == 2
    eventually(lambda: consumer.do("q.stats().failed") == 1)
    assert consumer.do("len(q.failed())") == 1
    assert consumer.do("q.stats().in_flight") == 0


def test_an_undecodable_item_ends_no_batch_and_no_iteration(group, open_queue):
    queue = open_queue(group)
    queue.put_many([1, Bomb(), 2])
    got, errors = [], 0
    while len(got) < 2:
        try:
            got += queue.get_many(10, timeout=5)
        except DecodeError:
            errors += 1
    assert (got, errors) == ([1, 2], 1)


def test_whoever_asked_with_an_undecodable_question_is_told(group):
    consumer = open_leader(group)
    asker = open_member(group)
    asker.do("""
        class Bomb:
            def __reduce__(self):
                return int, ("not a number",)
    """)
    asker.begin("q.put_wait(Bomb(), timeout=10)")
    with pytest.raises(Raised, match="DecodeError"):
        consumer.do("q.get(timeout=5)")
    with pytest.raises(Raised, match=r"DecodeError|RemoteError|ConsumerLost"):
        asker.result()


def test_the_leader_never_unpickles(group):
    """An item that ends whoever unpickles it passes through a leader that does not consume."""
    leader = open_leader(group)
    producer = open_member(group)
    producer.do("""
        class End:
            def __reduce__(self):
                return os._exit, (9,)
        q.put(End())
        q.flush()
    """)
    victim = open_member(group, mode="client", begin="q.get(timeout=5)")
    assert victim.wait() == 9
    producer.do("q.clear(); q.put('after'); q.flush()")
    assert leader.do("q.get(timeout=5)") == "after"
