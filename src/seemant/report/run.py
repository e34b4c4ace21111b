"""The stage `report`: one self-contained page from the artefacts of a study."""

from pathlib import Path

from seemant.core.measurement import Measurement
from seemant.core.stage import Inputs, Stage
from seemant.report.config import ReportConfig

PAGE_NAME = "report.html"


def run(config: ReportConfig, inputs: Inputs, out: Path) -> list[Measurement]:
    """Fill `out` with `report.html`. It measures nothing, so it returns nothing.

    Raises:
        BadFile: an input is not a finished artefact.
    """
    from seemant.core.atomic import write_atomic
    from seemant.report.nodes import read_nodes
    from seemant.report.page import page

    write_atomic(out / PAGE_NAME, page(read_nodes(inputs), config))
    return []


STAGE = Stage(
    name="report",
    version=6,
    config=ReportConfig,
    run=run,
    roles={"node/*": "artefact"},
)
