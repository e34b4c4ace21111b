"""One thread that owns the model and answers one request at a time, in order of arrival.

llama.cpp keeps a pool of compute threads for each thread that calls it, and evaluating several
requests in one batch would change their answers; so all calls come from this one.
"""

import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, Full, Queue, SimpleQueue

from seemant.models.backends.protocol import Backend, Generation, Sampling
from seemant.serve.requests import Refusal


@dataclass(slots=True)
class _Job:
    prompt: str
    sampling_of: Callable[[int], Sampling]
    stop: Sequence[str]
    out: "SimpleQueue[str | Generation | BaseException]" = field(default_factory=SimpleQueue)
    cancelled: threading.Event = field(default_factory=threading.Event)


class Engine:
    """The model's own thread. max_waiting: requests in the queue before more are refused."""

    def __init__(self, backend: Backend, *, context: int, max_waiting: int) -> None:
        self._backend = backend
        self._context = context
        self._jobs: Queue[_Job | None] = Queue(maxsize=max_waiting)
        self._running: _Job | None = None
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._work, name="seemant-engine", daemon=True)
        self._thread.start()

    def stream(
        self, prompt: str, sampling_of: Callable[[int], Sampling], stop: Sequence[str]
    ) -> Generator[str, None, Generation]:
        """Yield an answer in pieces; leaving the generator early frees the model.

        sampling_of: gives the settings for as many new tokens as there is room for.

        Raises:
            Refusal: 503, too many requests wait; 400, the prompt fills the context.
            Whatever the backend raises.
        """
        job = _Job(prompt, sampling_of, stop)
        if self._closed.is_set():
            raise Refusal(503, "the server is closing", "server_error")
        try:
            self._jobs.put_nowait(job)
        except Full as error:
            raise Refusal(503, "too many requests wait; try again", "server_error") from error
        try:
            while True:
                piece = job.out.get()
                if isinstance(piece, str):
                    yield piece
                elif isinstance(piece, Generation):
                    return piece
                else:
                    raise piece
        finally:
            job.cancelled.set()

    def close(self) -> None:
        """End the running answer after its current token, refuse the rest, and wait for that."""
        self._closed.set()
        running = self._running
        if running is not None:
            running.cancelled.set()
        while True:  # make room for the end mark; whoever waits is refused
            try:
                self._jobs.put_nowait(None)
                break
            except Full:
                with suppress(Empty):  # the model's thread took it just now
                    self._refuse(self._jobs.get_nowait())
        self._thread.join()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            if self._closed.is_set():
                self._refuse(job)
                continue
            self._running = job
            try:
                self._answer(job)
            except BaseException as error:
                job.out.put(error)
            self._running = None

    def _answer(self, job: _Job) -> None:
        if job.cancelled.is_set():
            return
        room = self._context - len(self._backend.encode(job.prompt))
        if room < 1:
            raise Refusal(400, f"the conversation fills the context of {self._context} tokens")
        pieces = self._backend.generate_stream(job.prompt, job.sampling_of(room), job.stop)
        while not job.cancelled.is_set():
            try:
                job.out.put(next(pieces))
            except StopIteration as end:
                job.out.put(end.value)
                return
        pieces.close()
        self._refuse(job)

    @staticmethod
    def _refuse(job: _Job | None) -> None:
        if job is not None:
            job.out.put(Refusal(503, "the server is closing", "server_error"))
