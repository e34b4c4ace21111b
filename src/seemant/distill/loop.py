"""The generation loop: askers side by side, one journal, nothing asked twice, nothing lost.

Each asker works in its own thread and takes as many slots as it answers together, all attempts of
a slot in a row. Only the calling thread writes the journal, so an entry is durable before it
counts. What an asker is doing when the run stops is asked again by the next run; nothing else is.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from queue import SimpleQueue
from typing import Any

from seemant.core.journal import Journal
from seemant.distill.out_of_order import out_of_order
from seemant.distill.plan import Slot
from seemant.distill.tasks import Asker
from seemant.distill.verdict import GARBAGE, NO_ANSWER, is_done, kind_of

Entry = dict[str, Any]
Item = tuple[Slot, int]
"""A slot and which attempt at it."""
Ask = Callable[[Asker, Sequence[Item]], list[Entry]]

_UNREAD = (GARBAGE, NO_ANSWER)
_LEAVE_S = 2.0  # how long threads may take to see that the run has stopped


def generate(
    todo: Sequence[Item],
    askers: Sequence[Asker],
    ask: Ask,
    journal: Journal,
    *,
    attempts: int,
    give_up_after: int | None,
    tick: Callable[[], None],
) -> int:
    """Fill the slots, each from its next attempt on; return how many replies came.

    ask(asker, items) gives the journal's entries of their replies.
    give_up_after: so many unreadable replies, or slots without an answer, in a row mean that the
        server is out of order; they are not journalled, so that a later run asks again. None: they
        are the model's own.

    Raises:
        WorldError: an asker failed; all replies so far are in the journal.
        DiskFull: the journal could not be written.
    """
    results: SimpleQueue[Entry | BaseException | None] = SimpleQueue()
    stop = threading.Event()
    work = _Work(iter(todo), ask, results, stop, attempts)
    threads = [threading.Thread(target=work.run, args=(a,), daemon=True) for a in askers]
    keeper = _Keeper(journal, give_up_after)
    failure: BaseException | None = None
    running = len(threads)
    n = 0
    try:
        for thread in threads:
            thread.start()
        while running:
            result = results.get()
            if result is None:
                running -= 1
            elif isinstance(result, BaseException):
                failure = failure or result
                stop.set()
            else:
                n += 1
                keeper.keep(result)
                if is_done(result) or result["attempt"] + 1 == attempts:
                    tick()
        if failure is not None:
            raise failure
        keeper.finish()
    finally:
        stop.set()
        for asker in askers:
            with suppress(OSError):
                asker.close()
        until = time.monotonic() + _LEAVE_S
        for thread in threads:
            if thread.ident is not None:
                thread.join(max(0.0, until - time.monotonic()))
    return n


class _Work:
    """What the threads share: the slots left, and where results go."""

    def __init__(
        self,
        todo: Iterator[Item],
        ask: Ask,
        results: "SimpleQueue[Entry | BaseException | None]",
        stop: threading.Event,
        attempts: int,
    ) -> None:
        self._todo, self._ask, self._results = todo, ask, results
        self._stop, self._attempts = stop, attempts
        self._lock = threading.Lock()

    def run(self, asker: Asker) -> None:
        try:
            while items := self._next(asker.at_once):
                while items and not self._stop.is_set():
                    entries = self._ask(asker, items)
                    for entry in entries:
                        self._results.put(entry)
                    items = [
                        (slot, attempt + 1)
                        for (slot, attempt), entry in zip(items, entries, strict=True)
                        if not is_done(entry) and attempt + 1 < self._attempts
                    ]
        except BaseException as error:
            self._results.put(error)  # the calling thread raises it
        finally:
            self._results.put(None)

    def _next(self, most: int) -> list[Item]:
        with self._lock:
            return [] if self._stop.is_set() else list(islice(self._todo, most))


class _Keeper:
    """Writes entries, holding unreadable replies of a server back until a readable one comes."""

    def __init__(self, journal: Journal, give_up_after: int | None) -> None:
        self._journal, self._give_up_after = journal, give_up_after
        self._held: list[Entry] = []
        self._readable = any(kind_of(entry) not in _UNREAD for entry in journal.entries)

    def keep(self, entry: Entry) -> None:
        if self._give_up_after is not None and kind_of(entry) in _UNREAD:
            self._held.append(entry)
            if self._in_a_row() >= self._give_up_after:
                raise out_of_order(self._held)
            return
        self._readable = True
        self._release()
        self._journal.append(entry)

    def finish(self) -> None:
        if self._held and not self._readable:
            raise out_of_order(self._held)
        self._release()

    def _in_a_row(self) -> int:
        """Return how many replies are held; of a slot without an answer all attempts count once."""
        garbage = sum(kind_of(entry) == GARBAGE for entry in self._held)
        empty = {(e["paragraph_id"], e["pair"]) for e in self._held if kind_of(e) == NO_ANSWER}
        return garbage + len(empty)

    def _release(self) -> None:
        for entry in self._held:
            self._journal.append(entry)
        self._held = []
