"""The extra: what is there without it, its help, and what a shell completes."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from importlib import metadata

import pytest

from groupqueue.__main__ import main
from groupqueue.cli import app, extra
from groupqueue.cli.arguments import Parser
from tests.helpers import ROOT

STANDARD = ["demo", "serve", "stats", "ls", "doctor"]
WITHOUT = (
    "import sys; sys.modules[{missing!r}] = None\nfrom groupqueue.__main__ import main; sys.exit(main(sys.argv[1:]))"
)


def without(missing: str, *argv: str, **env: str) -> subprocess.CompletedProcess[str]:
    """The command line of an installation that lacks a package."""
    return subprocess.run(
        [sys.executable, "-c", WITHOUT.format(missing=missing), *argv],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, **env},
        timeout=40,
    )


# Without it


@pytest.mark.parametrize("missing", ["click", "rich"])
@pytest.mark.parametrize("command", ["put", "top", "bench"])
def test_a_command_that_needs_it_says_how_to_get_it_in_one_line(missing, command):
    found = without(missing, command, "jobs", "x")
    assert found.returncode == 2
    assert found.stdout == ""
    assert found.stderr == f"groupqueue {command}: needs click and rich: pip install 'groupqueue[cli]'\n"


def test_the_standard_commands_work(group, open_queue):
    open_queue(group).wait_for_leader(5)
    for argv in (["stats", group], ["ls"], ["doctor", group]):
        found = without("click", *argv)
        assert (found.returncode, found.stderr) == (0, "")
        assert group in found.stdout


def test_the_help_lists_all_and_says_which_need_it():
    helps = [without(missing, "--help").stdout for missing in ("click", "nothing")]
    assert helps[0] == helps[1]
    listed = re.findall(r"^    (\w+) ", helps[0], re.MULTILINE)
    assert listed == [*STANDARD, *extra.COMMANDS]
    assert "pip install 'groupqueue[cli]'" in " ".join(helps[0].split())


def test_the_extra_is_declared():
    requires = metadata.requires("groupqueue") or []
    named = {re.split(r"[<>=!; ]", line)[0] for line in requires if re.search(r"extra == .cli.", line)}
    assert named == set(extra.NEEDS)


# Help


@pytest.mark.parametrize("command", [*STANDARD, *extra.COMMANDS])
def test_help_has_examples_that_the_command_understands(command, capsys):
    try:
        status = main([command, "--help"])
    except SystemExit as ended:
        status = ended.code  # type: ignore[assignment]
    assert status == 0
    said = capsys.readouterr().out
    assert "exit status: 0 fine, 1 something is wrong" in " ".join(said.split())
    assert "--directory" in said
    below = said[said.lower().index("examples:") :].splitlines()[1:]
    examples = [line.strip() for line in below if line.startswith("  ") and "groupqueue" in line]
    assert examples
    for example in examples:
        understand(example)


def understand(example: str) -> None:
    """Parses every call of groupqueue in a line of shell, and runs none."""
    words = shlex.split(example.replace(";", " ; "), comments=True)
    while "groupqueue" in words:
        del words[: words.index("groupqueue") + 1]
        end = next((at for at, word in enumerate(words) if word in ("|", "||", "&&", ";", ">", "<")), len(words))
        command, *arguments = words[:end]
        if command in extra.COMMANDS:
            arguments = ["/dev/null" if word == "urls.txt" else word for word in arguments]
            found = app.App("groupqueue").get_command(None, command)  # type: ignore[arg-type]
            assert found is not None
            with found.make_context(command, arguments):
                pass
        else:
            standard = Parser().standard[command]
            standard.parse_args(["/tmp" if word == "~/src" else word for word in arguments])


# Completion


def completed(*words: str, **env: str) -> list[str]:
    """What bash is told when Tab is pressed at the end of these words."""
    found = subprocess.run(
        [sys.executable, "-m", "groupqueue"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={
            **os.environ,
            "_GROUPQUEUE_COMPLETE": "bash_complete",
            "COMP_WORDS": shlex.join(["groupqueue", *words]),
            "COMP_CWORD": str(len(words)),
            **env,
        },
        timeout=40,
    )
    assert found.stderr == ""
    return [line.partition(",")[2] for line in found.stdout.splitlines() if line]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_for_a_shell(shell):
    found = subprocess.run(
        [sys.executable, "-m", "groupqueue"], capture_output=True, text=True, cwd=ROOT, timeout=40,
        env={**os.environ, "_GROUPQUEUE_COMPLETE": f"{shell}_source"},
    )  # fmt: skip
    assert found.returncode == 0
    assert f"_GROUPQUEUE_COMPLETE={shell}_complete" in found.stdout


def test_commands_of_both_kinds_are_completed():
    assert completed("") == sorted([*STANDARD, *extra.COMMANDS])
    assert completed("re") == ["requeue"]
    assert completed("st") == ["stats"]


@pytest.mark.parametrize("command", ["stats", "doctor", "get", "top"])
def test_names_of_groups_are_completed(command, open_queue, tmp_path):
    for name in ("jobs", "journal", "other"):
        open_queue(name)
    assert completed(command, "jo") == ["jobs", "journal"]
    assert completed(command, "--directory", str(tmp_path), "jo") == []


def test_options_of_both_kinds_are_completed():
    assert "--watch" in completed("stats", "jobs", "--w")
    assert "--timeout" in completed("get", "jobs", "--t")


def test_completing_without_the_extra_is_one_line():
    found = without("click", _GROUPQUEUE_COMPLETE="bash_source")
    assert found.returncode == 2
    assert found.stderr == "groupqueue: needs click and rich: pip install 'groupqueue[cli]'\n"
