"""
One of everything that a script's `__main__` may define.

    zoo.py dump        writes a pickled dict of the animals' pickles to stdout
    zoo.py roundtrip   reads them back in the same process, and exits with 0 if they are what they were
    zoo.py foreign     reads such a dict from stdin and says "name: own" or "name: foreign" for each class
"""

from __future__ import annotations

import abc
import asyncio
import collections
import dataclasses
import datetime
import enum
import functools
import json as j
import os.path
import pickle
import sys
import typing
import weakref
import xml.dom.minidom

from groupqueue.serializers import default_serializer

serializer = default_serializer()
T = typing.TypeVar("T")
UserId = typing.NewType("UserId", int)
RATE = 3
TABLE = {"a": [1, 2]}
REGISTRY: dict[str, type] = {}

# Functions


def even(n):
    return True if n == 0 else odd(n - 1)


def odd(n):
    return False if n == 0 else even(n - 1)


def with_modules(x):
    return j.dumps(x), os.path.join("a", "b"), xml.dom.minidom.parseString("<a/>").documentElement.tagName


def with_everything(x: int, *args: int, k: int = 4, **rest: str) -> str:
    """Documented."""
    return f"{x} {args} {k} {rest} {RATE}"


with_everything.colour = "red"


def table():
    return TABLE


def counter():
    n = 0

    def count():
        nonlocal n
        n += 1
        return n

    return count


def recursive_closure():
    def fact(n):
        return 1 if n == 0 else n * fact(n - 1)

    return fact


def empty_cell():
    def use():
        return later

    if use is None:
        later = 1
    return use


def shared_list():
    items = []
    return items, lambda: items


def deco(func):
    @functools.wraps(func)
    def wrapper(*args):
        return "deco", func(*args)

    return wrapper


@deco
def decorated(x):
    return x + RATE


@functools.cache
def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


@functools.singledispatch
def dispatch(x):
    return "object"


@dispatch.register
def _(x: int):
    return "int"


def generate(n):
    for i in range(n):
        yield i * RATE


async def coroutine(x):
    await asyncio.sleep(0)
    return x * RATE


def calls_itself_by_partial(n):
    return 0 if n == 0 else 1 + by_partial(n - 1)


by_partial = functools.partial(calls_itself_by_partial)


def makes_exec_function():
    namespace: dict = {"K": 5}
    exec("def made():\n    return K + helper()\ndef helper():\n    return 1", namespace)
    return namespace["made"]


# Classes


class Base:
    tag = "base"
    made = 0

    def __init__(self, x):
        self.x = x

    def hello(self):
        return f"hello {self.x} {RATE}"


class Sub(Base):
    def __init__(self, x, y):
        super().__init__(x)
        self.y = y

    def hello(self):
        return super().hello() + " sub"

    @classmethod
    def make(cls):
        return cls(1, 2)

    @staticmethod
    def is_even(n):
        return even(n)

    @property
    def double(self):
        return self.x * 2

    @double.setter
    def double(self, value):
        self.x = value // 2

    @functools.cached_property
    def cached(self):
        return RATE

    @functools.lru_cache  # noqa: B019
    def costly(self):
        return self.x

    def __eq__(self, other):
        return type(other) is Sub and (self.x, self.y) == (other.x, other.y)

    def __hash__(self):
        return hash((self.x, self.y))


class Slots:
    __slots__ = ("__hidden", "__weakref__", "a")

    def __init__(self):
        self.a = 1
        self.__hidden = 2

    def hidden(self):
        return self.__hidden


class Meta(type):
    def __new__(mcs, name, bases, namespace):
        if bases and "required" not in namespace:
            raise TypeError("required")
        return super().__new__(mcs, name, bases, {**namespace, "added": name})

    def __call__(cls, *args):
        made = super().__call__(*args)
        made.by_meta = True
        return made


class WithMeta(metaclass=Meta):
    required = 1


class WithMetaToo(WithMeta):
    required = 2


class Plugin:
    def __init_subclass__(cls, *, name, **rest):
        super().__init_subclass__(**rest)
        cls.plugin_name = name
        REGISTRY[name] = cls


class PluginA(Plugin, name="a"):
    def names(self):
        return sorted(REGISTRY), self.plugin_name


class GenericPlugin(typing.Generic[T], Plugin, name="g"):  # noqa: PYI059
    pass


class Abstract(abc.ABC):
    @abc.abstractmethod
    def f(self): ...


class Concrete(Abstract):
    def f(self):
        return "concrete"


@Abstract.register
class Virtual:
    pass


class Proto(typing.Protocol):
    def f(self) -> str: ...


class Implementation(Proto):
    def f(self):
        return "implementation"


class Box(typing.Generic[T]):
    def __init__(self, value: T):
        self.value = value


class IntBox(Box[int]):
    pass


class Options(typing.TypedDict, total=False):
    a: int


class Words(dict):
    def add(self, word):
        self[word] = len(word)
        return self


class Number(int):
    def next(self):
        return Number(self + 1)


class Descriptor:
    def __set_name__(self, owner, name):
        self.name = name

    def __get__(self, instance, owner):
        return self if instance is None else f"got {self.name}"


class WithDescriptor:
    field = Descriptor()


class Makes:
    def other(self):
        return Other()


class Other:
    def makes(self):
        return Makes()


class Node:
    def __init__(self, parent=None):
        self.parent = weakref.ref(parent) if parent else None
        self.children = []

    def grow(self):
        self.children.append(Node(self))
        return self


class Key:
    """Its instances are keys of what its own methods use, and its hash uses a global."""

    ALL: typing.ClassVar = {}

    def __init__(self, k):
        self.k = k

    def __hash__(self):
        return hash(("key", self.k, RATE))

    def __eq__(self, other):
        return self.k == other.k

    def find(self):
        return LOOKUP[self], self.ALL[self]


LOOKUP = {Key(1): "one"}
Key.ALL[Key(1)] = "uno"


class Reduced:
    def __init__(self, x):
        self.x = x

    def __reduce__(self):
        return make_reduced, (self.x,)


def make_reduced(x):
    return Reduced(x + RATE - 3)


class States:
    def __getstate__(self):
        return {"kept": 1}

    def __setstate__(self, state):
        self.got = state


class NewArgs:
    def __new__(cls, value):
        made = super().__new__(cls)
        made.value = value
        return made

    def __getnewargs__(self):
        return (self.value,)


class Sentinel:
    def __reduce__(self):
        return "MISSING"


MISSING = Sentinel()


class SlottedSentinel:
    __slots__ = ()

    def __reduce__(self):
        return "ABSENT"


ABSENT = SlottedSentinel()


def is_missing(x, y):
    return x is MISSING and y is ABSENT


class Singleton:
    only = None

    def __new__(cls):
        if cls.only is None:
            cls.only = super().__new__(cls)
        return cls.only


class TaggedHook:
    def __init_subclass__(cls, *, tag, **rest):
        cls.tag = tag


class Tagged(Box[int], TaggedHook, tag=3):
    pass


class Outer:
    class Inner:
        def name(self):
            return type(self).__qualname__


@functools.total_ordering
class Ordered:  # noqa: PLW1641
    def __init__(self, n):
        self.n = n

    def __eq__(self, other):
        return self.n == other.n

    def __lt__(self, other):
        return self.n < other.n


def local_class(value):
    class Local:
        def get(self):
            return value, Local

    return Local


# Dataclasses and tuples


@dataclasses.dataclass
class Data:
    a: int
    b: list = dataclasses.field(default_factory=list)

    def total(self):
        return self.a + len(self.b) + RATE


@dataclasses.dataclass
class MoreData(Data):
    c: int = dataclasses.field(default=5, repr=False, metadata={"unit": "s"})
    d: dataclasses.InitVar[int] = 0
    e: typing.ClassVar[int] = 7


@dataclasses.dataclass(frozen=True, order=True)
class Frozen:
    a: int
    b: str = "q"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Slotted:
    a: int
    b: int = 2


class Typed(typing.NamedTuple):
    x: int
    y: int = 3

    def total(self):
        return self.x + self.y


Point = collections.namedtuple("Point", "x y", defaults=[9])  # noqa: PYI024

# Enums


class Color(enum.Enum):
    RED = 1
    GREEN = 2
    ROUGE = 1  # noqa: PIE796

    def nice(self):
        return self.name.lower() * RATE


class Number3(enum.IntEnum):
    ONE = 1
    TWO = 2


class Text(str, enum.Enum):
    A = "a"


if sys.version_info >= (3, 11):

    class NewText(enum.StrEnum):
        ALPHA = enum.auto()

else:
    NewText = Text


class Permission(enum.Flag):
    R = enum.auto()
    W = enum.auto()
    X = enum.auto()
    RW = R | W


class IntPermission(enum.IntFlag):
    R = 1
    W = 2


class Coordinate(bytes, enum.Enum):
    def __new__(cls, value, label):
        made = bytes.__new__(cls, [value])
        made._value_ = value
        made.label = label
        return made

    PX = (0, "px")
    PY = (1, "py")


class Planet(enum.Enum):
    EARTH = (1.0, 2.0)
    MARS = (3.0, 4.0)

    def __init__(self, mass, radius):
        self.mass = mass
        self.radius = radius

    @property
    def sum(self):
        return self.mass + self.radius

    @classmethod
    def _missing_(cls, value):
        return cls.MARS


class Day(datetime.date, enum.Enum):
    FIRST = 2020, 1, 1


@dataclasses.dataclass
class Colored:
    color: Color = Color.RED
    colors: frozenset = frozenset({Color.RED, Color.GREEN})


# Exceptions


class Simple(Exception):
    pass


class Custom(Exception):
    def __init__(self, a, b):
        super().__init__(f"custom {a} {b}")
        self.a = a
        self.b = b


class Silent(ValueError):
    """Does not call its base."""

    def __init__(self, *, code):
        self.code = code


class FileTrouble(OSError):
    def __init__(self, path):
        super().__init__(2, "nope", path)
        self.path = path


def raised():
    try:
        raise Custom(1, 2)
    except Custom as exc:
        return exc


ANIMALS = {
    "even": even,
    "with_modules": with_modules,
    "with_everything": with_everything,
    "table": table,
    "counter": counter(),
    "recursive_closure": recursive_closure(),
    "empty_cell": empty_cell(),
    "shared_list": shared_list(),
    "decorated": decorated,
    "fib": fib,
    "dispatch": dispatch,
    "generate": generate,
    "coroutine": coroutine,
    "by_partial": by_partial,
    "partial": functools.partial(with_everything, 1, k=2),
    "exec_function": makes_exec_function(),
    "lambda": lambda x: x + RATE,
    "nested_lambda": lambda: [each() for each in [lambda: RATE, lambda: 1 + RATE]],
    "base": Base(1),
    "sub": Sub(1, 2),
    "sub_class": Sub,
    "bound_method": Sub(3, 4).hello,
    "class_method": Sub.make,
    "static_method": Sub.is_even,
    "plain_method": Sub.hello,
    "slots": Slots(),
    "with_meta": WithMetaToo(),
    "plugin": PluginA(),
    "generic_plugin": GenericPlugin(),
    "concrete": Concrete(),
    "abstract": (Abstract, Virtual()),
    "implementation": Implementation(),
    "box": Box(3),
    "int_box": IntBox(4),
    "alias_box": Box[int](5),
    "alias": dict[str, Box[int]],
    "options": Options,
    "words": Words().add("abc"),
    "number": Number(3),
    "descriptor": WithDescriptor(),
    "makes": Makes(),
    "node": Node().grow(),
    "key": Key(1),
    "reduced": Reduced(3),
    "states": States(),
    "new_args": NewArgs(3),
    "missing": MISSING,
    "is_missing": (MISSING, ABSENT, is_missing),
    "singleton": Singleton(),
    "tagged": Tagged(1),
    "inner": Outer.Inner(),
    "ordered": Ordered(1),
    "local": local_class(7)(),
    "type_variable": T,
    "new_type": UserId,
    "data": Data(1, [2]),
    "more_data": MoreData(1, [], 6, 0),
    "frozen": Frozen(1),
    "slotted": Slotted(a=1),
    "typed": Typed(1),
    "point": Point(1),
    "color": Color.RED,
    "color_class": Color,
    "int_enum": Number3.TWO,
    "text": Text.A,
    "new_text": NewText,
    "flag": Permission.R | Permission.X,
    "named_flag": Permission.RW,
    "int_flag": IntPermission.R | IntPermission.W,
    "coordinate": Coordinate.PY,
    "planet": Planet.EARTH,
    "day": Day.FIRST,
    "colored": Colored(),
    "simple_error": Simple("a", 1),
    "custom_error": Custom(1, 2),
    "raised_error": raised(),
    "silent_error": Silent(code=3),
    "file_error": FileTrouble("/nowhere"),
    "mixture": [Sub(1, 2), {"color": Color.GREEN}, (Data(1), Data(2)), even],
    "keys": {Color.RED: 1}.keys(),
    "view": {Color.RED: Data(1)}.items(),
}

if sys.version_info >= (3, 12):
    exec("""
class New[T]:
    def get[S](self, x: S) -> S:
        return x
type Alias[T] = list[T]
ANIMALS["new_generic"] = New()
ANIMALS["new_alias"] = Alias
""")

SAME_OBJECT = {
    "even", "fib", "sub_class", "missing", "new_type", "type_variable", "color", "color_class", "named_flag", "flag",
    "options", "with_everything", "new_text", "plain_method", "is_missing", "dispatch", "decorated",
}  # fmt: skip


def roundtrip():
    for name, animal in ANIMALS.items():
        copy = serializer.loads(serializer.dumps(animal))
        assert type(copy) is type(animal), name
        if name in SAME_OBJECT:
            assert copy == animal if isinstance(animal, tuple) else copy is animal, name
    assert serializer.loads(serializer.dumps(Frozen(1))) == Frozen(1)
    assert isinstance(serializer.loads(serializer.dumps(raised())), Custom)


def foreign():
    for name, data in pickle.load(sys.stdin.buffer).items():
        own = type(ANIMALS[name])
        kind = type(serializer.loads(data))
        if own.__module__ in ("__main__", "__mp_main__"):
            print(f"{name}: {'own' if kind is own else 'foreign'}")


if __name__ == "__main__":
    if sys.argv[1] == "dump":
        sys.stdout.buffer.write(pickle.dumps({name: serializer.dumps(animal) for name, animal in ANIMALS.items()}))
    else:
        {"roundtrip": roundtrip, "foreign": foreign}[sys.argv[1]]()
