"""README and tutorial word by word, then own text, questions and model: value = steps that stumble.

    python benchmarks/newcomer.py [--full] [--setup]

A fresh clone of this checkout, an empty folder of results. A step stumbles when it exits with
anything but 0 or says nothing for 30 s. Without --full the studies are small (minutes); --setup
makes the clone's own environment as the pages say, else this one's is used. The last line is one
JSON object.
"""

import argparse
import os
import re
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from claim import machine, say_claim

from seemant.core.paths import data_dir
from seemant.corpus.shipped import shipped

ROOT = Path(__file__).parents[1]
SMALL = ["paragraphs=12", "steps=2", "families=8", "tokens=60", "repeats=1", "new_tokens=8"]
SILENT_S = 30.0
_ENDLESS = ("serve",)  # ends when it is told to: started, asked to stop after it said its address


@dataclass(frozen=True, slots=True)
class Step:
    """A command, how it ended, how long it took, its longest silence, the end of what it said."""

    line: str
    code: int
    seconds: float
    silence: float
    tail: str

    @property
    def stumbles(self) -> bool:
        """Whether a newcomer would stop here."""
        return self.code != 0 or self.silence > SILENT_S


def main() -> int:
    """Walk; returns 0 when no step stumbles."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="studies in their own sizes")
    parser.add_argument("--setup", action="store_true", help="make the clone's environment")
    asked = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory(prefix="seemant-newcomer-") as folder:
        clone = Path(folder) / "seemant"
        subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
        own_inputs(clone)
        done = []
        for line in lines(clone, setup=asked.setup):
            step = walked(line if asked.full else smaller(line), clone, own=asked.setup)
            done.append(step)
            word = "STUMBLES" if step.stumbles else "fine"
            print(
                f"{word} {step.seconds:.0f} s (silent {step.silence:.0f} s): {step.line}",
                flush=True,
            )
            if step.stumbles:
                print(step.tail, flush=True)
    failed = sum(step.stumbles for step in done)
    say_claim(name="newcomer", value=failed, bar=0, holds=failed == 0, n=len(done))
    return int(failed > 0)


def lines(clone: Path, *, setup: bool) -> Iterator[str]:
    """Yield the commands of both pages in order, then the study of text in Kannada alone."""
    for page in ("README.md", "docs/tutorial.md"):
        text = (clone / page).read_text(encoding="utf-8")
        for block in re.findall(r"```(?:sh)?\n(.*?)```", text, flags=re.DOTALL):
            for line in filter(None, map(str.strip, block.splitlines())):
                command = line.partition("  #")[0].strip()
                if command.startswith("seemant ") or (setup and command == "make setup"):
                    yield command
    own = "--set corpus=my-kn.txt --set languages=[kn]"
    yield f"seemant study plan quick {own}"
    yield f"seemant study run quick {own}"
    yield "seemant recommend runs/quick --lang kn"


def smaller(line: str) -> str:
    """Return the command with a small study's sizes."""
    small = " ".join(f"--set {each}" for each in SMALL)
    return f"{line} {small}" if line.startswith("seemant study run ") else line


def own_inputs(clone: Path) -> None:
    """Write what the tutorial speaks of: 100 lines of text, a table of questions, a model."""
    for name, lang in (("my.txt", "hi"), ("my-kn.txt", "kn")):
        text = [p.text.replace("\n", " ") for p in shipped(lang)][:100]  # type: ignore[arg-type]
        (clone / name).write_text("\n".join(text) + "\n", encoding="utf-8")
    table = re.search(
        r"(    question,answer\n(?:    .+\n)+)", (clone / "docs/tutorial.md").read_text("utf-8")
    )
    assert table is not None
    rows = [line.strip() for line in table[1].splitlines()]
    (clone / "my-questions.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    own_model(clone / "my-model")


def own_model(folder: Path) -> None:
    """Write a Qwen3-shaped folder of random weights with a real tokenizer, as the Hub has them."""
    import torch
    from transformers import AutoTokenizer, Qwen3Config, Qwen3ForCausalLM

    data = data_dir()
    assert data is not None, "set SEEMANT_DATA"
    shutil.copytree(data / "field" / "tokenizers" / "qwen3", folder)
    n_vocab = len(AutoTokenizer.from_pretrained(folder))
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=n_vocab + -n_vocab % 32,
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=32,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
    )
    Qwen3ForCausalLM(config).save_pretrained(folder)


def walked(line: str, clone: Path, *, own: bool) -> Step:
    """Run a line as a shell would, and time its silences."""
    binary = clone / ".venv" / "bin" if own else Path(sys.executable).parent
    code = "" if own else f"export PYTHONPATH={clone / 'src'}\n"
    name = f"{binary}/seemant" if own else f"{sys.executable} -m seemant"
    script = f'{code}seemant() {{ {name} "$@"; }}\n{line}'
    start = last = time.monotonic()
    process = subprocess.Popen(
        ["bash", "-c", script],
        cwd=clone,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        process_group=0,
    )
    assert process.stdout is not None
    said, silence = b"", 0.0
    endless = line.split()[1:2] == list(_ENDLESS)
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            ready = selector.select(timeout=1.0)
            now = time.monotonic()
            silence = max(silence, now - last)
            if not ready:
                continue
            piece = process.stdout.read1(65536)
            if not piece:
                break
            said, last = said + piece, now
            if endless and b"http" in said:
                os.killpg(process.pid, signal.SIGTERM)
                process.wait()
                return Step(line, 0, now - start, silence, "")
    tail = said.decode("utf-8", "replace")[-1500:]
    return Step(line, process.wait(), time.monotonic() - start, silence, tail)


if __name__ == "__main__":
    raise SystemExit(main())
