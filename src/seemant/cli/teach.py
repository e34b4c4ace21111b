"""Commands that make something to train on: a teacher's probabilities, the student's own words."""

from typing import Annotated

from cyclopts import Parameter

from seemant.cli.options import DEFAULT, Options, run_stage
from seemant.train.rewrite.config import RewriteConfig
from seemant.train.teacher.config import TargetsConfig

Flat = Parameter(name="*")


def targets(
    model: str,
    pairs: str,
    *,
    config: Annotated[TargetsConfig, Flat] = TargetsConfig(),
    run: Options = DEFAULT,
) -> None:
    """Store a teacher's token probabilities on the answers of pairs, for `train --kd-weight`.

    Example: seemant targets embedded:gemma-3-270m runs/distill/0123456789ab

    Parameters
    ----------
    model
        The teacher: a model reference with the student's tokenizer.
    pairs
        A distill artefact's folder, or a file of pairs: Alpaca's fields, chats (`messages`), CSV.
    """
    run_stage("targets", config, {"model": model, "pairs": pairs}, run)


def rewrite(
    model: str,
    pairs: str,
    *,
    config: Annotated[RewriteConfig, Flat] = RewriteConfig(),
    run: Options = DEFAULT,
) -> None:
    """Let a model say every answer in its own words; what keeps the facts replaces the answer.

    Example: seemant rewrite embedded:smollm2-135m-instruct runs/distill/0123456789ab

    Parameters
    ----------
    model
        The student that will be trained: a model reference.
    pairs
        A distill artefact's folder, or a file of pairs: Alpaca's fields, chats (`messages`), CSV.
    """
    run_stage("rewrite", config, {"model": model, "pairs": pairs}, run)
