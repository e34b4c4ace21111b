"""The fp student: a small decoder trained here, whose own float weights are the reference."""

from pathlib import Path

from compression.texts import real_text, write_calibration
from seemant.core.stage import Input, execute, file_input
from seemant.train.pretrain.config import PretrainConfig
from seemant.train.pretrain.run import STAGE as PRETRAIN


def student(store: Path, *, tokens: int = 3_000_000) -> Input:
    """Return a student of 4M parameters (d 256, 4 layers, 4k BPE), trained once and kept.

    Its text is the calibration side of the three languages: held-out lines stay unseen. One thread,
    about 12 minutes, whatever the script uses: all scripts share one student.
    """
    text = write_calibration(real_text(), store.parent / "student.jsonl")
    config = PretrainConfig(size="4M", tokens=tokens, threads=1)
    done = execute(PRETRAIN, config, {"text": file_input(text)}, store=store)
    return done.as_input("fp student")
