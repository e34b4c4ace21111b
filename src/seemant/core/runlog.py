"""The one run log: `events.jsonl` in the artefact's folder, one dated event a line."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

EVENTS_NAME = "events.jsonl"


def log_event(folder: Path, kind: str, **fields: Any) -> None:
    """Append one event. Events are for reading and plotting; nothing resumes from them."""
    event = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "kind": kind, **fields}
    with (folder / EVENTS_NAME).open("a", encoding="utf-8") as file:
        file.write(json.dumps(event, ensure_ascii=False) + "\n")


def read_events(folder: Path, kind: str | None = None) -> list[dict[str, Any]]:
    """Return the folder's events, of one kind or of all; a torn last line is left out."""
    path = folder / EVENTS_NAME
    if not path.is_file():
        return []
    events = []
    for line in path.read_bytes().splitlines():  # as bytes: U+2028 inside a text ends no line
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if kind is None or event.get("kind") == kind:
            events.append(event)
    return events
