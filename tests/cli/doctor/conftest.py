"""What the doctor says, as the tests read it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from groupqueue.__main__ import main

Diagnosis = dict[str, Any]


@pytest.fixture
def diagnose(group: str, capsys: pytest.CaptureFixture[str]) -> Callable[..., Diagnosis]:
    """Runs `groupqueue doctor --json` on a group; adds the exit status, and the findings by their names."""

    def diagnose(*argv: str, name: str = group) -> Diagnosis:
        capsys.readouterr()
        status = main(["doctor", name, "--json", *argv])
        found = json.loads(capsys.readouterr().out)
        found["status"] = status
        found["named"] = {finding["name"]: finding for finding in found["findings"]}
        return found

    return diagnose
