"""What docs/logging.md, docs/recipes.md and docs/testing.md show is so: each block runs alone, the tests exist."""

from __future__ import annotations

import ast
import importlib.util
import re

import pytest

from tests.helpers import ROOT, run_script

PAGES = {name: (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8") for name in ("logging", "recipes")}
BLOCKS = [
    pytest.param(block, id=f"{name}-{number}")
    for name, page in PAGES.items()
    for number, block in enumerate(re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL))
]
OTHERS = {"loguru", "rich", "tqdm"}


@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_prints_what_its_comments_say(block, tmp_path):
    imported = set(re.findall(r"^from (\w+)", block, re.MULTILINE))
    missing = [name for name in imported & OTHERS if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"{missing[0]} is not installed")
    said = [line.rpartition("  # ")[2].strip() for line in block.splitlines() if line.lstrip().startswith("print(")]
    script = run_script(block.replace("print(", "say("), cwd=tmp_path)
    assert (script.wait(), "Traceback" in script.stderr) == (0, False), script.stderr
    assert [line for line in script.lines if line in said] == said


def test_every_test_that_is_named_exists():
    named = re.findall(r"`(test_\w+\.py)::(\w+)`", PAGES["logging"])
    assert len(named) >= 2
    for file, test in named:
        tree = ast.parse((ROOT / "tests" / "compat" / file).read_text(encoding="utf-8"))
        assert test in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}, f"{file}::{test}"
