"""Claim: on the same weights, Hessian and grid, GPTQ here is llm-compressor's and GPTQModel's.

    python benchmarks/gptq_agrees.py [--layers 0 10 20] [--tokens N] [--threads N] [--tiny]

Matrices of SmolLM2-135M dithered, Hessians of our calibration stream (Hindi and English). Each
peer's own function rounds them in its own venv: 4 bits, symmetric, groups of 32, its min-max
scales, damping 0.01, columns as stored and in the order that is the peer's default. Our factor and
loop then run with the scales that the peer ended with, so only the algorithm is compared: the
share of equal codes, values where codes are equal, and tr(ΔW H ΔWᵀ), ours over the peer's.

Both sides once in float32, as they are used, and once in float64. One code that falls to the other
side of a tie moves all later columns of its row, so float32 sums alone cost some codes; in float64
what is left would be a difference of the algorithms. The peers' grids put the largest weight of a
group on a tie, 7.5 steps, where the last bit decides; GPTQModel's scales are therefore made larger
by 2^-10 as they are fitted (as they are, 98.9 to 99.9 % of codes were equal in float64 too).

Bars, float64: >= 99.9 % equal codes and an error ratio within 1 ± 1e-3 on every matrix. float32:
the ratio of the summed errors within 1 ± 1e-3; at least 99.9 % equal codes, or no more than twice
as many differ as between the peer's own float32 and float64. Reported: the same ratio with grids
of our own in place of the peer's (min-max, and searched), as GPTQ is used here otherwise.

About a minute of CPU (52 s measured). A peer that cannot be installed has a row that says why;
without llm-compressor nothing is claimed. `value` is the least share of equal codes in float64;
the last line is one JSON object. --tiny: a toy, to see that it runs.
"""

import argparse
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from claim import machine, say_claim
from compression.references import dithered, toy, weights
from compression.texts import Lines, real_text, toy_text
from numpy.typing import NDArray
from peers.quantisers import Unavailable, answer_of

from seemant.compress.calibrate.hessians import mixed
from seemant.compress.calibrate.stream import SITE_OF, LayerStream
from seemant.compress.calibrate.tensors import tensors_of
from seemant.compress.calibrate.tokens import Text, sequences_of
from seemant.compress.methods.config import MethodConfig, Order
from seemant.compress.methods.gptq import gptq, prepare
from seemant.compress.methods.gptq_loop import feed_back
from seemant.compress.source import Source
from seemant.core.machine import cores
from seemant.core.records import Lang
from seemant.formats.gguf_read import open_gguf
from seemant.formats.grids import Params
from seemant.formats.tensor_format import Search, format_of, value_format
from seemant.models.decoder.load import load_decoder

FORMAT = format_of("q4_0")
GROUP = 32
EQUAL, WITHIN, DAMP = 0.999, 1e-3, 0.01
KINDS = ("attn_q", "attn_output", "ffn_up", "ffn_down")  # one of each input
LANGUAGES: tuple[Lang, ...] = ("hi", "en")
ORDERS: dict[str, tuple[Order, ...]] = {
    "llm-compressor": ("natural", "act"),
    "gptqmodel": ("natural", "groups"),
}
"""The orders of columns that both sides have, by our names; the last one is the peer's default."""
Array = NDArray[np.floating]


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """What both sides round. weight (R, C) float32, hessian (C, C) float32."""

    name: str
    weight: NDArray[np.float32]
    hessian: NDArray[np.float32]
    order: Order
    double: bool

    def errors(self, values: Array) -> float:
        """Return tr(ΔW H ΔWᵀ) of rounded values (R, C), in float64."""
        change = torch.from_numpy(values.astype(np.float64) - self.weight)
        return float(((change @ torch.from_numpy(self.hessian).double()) * change).sum())


def main() -> int:
    """Round with each peer and with ours, print the rows, end with one line of JSON."""
    args = arguments()
    print(machine())
    torch.set_num_threads(args.threads)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="seemant-bench-") as scratch:
        model = weights(toy(Path(scratch)) if args.tiny else dithered("smollm2-135m-instruct", 0))
        found = matrices(model, toy_text() if args.tiny else real_text(LANGUAGES), args)
        for peer in args.peers:
            try:
                rows += compared(peer, found, Path(scratch), args)
            except Unavailable as error:
                rows.append({"peer": peer, "failure": str(error)})
                print(f"{peer}: {error}", flush=True)
    judged = [row for row in rows if "equal" in row]
    exact = [row for row in judged if row["float"] == 64]
    there = {row["peer"] for row in judged}
    holds = "llm-compressor" in there and not args.tiny and all(row["holds"] for row in judged)
    say_claim(
        name="gptq_agrees",
        value=min((row["equal"] for row in exact), default=float("nan")),
        bar=EQUAL,
        holds=holds,
        n=sum(row["n"] for row in exact),
        peer=", ".join(ORDERS),
        ratio=max((row["ratio"] for row in judged), key=lambda r: abs(r - 1), default=None),
        rows=rows,
    )
    return 0 if holds else 1


def matrices(
    model: Path, text: Lines, args: argparse.Namespace
) -> dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Return weights and the Hessian of their input by name, of the layers that are asked for."""
    loaded = load_decoder(model)
    assert loaded.tokenizer is not None
    sequences = sequences_of(
        Text({lang: lines for lang, (lines, _) in text.items()}),
        loaded.tokenizer,
        list(text),
        tokens=args.tokens,
        length=args.length,
    )
    by_name = {str(lang): each for lang, each in sequences.items()}
    stream = LayerStream(tensors_of(Source(open_gguf(model), {})), by_name)
    found = {}
    for work in stream.layers():
        for kind in KINDS if work.layer in args.layers else ():
            name = f"blk.{work.layer}.{kind}.weight"
            hessian = mixed(work.moments[SITE_OF[kind]])
            found[name] = work.weights[name].numpy().copy(), hessian.numpy()
        if work.layer >= max(args.layers):
            break
    return found


def compared(
    peer: str,
    found: Mapping[str, tuple[NDArray[np.float32], NDArray[np.float32]]],
    folder: Path,
    args: argparse.Namespace,
) -> list[dict[str, Any]]:
    """Return a row an order and precision: all matrices of it together.

    Raises:
        Unavailable: the peer is not there, or its function fails.
    """
    cases = [
        Case(name, w, hessian, order, double)
        for order in ORDERS[peer]
        for name, (w, hessian) in found.items()
        for double in (True, False)
    ]
    theirs = of_peer(peer, cases, folder, args)
    rows, codes64 = [], {}
    by_row: dict[tuple[str, int], list[dict[str, float]]] = {}
    for case, (values, scales) in zip(cases, theirs, strict=True):
        codes = np.rint(grouped(values) / scales[..., None])
        ours = ours_on(case, scales)
        same = (ours == codes).reshape(values.shape)
        mine = (ours * scales[..., None].astype(np.float64)).reshape(values.shape)
        base = case.errors(values)
        seen = {
            "n": float(same.size),
            "same": float(same.sum()),
            "whole_rows": float(same.all(1).mean()),
            "values": float(relative(mine, values)[same].max(initial=0)),
            "ours": case.errors(mine),
            "theirs": base,
        }
        if case.double:
            codes64[case.order, case.name] = codes
        else:
            seen["peer_same"] = float((codes == codes64[case.order, case.name]).sum())
            seen |= {f"own {search}": own_error(case, search) for search in ("minmax", "mse")}
        by_row.setdefault((case.order, 64 if case.double else 32), []).append(seen)
        print(
            f"{peer} {case.order} float{64 if case.double else 32} {case.name}: equal "
            f"{same.mean():.5f}, error ratio {seen['ours'] / base:.6f}",
            flush=True,
        )
    for (order, width), each in by_row.items():
        rows.append({"peer": peer, "order": order, "float": width} | row_of(each, width))
        print(rows[-1], flush=True)
    return rows


def row_of(each: list[dict[str, float]], width: int) -> dict[str, Any]:
    """Return what some matrices say together, and whether the bars are kept."""
    total = {key: sum(seen[key] for seen in each) for key in each[0]}
    shares = [seen["same"] / seen["n"] for seen in each]
    ratios = [seen["ours"] / seen["theirs"] for seen in each]
    row: dict[str, Any] = {
        "equal": min(shares),
        "equal_in_all": total["same"] / total["n"],
        "whole_rows": total["whole_rows"] / len(each),
        "values": max(seen["values"] for seen in each),
        "ratio": total["ours"] / total["theirs"],
        "ratios": [min(ratios), max(ratios)],
        "matrices": len(each),
        "n": int(total["n"]),
    }
    if width == 64:
        good = row["equal"] >= EQUAL and max(abs(r - 1) for r in ratios) <= WITHIN
        return row | {"holds": good}
    peer = total["peer_same"] / total["n"]
    row["peer_with_its_float64"] = peer
    for search in ("minmax", "mse"):
        row[f"ratio of our grids, {search}"] = total[f"own {search}"] / total["theirs"]
    near = 1 - row["equal_in_all"] <= max(1 - EQUAL, 2 * (1 - peer))
    return row | {"holds": near and abs(row["ratio"] - 1) <= WITHIN}


def of_peer(
    peer: str, cases: list[Case], folder: Path, args: argparse.Namespace
) -> list[tuple[Array, Array]]:
    """Return the peer's values (R, C) and scales (R, groups) of every case.

    Raises:
        Unavailable: the peer is not there, or its function fails.
    """
    given, out = folder / "given.npz", folder / f"{peer}.npz"
    arrays = {f"w.{case.name}": case.weight for case in cases}
    np.savez(given, **arrays, **{f"h.{case.name}": case.hessian for case in cases})
    asked = [
        {
            "weight": f"w.{case.name}",
            "hessian": f"h.{case.name}",
            "order": case.order,
            "double": case.double,
        }
        for case in cases
    ]
    spec = {"given": str(given), "out": str(out), "cases": asked, "damp": DAMP}
    spec["threads"] = args.threads
    answer_of("quantise_matrix.py", spec, peer=peer, limit=args.limit)
    with np.load(out, allow_pickle=False) as made:
        return [(made[f"values.{n}"], made[f"scales.{n}"]) for n in range(len(cases))]


def ours_on(case: Case, scales: Array) -> NDArray[np.int16]:
    """Return our codes (R, groups, group) on scales (R, groups) that are given beforehand."""
    kind = torch.float64 if case.double else torch.float32
    hessian = torch.from_numpy(case.hessian)
    config = MethodConfig(order=case.order, damp=DAMP)
    prepared = prepare(hessian, FORMAT, config, name=case.name, dtype=kind)
    arrangement = replace(prepared.arrangement, static=True)
    w = torch.from_numpy(case.weight).T[arrangement.columns].to(kind).contiguous()
    w[prepared.factor.dead] = 0
    grid = Params.rounded(FORMAT.grid, scales[..., None], None)
    lower = prepared.factor.lower
    done = feed_back(w, lower, arrangement, FORMAT, lambda *_: grid, block=config.block)
    return grouped(done.codes)


def own_error(case: Case, search: Search) -> float:
    """Return the error of our GPTQ as it is used: grids of its own, scales in fp16."""
    config = MethodConfig(order=case.order, damp=DAMP)
    prepared = prepare(torch.from_numpy(case.hessian), FORMAT, config, dtype=torch.float32)
    made, _ = gptq(case.weight, prepared, FORMAT, search=search)
    return case.errors(value_format(*made))


def grouped(matrix: NDArray[Any]) -> NDArray[Any]:
    """Return (R, C) as (R, groups, group)."""
    return matrix.reshape(len(matrix), -1, GROUP)


def relative(ours: Array, theirs: Array) -> Array:
    """Return |ours - theirs| over |theirs|; 0 where both are 0."""
    difference = np.abs(ours - theirs)
    return np.divide(difference, np.abs(theirs), out=difference, where=theirs != 0)


def arguments() -> argparse.Namespace:
    """Return the command line's settings."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layers", type=int, nargs="+", default=[0, 10, 20])
    parser.add_argument("--tokens", type=int, default=4096, help="of calibration, a language")
    parser.add_argument("--peers", nargs="+", choices=list(ORDERS), default=list(ORDERS))
    parser.add_argument("--limit", type=float, default=900, help="seconds that a peer may take")
    parser.add_argument("--threads", type=int, default=cores())
    parser.add_argument("--tiny", action="store_true", help="a toy model: nothing is claimed")
    args = parser.parse_args()
    args.length = 64 if args.tiny else 512
    if args.tiny:
        args.tokens, args.layers = 512, [0]
    return args


if __name__ == "__main__":
    sys.exit(main())
