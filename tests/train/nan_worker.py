"""One rank of a step over a sharded decoder; the last rank's second loss is no number.

python nan_worker.py MODEL OUT      # writes OUT/rank_K.json: its losses seen, what was raised
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import torch

from seemant.core.errors import WorldError
from seemant.models.decoder.load import load_decoder
from seemant.train.adapt import Dropout, adapt, trainable
from seemant.train.objective import Terms, answers_only
from seemant.train.optim import Pace
from seemant.train.rows.render import IGNORED, Row
from seemant.train.scale.processes import world_here
from seemant.train.step import Trainee, update
from seemant.train.student import Student


def row(first: int) -> Row:
    ids = [first, *range(3, 9)]
    targets = [IGNORED, *ids[2:], IGNORED]
    return Row(key=str(first), paragraph="p", lang="en", ids=ids, targets=targets, n_prompt=2)


def main(model: Path, out: Path) -> None:
    torch.set_num_threads(1)
    with world_here(shards=True) as world:
        decoder: Any = load_decoder(model, base="int8", words=False).decoder
        dropout = Dropout(0.0, 0)
        parameters = trainable(adapt(decoder, "lora", 2, 4.0, seed=0, dropout=dropout))
        world.place(decoder)
        answers = answers_only(Student(decoder))
        seen = 0

        def objective(rows: list[Row]) -> Terms:
            nonlocal seen
            seen += 1
            terms = answers(rows)
            broken = seen == 2 and world.rank == world.size - 1
            return Terms(terms.total * torch.nan, terms.nats) if broken else terms

        optimiser = torch.optim.SGD(parameters.values(), lr=0.1)
        trainee = Trainee(parameters, objective, optimiser, dropout)
        batches = [[row(i)] for i in range(3 * world.size)]
        pace = Pace(
            steps=1, accumulation=len(batches), lr=0.1, schedule="constant", warmup=0, clip=1.0,
            eval_every=1, save_every=1, eval_tokens=99,
        )  # fmt: skip
        said = ""
        try:
            update(trainee, batches, 0, pace, world, out)
        except WorldError as error:
            said = error.what
        (out / f"rank_{world.rank}.json").write_text(json.dumps([seen, said]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
    # A step that was ended leaves gathers under way, whose threads may abort the interpreter's end
    # (seen once on a loaded machine). What is tested is written by now.
    os._exit(0)
