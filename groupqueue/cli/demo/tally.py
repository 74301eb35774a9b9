"""
What came out, compared with what went in.

A `put` item is held by its worker until the result is flushed, and then done. If the worker is killed between the two,
the item goes to another as the next attempt, and a second result arrives: at least once is what a consumer gets that
keeps its results elsewhere. So a second result is *redelivered* if it is of a later attempt and the worker of the
earlier one was killed; any other is *duplicated*. An answer to a `put_wait` has no such excuse: one to each question.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


class Result(NamedTuple):
    """What a worker sends back: which file, its digest, which delivery that was, and who says so."""

    number: int
    digest: str
    attempt: int
    pid: int


@dataclass
class Tally:
    """Numbers of files: `lost` have no result, `duplicated` one too many, `wrong` another digest."""

    lost: list[int] = field(default_factory=list)
    duplicated: list[int] = field(default_factory=list)
    wrong: list[int] = field(default_factory=list)
    redelivered: list[int] = field(default_factory=list)

    @property
    def is_right(self) -> bool:
        return not (self.lost or self.duplicated or self.wrong)


def tally(
    expected: Sequence[str],
    asked: Collection[int],
    results: Iterable[Result],
    answers: Iterable[tuple[int, str]],
    killed: Collection[int],
) -> Tally:
    """`expected`: the digests, by the file's number; `asked`: the numbers sent by put_wait; `killed`: pids."""
    found = Tally()
    results_of: dict[int, list[Result]] = defaultdict(list)
    for result in results:
        results_of[result.number].append(result)
    answered: dict[int, list[str]] = defaultdict(list)
    for number, digest in answers:
        answered[number].append(digest)
    for number, digest in enumerate(expected):
        if number in asked:
            said = answered[number]
            if len(said) > 1 or number in results_of:
                found.duplicated.append(number)
        else:
            said = [result.digest for result in results_of[number]]
            if number in answered or not _is_explained(results_of[number], killed):
                found.duplicated.append(number)
            elif len(said) > 1:
                found.redelivered.append(number)
        if not said:
            found.lost.append(number)
        if any(other != digest for other in said):
            found.wrong.append(number)
    return found


def _is_explained(results: list[Result], killed: Collection[int]) -> bool:
    """Each attempt once, and each but the last by a worker that was killed."""
    attempts = Counter(result.attempt for result in results)
    if any(count > 1 for count in attempts.values()):
        return False
    earlier = sorted(results, key=lambda result: result.attempt)[:-1]
    return all(result.pid in killed for result in earlier)
