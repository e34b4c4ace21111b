"""Answers and scores as jobs that ask for one evaluation after another, so that many go together.

A job says which tokens are to be evaluated where; a seat holds one job's text.
Steps of a single token wait for each other and go through the model together, which reads its
weights once for all of them; longer ones are evaluated at once, each by itself.
"""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from seemant.models.backends.likelihood import NextToken, token_nats
from seemant.models.backends.llama_blocks import BLOCK
from seemant.models.backends.llama_seats import LlamaSeats, Rows
from seemant.models.backends.loop import Logits, Writer
from seemant.models.backends.protocol import Done, Generation, Likelihood
from seemant.models.backends.split import Split

ALONE = 5  # tokens: 2 to 5 rows of a Q8_0 head take longer together (Gemma: 46 ms, not 2 x 12)

Step = tuple[Sequence[int], int]
"""Tokens to evaluate, and the position of the first; what stood from there on is dropped."""
Steps = Generator[Step, Rows, Done]


@dataclass(frozen=True, slots=True)
class Job:
    """A prompt to read, the steps that follow its logits (V,), and the tokens that all may fill."""

    prompt: list[int]
    start: Callable[[Logits], Steps]
    room: int


def writing_job(prompt: list[int], given: list[int], writer: Writer, most: int) -> Job:
    """Return the job of an answer of at most so many tokens after those given.

    writer: from `loop.writing`.
    """
    start = partial(_written, writer, len(prompt), given)
    return Job(prompt, start, len(prompt) + len(given) + most)


def scoring_job(prompt: list[int], pairs: Sequence[Split]) -> Job:
    """Return the job of scoring continuations of one prompt, each by itself."""
    most = max((len(pair.continuation) for pair in pairs), default=0)
    return Job(prompt, partial(_scored, pairs, len(prompt)), len(prompt) + most)


def in_lockstep(seats: LlamaSeats, jobs: Sequence[Job]) -> Iterator[tuple[int, Done]]:
    """Yield (which job, its result) as jobs are done."""
    waiting = dict(enumerate(jobs))
    at_work: dict[int, tuple[int, Steps, Step]] = {}  # seat: job, its steps, the one to take next
    done: list[tuple[int, Done]] = []

    def go_on(seat: int, index: int, steps: Steps, rows: Rows | None) -> None:
        try:
            at_work[seat] = index, steps, next(steps) if rows is None else steps.send(rows)
        except StopIteration as end:
            at_work.pop(seat, None)
            done.append((index, end.value))

    while waiting or at_work:
        for seat in range(seats.n_seats):
            if waiting and seat not in at_work:
                index = _choice(seats, seat, waiting)
                job = waiting.pop(index)
                go_on(seat, index, job.start(seats.read(seat, job.prompt)), None)
            while seat in at_work and len(at_work[seat][2][0]) > 1:
                index, steps, step = at_work[seat]
                go_on(seat, index, steps, seats.alone(seat, *step))
        if at_work:
            held = list(at_work.items())
            rows = seats.together({s: (step[0][0], step[1]) for s, (_, _, step) in held})
            for row, (seat, (index, steps, _)) in zip(rows, held, strict=True):
                go_on(seat, index, steps, row[None])  # evaluates nothing: rows are views
        yield from done
        done.clear()


def _choice(seats: LlamaSeats, seat: int, waiting: Mapping[int, Job]) -> int:
    """Return the first job whose prompt the seat has read, else the first that no seat has."""
    own = seats.has_read(seat)
    others = [seats.has_read(each) for each in range(seats.n_seats) if each != seat]
    for index, job in waiting.items():
        if job.prompt == own:
            return index
    for index, job in waiting.items():
        if job.prompt not in others:
            return index
    return next(iter(waiting))


def _written(writer: Writer, at: int, given: Sequence[int], logits: Logits) -> Steps:
    next(writer)
    for token in given:
        logits = (yield [token], at)[0]
        at += 1
    while True:
        try:
            token, _ = writer.send(logits)
        except StopIteration as end:
            whole: Generation = end.value
            return whole
        logits = (yield [token], at)[0]
        at += 1


def _scored(pairs: Sequence[Split], at: int, logits: Logits) -> Steps:
    first = NextToken(logits)
    found: list[Likelihood] = []
    for pair in pairs:
        tail = pair.continuation
        nats = first.nats(tail[0])
        for start, stop in _cuts(len(tail) - 1):
            rows = yield tail[start:stop], at + start
            nats += token_nats(rows, tail[start + 1 : stop + 1])
        found.append(
            Likelihood(nats=nats, n_tokens=len(tail), n_bytes=pair.n_bytes, merged=pair.merged)
        )
    return found


def _cuts(n: int) -> Iterator[tuple[int, int]]:
    """Yield from where to where n tokens of a continuation are evaluated at once."""
    for start in range(0, n, BLOCK):
        size = min(BLOCK, n - start)
        if size > ALONE:
            yield start, start + size
        else:
            yield from ((at, at + 1) for at in range(start, start + size))
