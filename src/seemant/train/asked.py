"""Inputs and weights that belong together: neither is silently without effect."""

from collections.abc import Container

from seemant.core.errors import InputError
from seemant.core.stage import Inputs
from seemant.train.config import TrainConfig

# weight, role, what is missing, how to give it
_TOGETHER = (
    (
        "replay",
        "replay",
        "replay is asked for, but no pairs to replay are given",
        "name the pairs: --replay-pairs FILE (in a study: the input `replay`)",
    ),
    (
        "kd_weight",
        "targets",
        "a teacher's targets are asked for, but none are given",
        "name the artefact: --targets FOLDER (seemant targets MODEL PAIRS makes it)",
    ),
)


def check_asked(config: TrainConfig, roles: Container[str]) -> None:
    """Check that an input is there where its weight is not zero, and only there.

    Raises:
        InputError: one without the other.
    """
    for name, role, missing, fix in _TOGETHER:
        weight = getattr(config, name)
        where = f"{name} = {weight:g}"
        if weight and role not in roles:
            raise InputError(missing, where=where, fix=fix)
        if not weight and role in roles:
            raise InputError(
                f"the input `{role}` is given, but its weight is 0: it would have no effect",
                where=where,
                fix=f"give --{name.replace('_', '-')} a weight, or leave the input out",
            )


def check_pairs(inputs: Inputs) -> None:
    """Check that the files of pairs hold pairs, in the first second: before a model is opened.

    Raises:
        BadFile, BadRecord: one holds none; it says what stands there instead.
    """
    from seemant.corpus.pairs import read_pairs
    from seemant.train.rows.dataset import pairs_file

    for role in ("pairs", "replay"):
        if role in inputs:
            read_pairs(pairs_file(inputs[role].path), tolerant=True)
