"""The corpus, and some seeded mutations of it: what the fuzzers have found stays found."""

from __future__ import annotations

import random

import pytest

from tests.fuzz.mutations import mutate
from tests.fuzz.targets import CORPUS, NAMES, load

MUTATIONS = {"wire": 800, "journal": 300}
PARTS = 2


@pytest.mark.parametrize("name", NAMES)
def test_nothing_in_the_corpus_does_harm(name: str) -> None:
    target = load(name)
    for data in target.corpus().values():
        target.check(data)


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("name", NAMES)
def test_what_is_like_the_corpus_does_no_harm(name: str, part: int) -> None:
    target = load(name)
    corpus = list(target.corpus().values())
    chosen = random.Random(part)
    for _ in range(MUTATIONS[name] // PARTS):
        data = mutate(chosen.choice(corpus), corpus, chosen)[:4096]
        try:
            target.check(data)
        except Exception as error:
            raise AssertionError(f"{name}: {data.hex()} raises {error!r}") from error


def test_the_corpus_is_small() -> None:
    files = [path for path in CORPUS.rglob("*") if path.is_file()]
    assert files
    assert all(path.stat().st_size <= 4096 for path in files)
    assert sum(path.stat().st_size for path in files) < 1 << 18
