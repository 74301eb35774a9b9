"""
One process of atheris on one target: `python -m tests.fuzz.engine TARGET SECONDS CORPUS`.

An input that raises is written down and the search goes on; one that takes 20 s or 1 GiB ends the process, and the
engine leaves it beside the corpus for the runner.
"""

from __future__ import annotations

import contextlib
import io
import sys
import traceback

import atheris

with atheris.instrument_imports(include=["groupqueue"]), contextlib.redirect_stderr(io.StringIO()):
    from tests.fuzz import journal, wire  # noqa: F401  # to be instrumented

from tests.fuzz.targets import Findings, load

MAX_LENGTH = 4096


def main(name: str, seconds: int, corpus: str) -> None:
    target = load(name)
    findings = Findings(target)

    def run(data: bytes) -> None:
        try:
            target.check(data)
        except Exception as error:
            path = findings.note(data, error)
            if path is not None:
                print(f"finding {path.name}\n{traceback.format_exc()}", flush=True)

    options = [
        f"-max_total_time={seconds}", f"-max_len={MAX_LENGTH}", "-timeout=20", "-rss_limit_mb=1024",
        f"-artifact_prefix={corpus}/../stopped-", "-print_final_stats=1", "-verbosity=1",
    ]  # fmt: skip
    atheris.Setup([sys.argv[0], corpus, *options], run)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
