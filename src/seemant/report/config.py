"""The settings of the report."""

from seemant.core.config import Config


class ReportConfig(Config):
    """What the page is called and how it tells to repeat the work; all figures are read."""

    study: str = "study"
    """The study's name; paths on the page are relative to runs/STUDY/."""
    title: str = "A study"
    """The page's title."""
    question: str = ""
    """What was asked, one or two sentences."""
    params: tuple[str, ...] = ()
    """Parameters of the study as NAME=VALUE, shown under "how to repeat it"."""
    graph: tuple[str, ...] = ()
    """Extra edges of the experiment graph as FROM>TO; all others are read from the manifests."""
    commands: tuple[str, ...] = ()
    """Commands that repeat the study; by default `seemant study run STUDY`."""
