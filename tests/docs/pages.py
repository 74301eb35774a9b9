"""
The pages of the documentation as something that can be run: README.md and docs/*.md, cut at their headings.

What a block is, its fence says:

    python                    a program of its own; each print has a comment that says what is printed
    python title="name.py"    a file, which a block of the same section runs or imports
    diff                      what to change in the file before it, which then prints what it printed before
    console                   a session in a shell: what stands behind "$ " is typed, the rest is what is answered
    console title="..."       one of several terminals, all open at the same time
    sh                        commands whose output is of no interest
    ini, text                 no code of ours: a unit for systemd, what a screen showed
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from tests.helpers import ROOT

FENCE = re.compile(r"^```(?P<kind>\w+)(?: title=\"(?P<title>[^\"]+)\")?\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#{1,3} (.+)$", re.MULTILINE)
KINDS = {"python", "console", "sh", "diff", "ini", "text"}


class Block(NamedTuple):
    kind: str
    title: str
    text: str


class Section(NamedTuple):
    page: str
    heading: str
    blocks: tuple[Block, ...]

    def files(self) -> dict[str, str]:
        return {block.title: block.text for block in self.blocks if block.kind == "python" and block.title}

    def of(self, kind: str, *, titled: bool = False) -> list[str]:
        return [block.text for block in self.blocks if block.kind == kind and bool(block.title) == titled]


def paths() -> list[Path]:
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def sections(path: Path) -> list[Section]:
    """Those that have blocks."""
    text = path.read_text(encoding="utf-8")
    blank = FENCE.sub(lambda fence: re.sub(r"[^\n]", " ", fence[0]), text)
    starts = [(0, path.stem), *((found.start(), found[1]) for found in HEADING.finditer(blank))]
    ends = [start for start, _ in starts[1:]] + [len(text)]
    found = []
    for (start, heading), end in zip(starts, ends):
        blocks = tuple(
            Block(fence["kind"], fence["title"] or "", fence["text"]) for fence in FENCE.finditer(text, start, end)
        )
        if blocks:
            found.append(Section(path.name, heading, blocks))
    return found


def fences(path: Path) -> int:
    """How many fences are opened and closed, whether `FENCE` understands them or not."""
    return sum(line.lstrip().startswith("```") for line in path.read_text(encoding="utf-8").splitlines())
