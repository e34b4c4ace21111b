"""One rank of a run, started as a launcher starts it: `rank.py PAIRS OUT SETTINGS`."""

import json
import sys
from pathlib import Path


def main(pairs: Path, out: Path, settings: str) -> None:
    """Train with the other ranks."""
    from seemant.core.stage import file_input
    from seemant.models.resolve import resolve
    from seemant.train.config import TrainConfig
    from seemant.train.scale.ranks import train_ranks

    label = "embedded:smollm2-135m-instruct"
    inputs = {"model": file_input(resolve(label).path, label), "pairs": file_input(pairs)}
    train_ranks(TrainConfig(**json.loads(settings)), inputs, out)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
