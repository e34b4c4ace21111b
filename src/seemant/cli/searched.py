"""What `compress --search` chose, what it expects of it, and what text that it never saw says."""

from collections.abc import Iterator, Mapping
from typing import Any

from seemant.corpus.scripts import LANGUAGE_NAMES


def searched(facts: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of a searched variant (`variant.json`); nothing of one that was not."""
    found = facts.get("search")
    if not found:
        return
    by_format: dict[str, list[str]] = {}
    for group, name in found["groups"].items():
        by_format.setdefault(str(name), []).append(str(group))
    size = f", {facts['file_bytes'] / 1e6:.0f} MB in all" if facts.get("file_bytes") else ""
    yield f"chosen from {found['tried']} measured files{size}:"
    for name, groups in sorted(by_format.items()):
        yield f"  {name:6} {', '.join(groups)}"
    yield f"expected: {_by_language(found['predicted_kld'])} nats a token, by the table of parts"
    chunks = sum(found["chunks"].values())
    measured = _by_language(found["measured_kld"])
    yield f"measured: {measured} nats a token, on {chunks} passages kept out of calibration"
    yield "  (0.1 is hardly noticed; above 0.5 the language is damaged. These passages chose the"
    yield "  file, so they flatter it: seemant divergence MODEL OTHER-TEXT --variant THIS)"


def _by_language(values: Mapping[str, float]) -> str:
    return ", ".join(
        f"{LANGUAGE_NAMES.get(lang, lang)} {value:.3f}"  # type: ignore[call-overload]
        for lang, value in values.items()
    )
