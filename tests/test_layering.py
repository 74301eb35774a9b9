"""A reader predicts a module's imports from its folder; this is what keeps it so."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "groupqueue"

# What core may not touch: everything by which a process reaches the world outside it, or waits.
WORLD = {
    "asyncio",
    "atexit",
    "concurrent",
    "ctypes",
    "dill",
    "fcntl",
    "io",
    "logging",
    "mmap",
    "multiprocessing",
    "os",
    "pathlib",
    "pickle",
    "portalocker",
    "queue",
    "random",
    "select",
    "selectors",
    "shutil",
    "signal",
    "socket",
    "subprocess",
    "tempfile",
    "threading",
    "time",
    "weakref",
    "_thread",
}

# The extra `cli`: for some commands only.
EXTRA = {"click", "rich"}

# What the face does not know: how the member reaches the group.
SYSTEM_CALLS = {"fcntl", "mmap", "portalocker", "select", "selectors", "socket"}


def modules(folder: str = "") -> list[Path]:
    return sorted((PACKAGE / folder).rglob("*.py"))


def imports_of(path: Path) -> set[str]:
    """The absolute names of what a module imports, anywhere in it, except for the type checker only."""
    package = ["groupqueue", *path.relative_to(PACKAGE).parts[:-1]]
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for child in node.orelse:
                visit(child)
            return
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            name = ".".join([*base, *([node.module] if node.module else [])])
            found.add(name)
            found.update(f"{name}.{alias.name}" for alias in node.names)
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(path.read_text(encoding="utf-8")))
    return found


def names(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(PACKAGE)) for path in paths]


def top(name: str) -> str:
    return name.partition(".")[0]


def below(name: str, *layers: str) -> bool:
    return any(name == layer or name.startswith(layer + ".") for layer in layers)


@pytest.mark.parametrize("path", modules("core"), ids=names(modules("core")))
def test_core_decides_and_touches_nothing(path: Path) -> None:
    imports = imports_of(path)
    assert {name for name in imports if top(name) in WORLD} == set()
    ours = {name for name in imports if top(name) == "groupqueue" and name != "groupqueue"}
    assert {name for name in ours if not below(name, "groupqueue.core", "groupqueue.exceptions")} == set()
    assert {name for name in imports if top(name) not in sys.stdlib_module_names} <= ours | {"groupqueue"}


@pytest.mark.parametrize("path", modules("core"), ids=names(modules("core")))
def test_core_opens_and_prints_nothing(path: Path) -> None:
    calls = {
        node.func.id
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert calls & {"open", "print", "input", "exec", "eval", "__import__"} == set()


@pytest.mark.parametrize("path", modules("core"), ids=names(modules("core")))
def test_the_parts_of_core_leave_each_others_insides_alone(path: Path) -> None:
    reached = {
        ast.unparse(node)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
        and node.attr.startswith("_")
        and not node.attr.endswith("__")
        and ast.unparse(node.value) != "self"
    }
    assert reached <= {"kind._fields"}, "the public attribute of a named tuple is the only exception"


def test_the_parts_of_core_build_on_each_other_in_one_direction() -> None:
    modules_of = {f"groupqueue.core.{path.stem}": path for path in modules("core")}
    needs = {name: imports_of(path) & set(modules_of) for name, path in modules_of.items()}
    while free := {name for name, needed in needs.items() if not needed}:
        needs = {name: needed - free for name, needed in needs.items() if name not in free}
    assert needs == {}, "these import each other in a circle, or build on such a circle"


@pytest.mark.parametrize("path", modules("system"), ids=names(modules("system")))
def test_system_does_not_know_who_uses_it(path: Path) -> None:
    imports = imports_of(path)
    above = {
        f"groupqueue.{name}"
        for name in (
            "aio",
            "face",
            "follower",
            "leader",
            "member",
            "queues",
            "serializers",
            "standing",
            "waits",
            "__main__",
        )
    }
    assert {name for name in imports if below(name, *above)} == set()
    assert {name for name in imports if top(name) in {"dill", "pickle"}} == set()


FACES = [PACKAGE / "queues.py", *modules("face"), *modules("aio")]


@pytest.mark.parametrize("path", FACES, ids=names(FACES))
def test_the_faces_know_no_sockets(path: Path) -> None:
    imports = imports_of(path)
    assert {name for name in imports if top(name) in SYSTEM_CALLS} == set()


def test_only_one_folder_knows_event_loops() -> None:
    others = [path for path in modules() if PACKAGE / "aio" not in path.parents]
    told = {
        name for path in others for name in imports_of(path) if top(name) == "asyncio" or below(name, "groupqueue.aio")
    }
    assert told == set()


def test_everything_is_of_the_standard_library_but_two_and_the_extra_s() -> None:
    for path in modules():
        others = {top(name) for name in imports_of(path)} - set(sys.stdlib_module_names)
        allowed = {"groupqueue", "dill", "portalocker"}
        if path.parent == PACKAGE / "cli":
            allowed |= EXTRA
        if path == PACKAGE / "pytest_plugin.py":
            allowed |= {"pytest"}
        assert others <= allowed, path


STANDARD = ("arguments", "look", "serve", "doctor.report", "demo.conductor")


def test_the_commands_without_the_extra_do_not_import_it() -> None:
    code = f"""
import importlib, sys
for name in ("__main__", *(f"cli.{{name}}" for name in {STANDARD!r})):
    importlib.import_module(f"groupqueue.{{name}}")
sys.exit(bool({EXTRA!r} & set(sys.modules)))
"""
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_each_module_opens_with_its_law() -> None:
    silent = [
        str(path.relative_to(PACKAGE))
        for path in modules()
        if path.stat().st_size and not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert silent == []


@pytest.mark.parametrize("module", ["dill", "asyncio", "multiprocessing", "logging.handlers", "pytest"])
def test_importing_the_package_does_not_import(module: str) -> None:
    code = f"import groupqueue, sys; sys.exit({module!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_every_public_name_is_there() -> None:
    import groupqueue

    promised = {
        "GroupQueue",
        "JoinableGroupQueue",
        "Message",
        "Stats",
        "get_context",
        "Empty",
        "Full",
        "ShutDown",
        "GroupQueueError",
        "GroupMismatchError",
        "GroupBusyError",
        "PicklingError",
        "DecodeError",
        "ReplyTimeout",
        "ConsumerLost",
        "RemoteError",
    }
    assert promised <= set(groupqueue.__all__)
    for name in groupqueue.__all__:
        assert getattr(groupqueue, name) is not None
