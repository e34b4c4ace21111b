"""How much of a run's data its teacher has spoken on, and whether it was asked alike."""

from collections.abc import Sequence

from seemant.core.errors import InputError
from seemant.train.rows.render import Row
from seemant.train.teacher.stored import Stored


def coverage(rows: Sequence[Row], stored: Stored) -> float:
    """Return the share of training rows that have stored targets, above 0.

    Raises:
        InputError: not one has: the run would be no distillation at all.
    """
    found = sum(stored.covers(row) for row in rows)
    if not found:
        raise InputError(
            f"none of the {len(rows)} training rows has stored targets: other pairs, or answers "
            "that were cut into other tokens",
            where=str(stored.folder),
            fix="make the targets from the pairs that are trained on: seemant targets MODEL PAIRS",
        )
    return found / len(rows)


def remarks(share: float, stored: Stored, *, template: str, study_prompt: bool) -> list[str]:
    """Return what is worth knowing: rows without targets, a teacher that was asked otherwise.

    template: hash of the student's. Another wording is allowed: two models have two templates.
    """
    teacher, found = stored.teacher, []
    if share < 1:
        found.append(
            f"{share:.1%} of the training rows have stored targets: the others learn from their "
            "answers alone"
        )
    if teacher.template != template:
        found.append("the teacher was asked in another prompt template than the student")
    if teacher.study_prompt is not None and teacher.study_prompt != study_prompt:
        had, has = ("with", "without") if teacher.study_prompt else ("without", "with")
        found.append(f"the teacher was asked {had} the study's prompt, the student is {has} it")
    return found
