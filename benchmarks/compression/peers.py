"""AutoRound, GPTQModel and llm-compressor as they quantise a model, scored through our decoder."""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from peers.quantisers import PEERS, Unavailable, answer_of

from compression.references import weights
from compression.scoring import reference_of
from compression.texts import Lines, write_calibration
from seemant.compress.calibrate.tokens import read_text, sequences_of
from seemant.compress.config import CompressConfig
from seemant.compress.evaluate.damage import damage
from seemant.compress.evaluate.reference import Reference
from seemant.compress.evaluate.replaced import Values, matrix, replaced
from seemant.compress.evaluate.scores import Scores, kld_ratio
from seemant.compress.run import STAGE as COMPRESS
from seemant.core.records import Lang
from seemant.core.stage import Input, execute, file_input
from seemant.formats.gguf_read import open_gguf
from seemant.models.decoder.decoder import Decoder
from seemant.models.decoder.load import load_decoder
from seemant.models.expand import expand
from seemant.models.names import Family, to_gguf, values_to_gguf
from seemant.models.tokenizer import tokenizer_of_metadata

LANGUAGES: tuple[Lang, ...] = ("hi", "en")


def compared(
    model: Input, text: Lines, args: argparse.Namespace, work: Path
) -> list[dict[str, Any]]:
    """Return a row a peer, method and language, or one that says why there is none."""
    calibration = write_calibration(text, work / "calibration.jsonl")
    decoder = load_decoder(weights(model), words=False).decoder
    reference = reference_of(
        weights(model), text, chunks=args.chunks, length=args.length, decoder=decoder
    )
    ours = our_scores(model, calibration, decoder, reference, args, work)
    print("ours", ours.means(), flush=True)
    spec = {
        "folder": str(expand(weights(model))),
        "rows": str(write_rows(model, calibration, args, work)),
        "threads": args.threads,
        **({"iters": 4} if args.tiny else {}),
    }
    rows: list[dict[str, Any]] = []
    for peer in PEERS:
        for method in peer.methods:
            row: dict[str, Any] = {"peer": peer.name, "method": method}
            try:
                facts, values = peer_values(peer.name, method, spec, decoder, args.limit, work)
            except Unavailable as error:
                rows.append(row | {"failure": str(error)})
                print(json.dumps(rows[-1]), flush=True)
                continue
            with replaced(decoder, values):
                theirs = damage(decoder, reference)
            for lang in theirs.languages:
                ratio = kld_ratio(ours, theirs, lang)
                rows.append(
                    row
                    | {"lang": lang, "value": ratio.value, "interval": [ratio.low, ratio.high]}
                    | {"kld": {"ours": ours.means()[lang], "peer": theirs.means()[lang]}}
                    | {"n": ratio.n, **facts}
                )
                print(json.dumps(rows[-1]), flush=True)
    return rows


def our_scores(
    model: Input,
    calibration: Path,
    decoder: Decoder,
    reference: Reference,
    args: argparse.Namespace,
    work: Path,
) -> Scores:
    """Return the damage of GPTQ on Q4_0 by `compress`, blocks only."""
    config = CompressConfig(
        method="gptq",
        fit="mse",
        format="q4_0",
        order=args.order,
        languages=LANGUAGES,
        calibration_tokens=args.tokens,
        sequence=args.length,
        threads=args.threads,
    )
    given = {"model": model, "calibration": file_input(calibration)}
    made = execute(COMPRESS, config, given, store=work / "runs")
    file = open_gguf(made.path / "model.gguf")
    blocks = {n: file.dequantize(n).copy() for n in file.tensors if n.startswith("blk.")}
    with replaced(decoder, blocks):
        return damage(decoder, reference)


def peer_values(
    name: str, method: str, spec: dict[str, Any], decoder: Decoder, limit: float, work: Path
) -> tuple[dict[str, Any], dict[str, Values]]:
    """Return a peer's time and memory, and its blocks' tensors in GGUF's names and layout.

    Raises:
        Unavailable: it cannot be installed, fails, takes too long, or gives other weights.
    """
    from safetensors.numpy import load_file

    values = work / f"{name}-{method}.safetensors"
    asked = {**spec, "method": method, "values": str(values)}
    facts = answer_of("quantise_peer.py", asked, peer=name, limit=limit)
    shape = decoder.shape
    family = Family(shape.family, shape.heads, shape.kv_heads)
    found: dict[str, Values] = {}
    for hf, w in load_file(values).items():
        gguf = to_gguf(hf, shape.family)
        found[gguf] = values_to_gguf(gguf, np.asarray(w, np.float32), family)
    values.unlink()
    changed = [n for n, w in found.items() if np.ndim(w) == 2]
    if len(changed) != 7 * shape.layers:
        raise Unavailable(f"gave {len(changed)} matrices of {7 * shape.layers}")
    shifts = []
    for gguf in changed:
        w, before = np.asarray(found[gguf]), matrix(decoder, gguf)
        moved = float(np.linalg.norm(w - before) / np.linalg.norm(before))
        if not moved > 1e-3 or levels(w) > 16:
            raise Unavailable(f"did not quantise {gguf}: {levels(w)} values a group, {moved:.1e}")
        if method != "awq" and moved > 0.5:  # awq folds scales into neighbours
            raise Unavailable(f"gave other weights for {gguf}")
        shifts.append(abs(float(np.mean(w - before))) / float(np.std(w - before)))
    if np.median(shifts) > 0.5:
        raise Unavailable("all its weights are shifted: zero points were misread")
    return facts, found


def levels(w: NDArray[np.float32], group: int = 32) -> int:
    """Return how many values the weights (R, C) of a group take at most: 16 on a grid of 4 bits."""
    ordered = np.sort(w.reshape(-1, group), axis=1)
    steps = np.diff(ordered, axis=1) > 1e-5 * np.abs(ordered).max(1, keepdims=True)
    return int(steps.sum(1).max()) + 1


def write_rows(model: Input, calibration: Path, args: argparse.Namespace, work: Path) -> Path:
    """Write the ids that `compress` calibrates on, for the peers."""
    listed = sequences_of(
        read_text(calibration),
        tokenizer_of_metadata(open_gguf(weights(model)).metadata),
        LANGUAGES,
        tokens=args.tokens,
        length=args.length,
    )
    rows = [row for each in listed.values() for row in each if len(row) == args.length]
    (work / "rows.json").write_text(json.dumps(rows))
    return work / "rows.json"
