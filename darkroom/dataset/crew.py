"""Photographs of a data set shared out among processes: results in order, whoever made them."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeAlias, TypeVar

from darkroom.errors import BackendError, DarkroomError, DarkroomWarning
from darkroom.pairs.find import Pair
from darkroom.pipeline.workers import Crew, Lost

R = TypeVar("R")
Made: TypeAlias = Callable[[], Callable[[Pair], R]]
Advance: TypeAlias = Callable[[str, int, int], None]


@dataclass(slots=True)
class Answer(Generic[R]):
    """What became of a pair: its result or why there is none, and what there is to warn of."""

    result: R | None = None
    error: DarkroomError | None = None
    warned: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Setup(Generic[R]):
    """A setup whose work answers instead of raising or warning."""

    made: Made[R]

    def __call__(self) -> Callable[[Pair], Answer[R]]:
        work = self.made()

        def answer(pair: Pair) -> Answer[R]:
            found: Answer[R] = Answer()
            with warnings.catch_warnings(record=True) as heard:
                warnings.simplefilter("always", DarkroomWarning)
                try:
                    found.result = work(pair)
                except DarkroomError as error:
                    found.error = error
            for each in heard:
                if issubclass(each.category, DarkroomWarning):
                    found.warned.append(str(each.message))
            return found

        return answer


def in_order(
    crew: Crew, made: Made[R], pairs: Sequence[Pair], advance: Advance
) -> Iterator[tuple[R | None, DarkroomError | None]]:
    """(result, error) of each pair in their order, one of them None.

    Args:
        crew: who works.
        made: a setup as for `Crew.spread`.
        pairs: what is worked on.
        advance: told of each pair that another process has done.

    Raises:
        DarkroomError: as for `Crew.spread`.
    """
    if not pairs:
        return
    done: dict[int, Answer[R]] = {}
    next_one = 0
    lost: Lost[Pair, Answer[R]] = _lost
    for number, answer in crew.spread(_Setup(made), pairs, lost):
        done[number] = answer
        if not crew.alone:
            advance(pairs[number].name, 1, 1)
        while next_one in done:
            told = done.pop(next_one)
            for text in told.warned:
                warnings.warn(text, DarkroomWarning, stacklevel=2)
            yield told.result, told.error
            next_one += 1


def _lost(pair: Pair, why: str, hint: str) -> Answer[Any]:
    return Answer(error=BackendError(f"{pair.scan}: the worker that had it {why}", hint=hint))
