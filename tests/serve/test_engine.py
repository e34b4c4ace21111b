"""The engine's end, at the moment when the model's thread takes the last job itself."""

from queue import Empty, Full, Queue
from typing import Any

import pytest

from seemant.serve.engine import Engine


def test_a_queue_that_empties_itself_while_the_engine_closes_is_no_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = Engine(None, context=8, max_waiting=1)  # type: ignore[arg-type]
    queue: Queue[Any] = engine._jobs
    real, calls = queue.put_nowait, []

    def full_once(job: Any) -> None:
        calls.append(job)
        if len(calls) == 1:
            raise Full  # and by the time that room is made, the job is gone
        real(job)

    def gone() -> Any:
        raise Empty

    monkeypatch.setattr(queue, "put_nowait", full_once)
    monkeypatch.setattr(queue, "get_nowait", gone)
    engine.close()
    assert len(calls) == 2
    assert not engine._thread.is_alive()
