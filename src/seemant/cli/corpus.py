"""`seemant corpus`: uniform lines from huge files, and what a text is like."""

import json as jsonlib
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from seemant.cli.options import DEFAULT, Options, run_with_inputs
from seemant.core.jsonl import read_json
from seemant.corpus.config import CorpusConfig
from seemant.corpus.fingerprint import corpus_inputs
from seemant.study.inputs import as_input
from seemant.study.stages import stage_named

app = App(name="corpus", help="Raw text: a uniform sample of it, and what it is like.")
Flat = Parameter(name="*")


@app.command
def sample(
    *files: Path,
    config: Annotated[CorpusConfig, Flat] = CorpusConfig(),
    run: Options = DEFAULT,
) -> None:
    """Sample lines uniformly, without replacement and without reading the files through.

    Example: seemant corpus sample huge.txt more.txt --n 6000 --seed 7

    Parameters
    ----------
    files
        Text or JSON Lines files, plain, gz or zst; together they are one population. None means
        the small corpus that ships.
    """
    run_with_inputs(stage_named("corpus"), config, corpus_inputs(files), run)


@app.command
def stats(
    *files: Path,
    tokenizer: Annotated[list[str] | None, Parameter(negative="")] = None,
    config: Annotated[CorpusConfig, Flat] = CorpusConfig(statistics="full"),
    run: Options = DEFAULT,
) -> None:
    """Show a sample's lines, lengths, scripts, news-likeness and tokens a word.

    Example: seemant corpus stats text.txt --tokenizer embedded:gemma-3-270m

    Parameters
    ----------
    files
        Text or JSON Lines files; none means the small corpus that ships.
    tokenizer
        A model reference whose tokenizer is counted; may be given several times.
    """
    inputs = corpus_inputs(files)
    for name in tokenizer or []:
        inputs[f"tokenizers/{name}"] = as_input(name, "model")
    config = config.model_copy(update={"statistics": "full"})
    done = run_with_inputs(stage_named("corpus"), config, inputs, run, show=run.json)
    if done is None or run.json:
        return
    found = read_json(done.path / "stats.json")
    for lang, figures in found["languages"].items():
        print(f"{lang}:")
        for key, value in figures.items():
            print(f"  {key:18} {jsonlib.dumps(value, ensure_ascii=False)}")
    print(f"set aside: {jsonlib.dumps(found['set_aside'], ensure_ascii=False)}")
    print(f"done: {done.path}")
