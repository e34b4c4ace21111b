"""What a case stands on: a scratch folder, the shared inputs, the command line, a teacher."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

TIMEOUT_S = 600


@dataclass(frozen=True, slots=True)
class Done:
    """What a command left: its exit code, its standard output and its standard error."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        """Everything that a user sees."""
        return self.out + self.err


@dataclass(frozen=True, slots=True)
class Place:
    """A case's own scratch folder `w` inside a copy of the shared inputs (`inputs`)."""

    inputs: Path
    w: Path

    def seemant(self, *words: str | Path, env: Mapping[str, str] | None = None) -> Done:
        """Run the command line as a user would, in the folder of the inputs."""
        return self.run([sys.executable, "-m", "seemant", *words], env=env)

    def python(self, *words: str | Path, env: Mapping[str, str] | None = None) -> Done:
        """Run one of the inputs' own scripts."""
        return self.run([sys.executable, *words], env=env)

    def run(self, words: list[str | Path], env: Mapping[str, str] | None = None) -> Done:
        """Run a command in the folder of the inputs; past TIMEOUT_S it counts as exit 124."""
        try:
            done = subprocess.run(
                [str(word) for word in words],
                cwd=self.inputs,
                env={**os.environ, **(env or {})},
                capture_output=True,
                text=True,
                timeout=TIMEOUT_S,
            )
        except subprocess.TimeoutExpired as late:
            return Done(124, str(late.stdout or ""), str(late.stderr or ""))
        return Done(done.returncode, done.stdout, done.stderr)

    @contextmanager
    def teacher(self, mode: str) -> Iterator[str]:
        """Start the shared misbehaving teacher; yields its reference (`openai:...`)."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        process = subprocess.Popen(
            [sys.executable, "teacher.py", str(port), mode, "600"],
            cwd=self.inputs,
            stdout=subprocess.DEVNULL,
        )
        try:
            for _ in range(100):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.1)
            yield f"openai:http://127.0.0.1:{port}/v1#m"
        finally:
            process.kill()
            process.wait()


@dataclass(frozen=True, slots=True)
class Case:
    """One input in one form. `check` returns None when all is right, else what was seen.

    `number` is the input's in the shared folder's README, or a word for a kind found since.
    """

    number: str
    form: str
    check: Callable[[Place], str | None]


def refused(done: Done, *words: str) -> str | None:
    """Say what is wrong when a command was not refused in a sentence that has these words."""
    if done.code != 2:
        return f"exit {done.code}, not 2: {done.said[-300:]!r}"
    if "Traceback" in done.said:
        return "a traceback"
    missing = [word for word in words if word.lower() not in done.said.lower()]
    return f"no {missing} in {done.said[-300:]!r}" if missing else None


def went_well(done: Done) -> str | None:
    """Say what is wrong when a command did not end with 0."""
    return None if done.code == 0 else f"exit {done.code}: {done.said[-300:]!r}"


@contextmanager
def serving(place: Place, model: str, *flags: str) -> Iterator[str]:
    """Serve a model on a free port; give the address, which ends in /v1.

    Raises:
        RuntimeError: no server; with the end of what it said.
    """
    words = ["serve", model, "--port", "0", "--json", *flags]
    process = subprocess.Popen(
        [sys.executable, "-m", "seemant", *words],
        cwd=place.inputs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"no server: {process.communicate()[1][-200:]}")
        yield json.loads(line)["address"]
    finally:
        process.kill()
        process.wait()
