"""The command line that runs a study as it was asked for."""

import shlex

from seemant.study.spec import Study


def as_command(study: Study, *sets: str) -> str:
    """Return "seemant study run ...", with further `--set` values in place of those they change."""
    new = {each.partition("=")[0] for each in sets}
    kept = [each for each in study.sets if each.partition("=")[0] not in new]
    words = ["seemant", "study", "run", study.source or study.name]
    for each in [*kept, *sets]:
        words += ["--set", each]
    return shlex.join(words)
