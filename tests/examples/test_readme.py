"""What README.md and docs/ say of the code is so: commands, tests, messages, records. Their blocks: tests/docs."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from groupqueue.core import messages as m
from groupqueue.core import wire
from groupqueue.core.records import Kind
from tests.helpers import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def rows(name: str) -> dict[int, list[str]]:
    """The rows of a page's tables that begin with a number, by it."""
    text = (ROOT / "docs" / name).read_text(encoding="utf-8")
    found = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    return {int(cells[0]): cells[1:] for cells in found if cells[0].isdigit()}


def test_the_two_commands_are_one_line_each_and_ci_runs_the_second():
    commands = [block.strip() for block in blocks("sh")]
    assert len(commands) == 2
    assert all("\n" not in command for command in commands)
    assert commands[0].endswith("groupqueue demo")
    assert commands[1] in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_every_test_that_is_named_exists():
    named = re.findall(r"`(test_\w+\.py)::(\w+)`", README)
    assert len(named) > 15
    for file, test in named:
        functions = {
            node.name
            for node in ast.walk(ast.parse((ROOT / "tests" / "scenarios" / file).read_text(encoding="utf-8")))
            if isinstance(node, ast.FunctionDef)
        }
        assert test in functions, f"{file}::{test}"


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)]+)\)", README))))
def test_every_link_leads_somewhere(target):
    assert (ROOT / target).exists()


def test_the_protocol_page_lists_every_message():
    found = rows("protocol.md")
    assert sorted(found) == list(range(len(wire.KINDS)))
    for number, kind in enumerate(wire.KINDS):
        name, words, body = found[number]
        assert name == kind.__name__
        assert bool(body) == (kind is m.Grant or "body" in kind._fields), name
        fields = [field for field in kind._fields if field not in ("body", "entries")]
        assert words.partition(", and to each")[0] == ", ".join(fields), name


def test_the_journal_page_lists_every_record():
    source = (ROOT / "groupqueue" / "core" / "records.py").read_text(encoding="utf-8")
    found = rows("journal-format.md")
    assert sorted(found) == sorted(Kind)
    for kind in Kind:
        name, words, body = found[kind]
        assert name == kind.name
        comment = re.search(rf"^    {kind.name} = \d+  # (.*)$", source, re.MULTILINE)
        assert comment is not None
        assert bool(body) == ("|" in comment.group(1)), name
        told = comment.group(1).partition("|")[0].strip()
        assert words.partition(",")[0].replace("to each run: ", "") in told or not told, name


def test_every_module_that_the_readme_names_is_there():
    table = README[README.index("## Reading the source") :]
    for path in re.findall(r"`([\w/.]+(?:\.py|/))`", table):
        folders = [ROOT / "groupqueue", ROOT / "groupqueue" / "core", ROOT]
        assert any(Path(folder, path).exists() for folder in folders), path
