"""What README.md and docs/ show is so: every block is run, in real processes, each section in a folder of its own."""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs import pages
from tests.docs.pages import Block, Section
from tests.helpers import ROOT, Script, eventually, run_script, within

ELSEWHERE = {
    "logging.md": "tests/examples/test_recipes.py",
    "recipes.md": "tests/examples/test_recipes.py",
    "testing.md": "tests/plugin/test_fixture.py",
}
"""Pages whose blocks have tests of their own."""

NOT_OURS = ("docker", "gunicorn", "mail", "pip")
"""Programs that a page calls and that are nobody's business here: only that the shell understands the line."""

SECTIONS = [
    pytest.param(section, id=f"{path.stem}: {section.heading}".replace("`", ""))
    for path in pages.paths()
    if path.name not in ELSEWHERE
    for section in pages.sections(path)
    if {block.kind for block in section.blocks} - {"text", "ini"}
]
LIMIT = 60.0


@pytest.fixture
def programs(tmp_path_factory) -> str:
    """A folder with `python` and `groupqueue`: those under test."""
    folder = tmp_path_factory.mktemp("bin")
    ours = {"python": f'exec "{sys.executable}" "$@"', "groupqueue": f'exec "{sys.executable}" -m groupqueue "$@"'}
    for name, line in {**ours, **dict.fromkeys(NOT_OURS, ":")}.items():
        (folder / name).write_text(f"#!/bin/sh\n{line}\n")
        (folder / name).chmod(0o755)
    return str(folder)


@pytest.fixture
def folder(tmp_path, monkeypatch, programs) -> Path:
    """Where a section's files are, and its programs run."""
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONUNBUFFERED", "1")
    return tmp_path


@within(150)
@pytest.mark.parametrize("section", SECTIONS)
def test_every_block_of_a_section_is_run(section: Section, folder: Path):
    files = section.files()
    for name, text in files.items():
        (folder / name).write_text(text)
    for name in files:
        module = re.compile(rf"\bpython {re.escape(name)}\b|\b(from|import) {re.escape(Path(name).stem)}\b")
        assert any(module.search(block.text) for block in section.blocks), f"nothing runs {name}"
    for text in section.of("python"):
        prints_what_its_comments_say(text, folder)
    for text in section.of("sh"):
        succeeds(text, folder)
    for text in section.of("console"):
        assert shell(script_of(text), folder) == text
    for text in section.of("diff"):
        (name,) = (name for name in files if diff_applies(text, files[name]))
        prints_the_same(files[name], text, folder)
    terminals([block for block in section.blocks if block.kind == "console" and block.title], folder)


def prints_what_its_comments_say(text: str, folder: Path) -> None:
    prints = [line for line in text.splitlines() if line.lstrip().startswith("print(")]
    said = [line.rpartition("  # ")[2].strip() for line in prints]
    assert all("  # " in line for line in prints), "a print without a comment that says what is printed"
    source = folder / "block.py"
    source.write_text(text)
    script = run_script(source, cwd=folder)
    assert (script.wait(LIMIT), script.stderr) == (0, "")
    eventually(lambda: len(script.lines) >= len(said), what=f"{said}")
    assert script.lines == said


def script_of(session: str) -> str:
    """A shell's script that shows each command before it runs it, as a terminal does."""
    commands = re.findall(r"^\$ (.*)$", session, re.MULTILINE)
    return "".join(f"printf '%s\\n' {shlex.quote('$ ' + command)}; {command}\n" for command in commands)


def shell(script: str, folder: Path) -> str:
    done = subprocess.run(
        ["/bin/bash", "-c", script],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    # A shell tells of a child that was killed.
    assert re.sub(r"^.* Killed .*\n", "", done.stderr, flags=re.MULTILINE) == ""
    return done.stdout


def succeeds(text: str, folder: Path) -> None:
    if text.startswith("python3 -m venv "):
        # To install takes a minute and a network: .ci/run does it, with this very line.
        assert text.strip() in (ROOT / ".ci" / "run").read_text(encoding="utf-8") or text in README_BLOCKS, text
        return
    shell(f"set -e\ngroupqueue put jobs 'what the page talks about'\n{text}", folder)


README_BLOCKS = [block.text for section in pages.sections(ROOT / "README.md") for block in section.blocks]


def diff_applies(diff: str, source: str) -> bool:
    return all(line[1:].strip() in source for line in diff.splitlines() if line.startswith("-"))


def prints_the_same(source: str, diff: str, folder: Path) -> None:
    """Before the change and after it."""
    (removed,) = (line[1:].strip() for line in diff.splitlines() if line.startswith("-"))
    added = [line[1:].strip() for line in diff.splitlines() if line.startswith("+")]
    assert source.count(removed) == 1
    found = []
    for text in (source, source.replace(removed, "\n".join(added))):
        path = folder / f"version{len(found)}.py"
        path.write_text(text)
        script = run_script(path, cwd=folder)
        assert (script.wait(LIMIT), script.stderr) == (0, "")
        found.append(script.lines)
    assert found[0] == found[1] != []


def terminals(sessions: list[Block], folder: Path) -> None:
    """Opens one after the other, each when the one before has answered, and "Then" when all have shown everything."""
    opened: list[tuple[Script, list[str]]] = []
    for title, text in ((block.title, block.text) for block in sessions):
        if title.startswith("Then"):
            shows_everything(opened)
        script = Script(["/bin/bash", "-c", script_of(text)], label=title, cwd=folder)
        opened.append((script, text.splitlines()))
        shows(script, 2)
    shows_everything(opened)


def shows_everything(opened: list[tuple[Script, list[str]]]) -> None:
    for script, expected in opened:
        shows(script, len(expected))
        for line, text in zip(script.lines, expected):
            assert re.fullmatch(like(text), line), f"{script!r} shows {script.lines}, not {expected}"


def shows(script: Script, count: int) -> None:
    eventually(lambda: len(script.lines) >= count, LIMIT, f"{count} lines of {script!r}")


def like(text: str) -> str:
    """Process ids, times and milliseconds are of one run."""
    pattern = re.escape(text)
    pattern = re.sub(r"\d\d:\d\d:\d\d", r"\\d\\d:\\d\\d:\\d\\d", pattern)
    return re.sub(r"(?<!\d)\d{4,}(?!\d)", r"\\d+", pattern)


@pytest.mark.parametrize("path", pages.paths(), ids=lambda path: path.name)
def test_every_fence_is_one_that_is_understood(path: Path):
    blocks = [block for section in pages.sections(path) for block in section.blocks]
    if path.name not in ELSEWHERE:
        assert {block.kind for block in blocks} <= pages.KINDS
        assert 2 * len(blocks) == pages.fences(path)


def test_pages_that_are_left_to_others_are_tested_there():
    for page, test in ELSEWHERE.items():
        if (ROOT / "docs" / page).exists():
            assert Path(page).stem in (ROOT / test).read_text(encoding="utf-8")


@pytest.mark.parametrize("path", pages.paths(), ids=lambda path: path.name)
def test_every_test_that_a_page_names_exists(path: Path):
    for file, test in re.findall(r"`(test_\w+\.py)::(\w+)`", path.read_text(encoding="utf-8")):
        found = [
            node.name
            for source in (ROOT / "tests").rglob(file)
            for node in ast.walk(ast.parse(source.read_text(encoding="utf-8")))
            if isinstance(node, ast.FunctionDef)
        ]
        assert test in found, f"{file}::{test}"


def test_every_page_is_in_the_navigation():
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("nav:")[2].partition("plugins:")[0]
    named = set(re.findall(r": (\S+\.md)$", navigation, re.MULTILINE))
    assert named == {path.name for path in pages.paths() if path.name != "README.md"} | {"measurements/table.md"}
