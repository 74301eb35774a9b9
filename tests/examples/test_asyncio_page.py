"""What docs/asyncio.md shows and promises is so: each block runs alone, and the tests it names exist."""

from __future__ import annotations

import ast
import re

import pytest

from tests.helpers import ROOT, run_script

PAGE = (ROOT / "docs" / "asyncio.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_a_block_prints_what_its_comments_say(block):
    said = [line.rpartition("  # ")[2].strip() for line in block.splitlines() if line.lstrip().startswith("print(")]
    assert said
    script = run_script(block.replace("print(", "say("))
    assert script.wait() == 0
    for line in said:
        script.expect(line.split()[0])
    assert script.lines == said


def test_every_test_that_is_named_exists():
    named = re.findall(r"`(test_\w+\.py)::(\w+)`", PAGE)
    assert len(named) > 5
    for file, test in named:
        tree = ast.parse((ROOT / "tests" / "aio" / file).read_text(encoding="utf-8"))
        assert test in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}, f"{file}::{test}"
