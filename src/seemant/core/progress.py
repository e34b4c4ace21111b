"""Progress of long work on standard error: a bar on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Tick = Callable[..., None]
_LINE_EVERY_S = 15.0


@contextmanager
def progress(label: str, total: int, unit: str = "") -> Iterator[Tick]:
    """Give `tick(n=1, note="")`, to be called as work gets done; rate and time left are shown."""
    if sys.stderr.isatty():
        yield from _bar(label, total, unit)
    else:
        yield from _lines(label, total, unit)


def _lines(label: str, total: int, unit: str) -> Iterator[Tick]:
    start = last = time.monotonic()
    done = 0

    def tick(n: int = 1, note: str = "") -> None:
        nonlocal done, last
        done += n
        now = time.monotonic()
        if now - last >= _LINE_EVERY_S or done == total:
            last = now
            rate = done / max(now - start, 1e-9)
            left = (total - done) / rate if rate else 0.0
            text = f"{label}: {done}/{total} {unit} ({rate:.2g}/s, {left:.0f} s left) {note}"
            print(" ".join(text.split()), file=sys.stderr, flush=True)

    yield tick


def _bar(label: str, total: int, unit: str) -> Iterator[Tick]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as TimeLeft

    note_column = TextColumn("{task.fields[note]}")
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
    )
    with Progress(*columns, TimeLeft(), note_column, console=Console(stderr=True)) as bar:
        task = bar.add_task(label, total=total, note="")

        def tick(n: int = 1, note: str = "") -> None:
            if note:
                bar.update(task, advance=n, note=note)
            else:
                bar.update(task, advance=n)

        yield tick
