"""AutoRound, GPTQModel and llm-compressor as they quantise a model, scored through our decoder."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import peers
from numpy.typing import NDArray
from peers.quantisers import PEERS, Unavailable, answer_of

from compression.made_by import code_sha256
from compression.references import weights
from compression.scoring import load_scores, reference_of, save_scores
from compression.texts import Lines, write_calibration
from seemant.compress.calibrate.tokens import read_text, sequences_of
from seemant.compress.config import CompressConfig
from seemant.compress.evaluate.damage import damage
from seemant.compress.evaluate.reference import Reference
from seemant.compress.evaluate.replaced import Values, matrix, replaced
from seemant.compress.evaluate.scores import Scores, kld_ratio
from seemant.compress.run import STAGE as COMPRESS
from seemant.core.hashing import json_sha256
from seemant.core.jsonl import read_json, write_json
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
    asked = [args.order, args.tokens, args.threads, peers_sha256(), code_sha256()]
    folder = work / json_sha256([asked, reference.fingerprint()])[:12]
    rows: list[dict[str, Any]] = []
    for peer in PEERS:
        for method in peer.methods:
            row: dict[str, Any] = {"peer": peer.name, "method": method}
            try:
                facts, theirs = kept(
                    folder / f"{peer.name}-{method}",
                    lambda name=peer.name, method=method: peer_scores(
                        name, method, spec, decoder, reference, args.limit, work
                    ),
                )
            except Unavailable as error:
                rows.append(row | {"failure": str(error)})
                print(json.dumps(rows[-1]), flush=True)
                continue
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


def kept(
    path: Path, measure: Callable[[], tuple[dict[str, Any], Scores]]
) -> tuple[dict[str, Any], Scores]:
    """Return a finished peer's facts and scores from the disk, or measure and keep them.

    A failure is not kept: it is tried again.
    """
    facts, scores = path.with_suffix(".json"), path.with_suffix(".npz")
    if not facts.is_file():
        found, theirs = measure()
        path.parent.mkdir(parents=True, exist_ok=True)
        save_scores(theirs, scores)
        write_json(facts, found)
    return read_json(facts), load_scores(scores)


def peers_sha256() -> str:
    """Return a hash of what drives the peers."""
    folder = Path(peers.__file__).parent
    files = [folder / name for name in ("quantise_peer.py", "quantisers.py")]
    return json_sha256([path.read_text(encoding="utf-8") for path in files])


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


def peer_scores(
    name: str,
    method: str,
    spec: dict[str, Any],
    decoder: Decoder,
    reference: Reference,
    limit: float,
    work: Path,
) -> tuple[dict[str, Any], Scores]:
    """Return a peer's time and memory, and the damage of its blocks."""
    facts, values = peer_values(name, method, spec, decoder, limit, work)
    with replaced(decoder, values):
        return facts, damage(decoder, reference)


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
