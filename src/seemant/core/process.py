"""Child processes that never outlive their parent, so that a killed run leaves nobody at work."""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
_PARENT = "SEEMANT_PARENT"  # the number of the process that started this one


def die_with_parent() -> None:
    """Ask the kernel to kill this process when its parent dies; called first thing in a child.

    Linux only; elsewhere a child ends when it next finds its pipes closed.
    """
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    parent = os.environ.get(_PARENT)
    if parent is not None and os.getppid() != int(parent):  # it died before we asked
        os._exit(1)


def child_environment(threads: int = 1) -> dict[str, str]:
    """Return the environment of a child: every numeric library held to `threads` threads."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS")
    return {
        **os.environ,
        **dict.fromkeys(names, str(threads)),
        _PARENT: str(os.getpid()),
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": os.environ.get("HF_HUB_OFFLINE", "1"),
    }
