"""Starts a worker that is to be put under a memory limit: says that it runs, waits for a word.

    python hold.py WORKER.py SPEC.json

What a process took before it was put into a memory group is not charged there, so this comes
before every import of the worker.
"""

import runpy
import sys


def main() -> None:
    """Wait for one line, then become the worker."""
    sys.stdout.write("started\n")
    sys.stdout.flush()
    sys.stdin.readline()
    script = sys.argv.pop(1)
    sys.path[0] = script.rpartition("/")[0]
    runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    main()
