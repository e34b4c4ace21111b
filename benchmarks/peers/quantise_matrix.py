"""Round single matrices with a peer's own GPTQ function: same weights, Hessian, damping, order.

    python quantise_matrix.py '{"peer": "llm-compressor", "given": IN.npz, "out": OUT.npz,
                                "cases": [{"weight": ..., "hessian": ..., "order": ...,
                                           "double": false}], "damp": 0.01, "threads": 1}'

IN holds the arrays that the cases name. OUT gets `values.I` (R, C) and `scales.I` (R, groups) of
case I: 4 bits, symmetric, groups of 32, min-max scales. double: the peer's loop in float64.
Nothing of seemant is imported: this runs in the peer's venv.

Both peers' symmetric grids put the largest weight of a group exactly on 7.5 steps, a tie, and the
last bit of a division decides between -7 and -8. GPTQModel meets such a tie wherever a group's
first column holds its largest weight; so its scales are made larger by 2^-10 as they are fitted.
llm-compressor's are as they are.
"""

import json
import os
import sys
from typing import Any

import numpy as np
from quantise_peer import BITS, GROUP, _without_torchvision

OFF_TIES = 1 + 2**-10


def main() -> None:
    """Do the work and print one JSON object."""
    spec: dict[str, Any] = json.loads(sys.argv[1])
    out = os.dup(1)
    os.dup2(2, 1)  # libraries print
    import torch

    torch.set_num_threads(spec["threads"])
    run = {"llm-compressor": llm_compressor, "gptqmodel": gptqmodel}[spec["peer"]]
    made = {}
    with np.load(spec["given"], allow_pickle=False) as given:
        for number, case in enumerate(spec["cases"]):
            kind = torch.float64 if case["double"] else torch.float32
            w = torch.from_numpy(given[case["weight"]]).to(kind)
            hessian = torch.from_numpy(given[case["hessian"]]).to(kind)
            values, scales = run(w, hessian, case["order"], spec["damp"])
            made[f"values.{number}"] = values.detach().numpy()
            made[f"scales.{number}"] = scales.detach().numpy()
    np.savez(spec["out"], **made)
    os.write(out, (json.dumps({"cases": len(spec["cases"])}) + "\n").encode())


def llm_compressor(w: Any, hessian: Any, order: str, damp: float) -> tuple[Any, Any]:
    """Its `quantize_weight`, and the scales of its min-max observer; all of them beforehand."""
    from compressed_tensors.quantization import QuantizationArgs
    from compressed_tensors.quantization.utils import calculate_qparams
    from llmcompressor.modifiers.gptq import gptq_quantize

    gptq_quantize.GPTQ_PRECISION = w.dtype
    act = "static" if order == "act" else None
    args = QuantizationArgs(
        num_bits=BITS, symmetric=True, strategy="group", group_size=GROUP, actorder=act
    )
    groups = w.float().unflatten(1, (-1, GROUP))
    scale, zero = calculate_qparams(groups.amin(-1), groups.amax(-1), args)
    scale = scale.to(w.dtype)
    values, _, fallen_back = gptq_quantize.quantize_weight(
        weights=w[None].clone(),
        hessians=hessian[None].clone(),
        scale=scale[None],
        zero_point=zero[None],
        global_scale=None,
        quant_args=args,
        blocksize=128,
        percdamp=damp,
    )
    if bool(fallen_back.any()):
        raise SystemExit("it could not factor the Hessian and rounded to nearest")
    return values[0], scale


def gptqmodel(w: Any, hessian: Any, order: str, damp: float) -> tuple[Any, Any]:
    """Its `GPTQ.quantize`: a group's scale is fitted on weights as they are when its turn comes."""
    _without_torchvision()
    import torch
    from gptqmodel import QuantizeConfig
    from gptqmodel.quantization.gptq import GPTQ

    config = QuantizeConfig(
        bits=BITS,
        group_size=GROUP,
        sym=True,
        desc_act=False,
        act_group_aware=order == "groups",
        damp_percent=damp,
        damp_auto_increment=0.0,
        fallback=None,
        offload_to_disk=False,
        device="cpu",
    )
    module = torch.nn.Linear(w.shape[1], w.shape[0], bias=False)
    module.weight = torch.nn.Parameter(w, requires_grad=False)
    worker = GPTQ(module, config)
    worker.quantizer.configure(perchannel=True)
    fit = worker.quantizer.find_params

    def off_ties(x: Any, weight: bool = False) -> None:
        fit(x, weight=weight)
        worker.quantizer.scale = worker.quantizer.scale * OFF_TIES

    worker.quantizer.find_params = off_ties
    worker.module_copy, worker.H, worker.nsamples = w.clone(), hessian.clone(), 1
    values, scale, *_, used, _ = worker.quantize(blocksize=128)
    if used != damp:
        raise SystemExit(f"it damped by {used}, not by {damp}")
    return values, scale


if __name__ == "__main__":
    main()
