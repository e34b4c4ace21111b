"""Finding a measurement among those of some artefacts."""

from collections.abc import Iterable, Iterator, Sequence

from seemant.core.measurement import Measurement
from seemant.report.nodes import Node, named

Scalar = str | int | float | bool | None


def measurements(nodes: Iterable[Node]) -> Iterator[Measurement]:
    """Yield all measurements of some nodes."""
    for node in nodes:
        yield from node.manifest.measurements


def find(
    given: Iterable[Measurement], metric: str, lang: str | None = None, **conditions: Scalar
) -> Measurement | None:
    """Return the first measurement of a metric in a language under some conditions."""
    for m in given:
        if m.metric == metric and m.lang == lang and conditions.items() <= m.conditions.items():
            return m
    return None


def subject_of(node: Node, nodes: Sequence[Node] = ()) -> str:
    """Return what a node's measurements are about, its own name where they tell of several.

    A node that took a compressed variant as its model speaks of that variant, by its own name.
    """
    variant = variant_of(node, nodes)
    if variant is not None:
        return subject_of(variant)
    subjects = {m.subject for m in node.manifest.measurements}
    return subjects.pop() if len(subjects) == 1 else node.name


def variant_of(node: Node, nodes: Sequence[Node]) -> Node | None:
    """Return the compressed variant that a node took as its model, None where it took none."""
    source = named(nodes, node.source("model"))
    return source if source is not None and source.stage in ("compress", "qat") else None
