"""Where a process computes: on the GPU of its rank where there is one, else on the CPU."""

import os
from collections.abc import Mapping

import torch

# cuBLAS gives the same bytes every time only with workspaces of a fixed size (NVIDIA's manual,
# "Results reproducibility"); it reads the setting when a process first uses it.
_WORKSPACE = ("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


def device_of_environment(environment: Mapping[str, str] = os.environ) -> str:
    """Return this rank's device: the GPU of its LOCAL_RANK where there are GPUs, else "cpu"."""
    if torch.cuda.is_available():
        return f"cuda:{environment.get('LOCAL_RANK', '0')}"
    return "cpu"


def make_ready(device: str | torch.device) -> torch.device:
    """Make a GPU this process's own, before anything lands on GPU 0; return the device.

    Nothing is done for a CPU.
    """
    device = torch.device(device)
    if device.type == "cuda":
        fix_workspace()
        torch.cuda.set_device(device)
    return device


def fix_workspace() -> None:
    """Give cuBLAS workspaces of a fixed size, unless the user has chosen; call it before CUDA."""
    os.environ.setdefault(*_WORKSPACE)
