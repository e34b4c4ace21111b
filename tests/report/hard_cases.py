"""Pages that are hard to lay out: many candidates, long names, three languages, nothing fit."""

from pathlib import Path

from seemant.core.stage import Input, execute
from seemant.frontier.config import FrontierConfig
from seemant.frontier.recommend_config import RecommendConfig
from seemant.frontier.recommend_run import STAGE as RECOMMEND
from seemant.frontier.run import STAGE as FRONTIER
from seemant.report.config import ReportConfig
from seemant.report.nodes import read_nodes
from seemant.report.page import page
from tests.frontier.artefacts import bench, divergence, probe, variant

LONG = "an-organisation-with-a-long-name/a-model-of-a-long-name-instruct-v0.3-2507-experimental"


def crowd(store: Path, *, n: int = 20, right: float = 0.05, title: str = LONG) -> str:
    """Return the page of n variants of about one size, asked in three languages.

    right: the share of right answers of the best; every third is damaged in Kannada.
    """
    inputs: dict[str, Input] = {}
    figures = {}
    for i in range(n):
        name, size = f"{LONG}+lora/variant-{i}-q4_k-e8-search-{i}", 240_000_000 + 900_000 * i
        given = variant(store, name, 10, file_bytes=size).as_input(f"v{i}")
        inputs[f"variant/v{i}"] = given
        margins: dict[str, list[float | None]] = {
            lang: [0.2 + 0.01 * i + 0.1 * (-1) ** f for f in range(16)]
            for lang in ("hi", "kn", "en")
        }
        asked = probe(store, name, margins, {"model": given}, right=right * (1 - i / (2 * n)))
        inputs[f"probe/v{i}"] = asked.as_input(f"p{i}")
        lost = {"hi": 0.1 + 0.01 * i, "kn": 3.0 if i % 3 == 0 else 0.2, "en": 0.05}
        inputs[f"divergence/v{i}"] = divergence(store, name, lost, given).as_input(f"d{i}")
        figures[name] = (40.0 - i, 400e6 + i * 1e6)
    inputs["bench"] = bench(store, figures).as_input("bench")
    done = execute(FRONTIER, FrontierConfig(resamples=50), inputs, store=store)
    wanted = RecommendConfig(
        resamples=50, lang=("hi", "kn", "en"), devices=("this-machine", "file-200mb")
    )
    found = execute(RECOMMEND, wanted, {"frontier": done.as_input("frontier")}, store=store)
    nodes = {"node/frontier": done.as_input("f"), "node/recommend": found.as_input("r")}
    for role, given in inputs.items():
        nodes[f"node/{role.replace('/', '-')}"] = given
    return page(read_nodes(nodes), ReportConfig(study="crowd", title=title))
