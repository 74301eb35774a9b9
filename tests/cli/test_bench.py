"""`bench` compares, and leaves nothing."""

from __future__ import annotations

import json
import os
import re

from groupqueue.__main__ import main
from tests.helpers import within


@within(120)
def test_it_prints_a_ratio_and_removes_what_it_made(directory, capsys):
    assert main(["bench", "--items", "200", "--directory", directory]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["a", "second", "groupqueue", "multiprocessing", "ratio"]
    assert re.fullmatch(r"put and get +[\d,]+ +[\d,]+ +\d+\.\d\dx", lines[1])
    assert re.fullmatch(r"put_wait +[\d,]+ +[\d,]+ +\d+\.\d\dx", lines[2])
    assert os.listdir(directory) == []


@within(120)
def test_json(directory, capsys):
    assert main(["bench", "--items", "100", "--directory", directory, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) == {"put and get", "put_wait"}
    assert all(one["ratio"] == one["ours"] / one["theirs"] > 0 for one in found.values())
