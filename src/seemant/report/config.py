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
    """What was set as NAME=VALUE, shown under "how to repeat it"; a study fills it in."""
    spec: str = ""
    """The preset or the file that was run, as it was named; a study fills it in."""
    spec_sha256: str = ""
    """The hash of that file; a study fills it in."""
    graph: tuple[str, ...] = ()
    """Extra edges of the experiment graph as FROM>TO; all others are read from the manifests."""
    commands: tuple[str, ...] = ()
    """Commands that repeat the study; by default `seemant study run STUDY`."""
