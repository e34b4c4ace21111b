"""The graph of a study's nodes: who needs whom, and an order in which they can run."""

from collections.abc import Iterable

from seemant.core.errors import BadConfig
from seemant.study.spec import Study


def needs(study: Study, name: str) -> list[str]:
    """Return the nodes whose artefacts a node takes as inputs."""
    return [text for text in study.nodes[name].inputs.values() if text in study.nodes]


def order(study: Study) -> list[str]:
    """Return the nodes so that each stands behind all that it needs; ties keep the file's order.

    Raises:
        BadConfig: some nodes need each other in a circle.
    """
    done: list[str] = []
    waiting = list(study.nodes)
    while waiting:
        ready = next((n for n in waiting if all(m in done for m in needs(study, n))), None)
        if ready is None:
            raise BadConfig(f"these nodes need each other: {', '.join(waiting)}")
        done.append(ready)
        waiting.remove(ready)
    return done


def dependents(study: Study, names: Iterable[str]) -> set[str]:
    """Return all nodes that need one of `names`, directly or through others."""
    found = set(names)
    for name in order(study):
        if any(need in found for need in needs(study, name)):
            found.add(name)
    return found - set(names)


def urgency(study: Study) -> dict[str, float]:
    """Return for each node the expected seconds of the longest chain from its start to the end.

    Of the nodes that could start, the most urgent goes first: critical-path list scheduling.
    """
    found: dict[str, float] = {}
    for name in reversed(order(study)):
        behind = [found[other] for other in found if name in needs(study, other)]
        found[name] = study.nodes[name].expect.seconds + max(behind, default=0.0)
    return found
