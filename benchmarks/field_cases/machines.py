"""Machines, users, folders and terminals as people have them (inputs 19, 20, 21, 26 and more)."""

import json
import os
import shlex
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from field_cases.place import Case, Done, Place, refused, went_well

SEEMANT = f"{shlex.quote(sys.executable)} -m seemant"
SAMPLE = ("corpus", "sample", "paragraphs.jsonl", "--n", "4", "--out", "w/f")
TINY_TRAIN = ("--steps", "2", "--languages", "hi", "--max-length", "1024", "--rank", "2")
TINY_TRAIN += ("--template", "plain")  # the tiny vocabulary has no piece for a template's turns
AVX2 = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}
SSE = {"ONEDNN_MAX_CPU_ISA": "SSE41", "ATEN_CPU_CAPABILITY": "default"}

# A user without a name and a home, where this one cannot become another: as Python sees it.
NOBODY = """
import os, pwd, sys
def getpwuid(uid): raise KeyError(f"getpwuid(): uid not found: {uid}")
pwd.getpwuid = getpwuid
from seemant.cli.main import main
sys.argv = ["seemant", *sys.argv[1:]]
main()
"""
# A call of the system that a filesystem does not have, or refuses.
LACKING = """
import errno, fcntl, os, sys
name, number, args = sys.argv[1], getattr(errno, sys.argv[2]), sys.argv[3:]
def refuse(*given, **named): raise OSError(number, os.strerror(number))
setattr(fcntl if name == "flock" else os, name, refuse)
from seemant.cli.main import run
sys.exit(run(args))
"""


def bash(place: Place, line: str, env: Mapping[str, str] | None = None) -> Done:
    """Run a line of the shell in the folder of the inputs."""
    return place.run(["bash", "-c", line], env=env)


def one_sentence(done: Done, code: int, *words: str) -> str | None:
    """Say what is wrong when a command did not end with this code and these words."""
    if done.code != code:
        return f"exit {done.code}, not {code}: {done.said[-300:]!r}"
    if "Traceback" in done.said or "Exception ignored" in done.said:
        return f"a traceback: {done.said[-300:]!r}"
    missing = [word for word in words if word.lower() not in done.said.lower()]
    return f"no {missing} in {done.said[-300:]!r}" if missing else None


def sampled(done: Done, folder: Path) -> str | None:
    """Say what is wrong when four paragraphs were not sampled."""
    if wrong := one_sentence(done, 0):
        return wrong
    n = len((folder / "paragraphs.jsonl").read_bytes().splitlines())
    return None if n == 4 else f"{n} paragraphs, not 4"


def nobody(place: Place, *words: str, **env: str) -> Done:
    """Run a command as a user without a passwd entry, HOME unset: really so where root asks."""
    dropped = ("HOME", "USER", "LOGNAME", "XDG_CACHE_HOME", "SEEMANT_CACHE")
    bare = ["env", *(f"--unset={name}" for name in dropped), *(f"{k}={v}" for k, v in env.items())]
    if os.getuid() == 0 and shutil.which("setpriv"):
        for folder in (place.inputs.parent, place.inputs, place.w):
            folder.chmod(0o777)
        other = ["setpriv", "--reuid", "54321", "--clear-groups"]
        # The interpreter has to be theirs too: below root's own home they cannot start it anew.
        anew = "import subprocess, sys; subprocess.run([sys.executable, '-m', 'seemant'], check=1)"
        if place.run([*bare, *other, sys.executable, "-c", anew]).code == 0:
            return place.run([*bare, *other, sys.executable, "-m", "seemant", *words])
    return place.run([*bare, sys.executable, "-c", NOBODY, *words])


def no_home_works(place: Place) -> str | None:
    """A command that needs no cache."""
    return sampled(nobody(place, *SAMPLE), place.w / "f")


def no_home_trains(place: Place) -> str | None:
    """The memory plan of a model whose shapes are a file: what it learns can be kept nowhere."""
    words = ("train", "config:google/gemma-3-1b-it", "--plan", "--compute", "bfloat16")
    return one_sentence(nobody(place, *words), 0, "peak")


def no_home_asks_for_a_cache(place: Place) -> str | None:
    """A command that needs the cache."""
    done = nobody(place, "chat", "embedded:smollm2-135m-instruct", "--message", "the")
    return one_sentence(done, 1, "SEEMANT_CACHE", "HOME")


def no_home_takes_the_named_cache(place: Place) -> str | None:
    """A command that needs the cache, which is named and empty."""
    cache = str(place.w / "cache")
    done = nobody(place, "chat", "embedded:smollm2-135m-instruct", SEEMANT_CACHE=cache)
    return one_sentence(done, 2, "models fetch")


def no_home_has_a_doctor(place: Place) -> str | None:
    """Doctor goes on after the cache that it cannot find."""
    return one_sentence(nobody(place, "doctor"), 0, "SEEMANT_CACHE", "packages")


def lacking(kind: str) -> Case:
    """One of the shared script's two filesystems."""

    def check(place: Place) -> str | None:
        done = place.python("odd_filesystem.py", kind, *SAMPLE)
        if kind == "flock" and "warning" not in done.err:
            return f"no warning: {done.err[-200:]!r}"
        return sampled(done, place.w / "f")

    return Case("20" if kind == "dirsync" else "21", kind, check)


def without(call: str, number: str, warns: bool = False) -> Case:
    """A filesystem that answers a call with this error."""

    def check(place: Place) -> str | None:
        done = place.run([sys.executable, "-c", LACKING, call, number, *SAMPLE])
        if warns and "warning" not in done.err:
            return f"no warning: {done.err[-200:]!r}"
        return sampled(done, place.w / "f")

    return Case("20" if call == "fsync" else "21", f"{call} gives {number}", check)


def full_disk(place: Place) -> str | None:
    """A disk error that is not a missing call stays an error."""
    done = place.run([sys.executable, "-c", LACKING, "fsync", "ENOSPC", *SAMPLE])
    return one_sentence(done, 1, "no space left", "run it again")


def failing_disk(place: Place) -> str | None:
    """Nor is a device that fails."""
    done = place.run([sys.executable, "-c", LACKING, "fsync", "EIO", *SAMPLE])
    return one_sentence(done, 1, "input/output error")


def small_file_limit(place: Place) -> str | None:
    """A file at the largest size that the system allows."""
    done = bash(place, f"ulimit -f 0; {SEEMANT} {shlex.join(SAMPLE)}")
    return one_sentence(done, 1, "larger than the system allows")


def held(form: str, env: Mapping[str, str], *words: str, says: str, **more: str) -> Case:
    """A command on a CPU that is held to fewer instructions."""

    def check(place: Place) -> str | None:
        cache = {"SEEMANT_CACHE": str(place.w / "cache")} if "cache" in more else {}
        return one_sentence(place.seemant(*words, env={**env, **cache}), 0, says)

    return Case("26", form, check)


def trained(form: str, env: Mapping[str, str], *words: str) -> Case:
    """A training with bfloat16 asked for, on a CPU that does not gain by it: one line says so."""

    def check(place: Place) -> str | None:
        fact = place.python("tiny_chat.py", "GENERATION", "w/c.gguf")
        if wrong := went_well(fact):
            return wrong
        done = place.seemant(
            "train", "w/c.gguf", "pairs_bom.jsonl", *TINY_TRAIN, "--out", "w/t", *words, env=env
        )
        if wrong := one_sentence(done, 0):
            return wrong
        lines = [line for line in done.err.splitlines() if line.startswith("float32 in place of")]
        if len(lines) != ("bfloat16" in words):
            return f"{len(lines)} lines on float32: {done.err[-300:]!r}"
        manifest = json.loads((place.w / "t/manifest.json").read_text(encoding="utf-8"))
        used = {m["conditions"].get("compute", "float32") for m in manifest["measurements"]}
        return None if used == {"float32"} else f"computed in {used}"

    return Case("26", form, check)


def locale(form: str, **env: str) -> Case:
    """A file whose name and text are Hindi, under a locale."""

    def check(place: Place) -> str | None:
        shutil.copy(place.inputs / "paragraphs.jsonl", place.inputs / "पाठ.jsonl")
        words = ("corpus", "sample", "पाठ.jsonl", "--n", "4", "--out", "w/f")
        return sampled(place.seemant(*words, env=env), place.w / "f")

    return Case("locale", form, check)


def path(form: str, name: str) -> Case:
    """An input and a result at an odd place."""

    def check(place: Place) -> str | None:
        source, out = place.w / f"{name}.jsonl", place.w / "results" / name
        shutil.copy(place.inputs / "paragraphs.jsonl", source)
        done = place.seemant("corpus", "sample", source, "--n", "4", "--out", out)
        return sampled(done, out)

    return Case("path", form, check)


def line(number: str, form: str, command: str, code: int, *words: str, **env: str) -> Case:
    """A line of the shell, S being the command."""

    def check(place: Place) -> str | None:
        text = command.replace("SAMPLE", shlex.join(SAMPLE)).replace("S ", f"{SEEMANT} ", 1)
        return one_sentence(bash(place, text, env), code, *words)

    return Case(number, form, check)


def read_only_result(place: Place) -> str | None:
    """A finished artefact is taken from a store that cannot be written."""
    if wrong := sampled(place.seemant(*SAMPLE), place.w / "f"):
        return wrong
    done = place.run([sys.executable, "-c", LACKING, "open", "EROFS", *SAMPLE])
    return one_sentence(done, 0, "already there")


def latin_name(place: Place) -> str | None:
    """A file whose name is not UTF-8 is refused by name."""
    name = os.fsdecode(b"caf\xe9.jsonl")
    shutil.copy(place.inputs / "paragraphs.jsonl", place.inputs / name)
    return refused(place.seemant("corpus", "sample", name, "--n", "4", "--out", "w/f"), "UTF-8")


CASES = (
    Case("19", "a command without need of a cache", no_home_works),
    Case("19", "a plan that cannot be kept", no_home_trains),
    Case("19", "a model of the cache", no_home_asks_for_a_cache),
    Case("19", "the cache is named", no_home_takes_the_named_cache),
    Case("19", "doctor", no_home_has_a_doctor),
    lacking("dirsync"),
    without("fsync", "EINVAL"),
    without("fsync", "ENOSYS"),
    without("fsync", "EOPNOTSUPP"),
    Case("20", "fsync gives ENOSPC", full_disk),
    Case("20", "fsync gives EIO", failing_disk),
    lacking("flock"),
    without("flock", "ENOSYS", warns=True),
    without("flock", "EOPNOTSUPP", warns=True),
    without("flock", "EBADF", warns=True),
    without("symlink", "EPERM"),
    without("link", "EPERM"),
    Case("disk", "a largest size of files", small_file_limit),
    Case("disk", "a read-only store", read_only_result),
    held("doctor, AVX2", AVX2, "doctor", says="computed in float32", cache="empty"),
    held("doctor, SSE4.1", SSE, "doctor", says="computed in float32", cache="empty"),
    held("recipe nano", AVX2, "train", "--recipe", "nano", "--plan", says="float32 in place of"),
    trained("bfloat16, AVX2", AVX2, "--compute", "bfloat16"),
    trained("bfloat16, SSE4.1", SSE, "--compute", "bfloat16"),
    trained("memory limit, AVX2", AVX2, "--memory-limit", "1.5GB"),
    trained("both, AVX2", AVX2, "--memory-limit", "1.5GB", "--compute", "bfloat16"),
    locale("C", LC_ALL="C"),
    locale("C without UTF-8 mode", LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0"),
    locale("streams in ASCII", LC_ALL="C", PYTHONUTF8="0", PYTHONIOENCODING="ascii"),
    locale("one that is not there", LC_ALL="tr_TR.ISO-8859-9", PYTHONUTF8="0"),
    path("spaces", "a folder of mine"),
    path("Devanagari", "मेरा पाठ"),
    path("a line end", "one\ntwo"),
    path("signs of the shell", "a'b\"c$(d)&;*"),
    Case("path", "bytes that are not UTF-8", latin_name),
    line("path", "a linked store", "ln -s . w/l; S SAMPLE --store w/l", 0),
    line("path", "a link to nowhere", "ln -s nowhere w/f; S SAMPLE", 2, "a link"),
    line("path", "a link to itself", "ln -s f w/f; S SAMPLE", 2, "a link"),
    line("path", "a file in the way", "touch w/f; S SAMPLE", 2, "not a directory"),
    line("terminal", "none", "S SAMPLE </dev/null 2>&1 | cat", 0, "w/f", TERM=""),
    line("terminal", "all streams closed", "S SAMPLE <&- >&- 2>&-", 0),
    line("terminal", "a reader that leaves", "set -o pipefail; S models list | true", 0),
    line("terminal", "a reader of the help that leaves", "set -o pipefail; S --help | true", 0),
    line("terminal", "output without room", "S models list >/dev/full", 1, "no space left"),
    line("terminal", "five columns", "S train --help", 0, "--steps", COLUMNS="5", TERM="dumb"),
    line("terminal", "no columns", "S train --help", 0, "--steps", COLUMNS="0"),
)
