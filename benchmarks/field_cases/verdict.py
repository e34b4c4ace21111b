"""What is said of models in plain words: small study folders, judged by the command line."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict

from field_cases.place import Case, Place
from seemant.core.config import Config
from seemant.core.measurement import Measurement, of_interval
from seemant.core.stage import Done, Input, Stage, execute
from seemant.stats.clusters import proportion

LANGUAGES = ("hi", "kn")


class _Any(Config):
    model_config = ConfigDict(frozen=True, extra="allow")


@dataclass(frozen=True, slots=True)
class Model:
    """A model to put into a study: right answers of how many, by language.

    right None: it was asked by likelihood alone. kld: as deployed, of a variant.
    """

    right: Mapping[str, int] | None
    asked: int = 43
    megabytes: float = 150.0
    kld: float = 0.02
    margin: float = 0.5


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is right for a study: the verdict, the word, and words that the answer must hold."""

    verdict: str
    word: str
    held: tuple[str, ...] = ()
    settings: tuple[str, ...] = field(default=())


Lies = Literal["study", "folder", "each", "unranked"]
"""How the artefacts lie: a study, a folder of them, each named, a folder without a frontier."""


def _case(form: str, model: Model, wanted: Wanted, lies: Lies = "study") -> Case:
    def check(place: Place) -> str | None:
        store = place.w / "runs"
        folder = _study(store, model)
        if lies != "study":
            shutil.rmtree(folder)
        given = {
            "study": [folder],
            "folder": [store],
            "each": [manifest.parent for manifest in sorted(store.glob("*/*/manifest.json"))],
            "unranked": [store],
        }[lies]
        if lies != "unranked":
            ranked = place.w / "frontier"
            made = place.seemant("frontier", *given, "--out", ranked, "--resamples", "50")
            if made.code != 0:
                return f"frontier: exit {made.code}: {made.said[-300:]}"
            if "m/q" not in made.out:
                return f"frontier names no candidate: {made.out!r}"
            given = [ranked]
        asked = ["recommend", *given, "--device", "file-200mb", "--lang", *LANGUAGES]
        asked += ["--resamples", "50", *wanted.settings]
        spoken = place.seemant(*asked)
        answer = place.seemant(*asked, "--json")
        if spoken.code != 0 or answer.code != 0:
            return f"recommend: exit {spoken.code}, {answer.code}: {spoken.said[-300:]}"
        request = json.loads(answer.out)["requests"][0]
        if (request["verdict"], request["word"]) != (wanted.verdict, wanted.word):
            return f"{request['verdict']}, {request['word']}: {request['why']}"
        missing = [word for word in wanted.held if word not in spoken.out]
        return f"no {missing} in {spoken.out!r}" if missing else None

    return Case("verdict", form, check)


def _study(store: Path, model: Model) -> Path:
    """Lay down a study of one variant, with its probe, its divergence and a bench."""
    variant = _artefact(
        store,
        "compress",
        {
            "variant.json": json.dumps({"subject": "m/q", "file_bytes": model.megabytes * 1e6}),
            "model.gguf": "x",
        },
        [],
        {},
    )
    given = {"model": Input(variant.path, "q", variant.manifest.content_sha256)}
    about = {"variant": given["model"]}
    scores, figures = "", []
    for lang in LANGUAGES:
        for i in range(model.asked):
            score = {"probe_id": f"f{i}.{lang}", "family": f"f{i}", "lang": lang}
            margin = model.margin + 0.1 * (-1) ** i
            scores += json.dumps({**score, "category": "facts", "pmi_margin": margin}) + "\n"
        if model.right is not None:
            ones = [float(i < model.right[lang]) for i in range(model.asked)]
            share = proportion(ones, list(range(model.asked)))
            figures.append(of_interval("m/q", "accuracy", lang, share, {}, "share"))
    probe = _artefact(store, "probe", {"scores.jsonl": scores}, figures, given)
    klds = [
        Measurement(subject="m/q", metric="kld", lang=lang, value=model.kld, unit="nats/token",
                    ci_method="none: a case", n=1, conditions={"route": "deployed"})
        for lang in LANGUAGES
    ]  # fmt: skip
    divergence = _artefact(store, "divergence", {"x": "x"}, klds, about)
    folder = store / "mine"
    folder.mkdir()
    made = {"q": variant, "p": probe, "d": divergence}
    nodes = {
        name: {"stage": done.manifest.stage, "needs": [], "artefact": str(done.path)}
        for name, done in made.items()
    }
    state = {"study": "mine", "title": "mine", "params": {}, "nodes": nodes}
    (folder / "study.json").write_text(json.dumps(state), encoding="utf-8")
    return folder


def _artefact(
    store: Path,
    stage: str,
    files: Mapping[str, str],
    measurements: list[Measurement],
    inputs: Mapping[str, Input],
) -> Done:
    def run(config: Any, inputs: Any, out: Path) -> list[Measurement]:
        for name, content in files.items():
            (out / name).write_text(content, encoding="utf-8")
        return measurements

    toy = Stage(name=stage, version=1, config=_Any, run=run, roles=dict.fromkeys(inputs, "any"))
    return execute(toy, _Any(), inputs, store=store)


def _both(right: int) -> dict[str, int]:
    return dict.fromkeys(LANGUAGES, right)


TWO = "2 of 43 right in Hindi"
CASES = (
    _case("2 of 43", Model(_both(2)),
          Wanted("unfit", "no better than guessing", (TWO, "floor    min_right (0.5)", "next "))),
    _case("2 of 43, with the largest margin", Model(_both(2), margin=5.0),
          Wanted("unfit", "no better than guessing", (TWO,))),
    _case("2 of 43, the floor turned off", Model(_both(2)),
          Wanted("unfit", "no better than guessing", (TWO,), ("--min-right", "0"))),
    _case("2 of 43 in one language alone", Model({"hi": 43, "kn": 2}),
          Wanted("unfit", "no better than guessing", ("43 of 43 right in Hindi", "2 of 43 right"))),
    _case("none of 43", Model(_both(0)), Wanted("unfit", "no better than guessing", ("0 of 43",))),
    _case("half of 43", Model(_both(22)), Wanted("unfit", "weak", ("22 of 43", "larger model"))),
    _case("half of 43, a lower floor", Model(_both(22)),
          Wanted("fit", "good", (), ("--min-right", "0.2"))),
    _case("all of 43", Model(_both(43)), Wanted("fit", "good", ("43 of 43", "take     m/q"))),
    _case("all of 43, a floor that none reaches", Model(_both(43)),
          Wanted("unfit", "weak", ("min_right (0.99)",), ("--min-right", "0.99"))),
    _case("all of 8", Model(_both(8), asked=8), Wanted("fit", "good", ("8 of 8",))),
    _case("all of 5", Model(_both(5), asked=5),
          Wanted("unfit", "not enough evidence", ("5 of 5", "seemant probe"))),
    _case("3 of 8", Model(_both(3), asked=8), Wanted("unfit", "not enough evidence")),
    _case("never let answer", Model(None),
          Wanted("unfit", "not enough evidence", ("no answer was read in Hindi",))),
    _case("never let answer, the floor turned off", Model(None),
          Wanted("fit", "not enough evidence", (), ("--min-right", "0"))),
    _case("damaged, all of 43", Model(_both(43), kld=4.6),
          Wanted("unfit", "damaged by compression", ("undamaged", "--method gptq", "--search"))),
    _case("damaged a little over the limit", Model(_both(43), kld=0.51),
          Wanted("unfit", "damaged by compression")),
    _case("damaged just below the limit", Model(_both(43), kld=0.49), Wanted("fit", "good")),
    _case("too big, all of 43", Model(_both(43), megabytes=4000.0),
          Wanted("unfit", "too big", ("max_file", "--budget 200MB"))),
    _case("too big and damaged", Model(_both(2), megabytes=201.0, kld=4.6),
          Wanted("unfit", "too big")),
    _case("loose artefacts in a folder, 2 of 43", Model(_both(2)),
          Wanted("unfit", "no better than guessing", (TWO,)), "folder"),
    _case("loose artefacts, each named, all of 43", Model(_both(43)),
          Wanted("fit", "good", ("43 of 43", "take     m/q")), "each"),
    _case("loose artefacts, no frontier made, damaged", Model(_both(43), kld=4.6),
          Wanted("unfit", "damaged by compression", ("undamaged",)), "unranked"),
    _case("loose artefacts, no frontier made, too big", Model(_both(43), megabytes=4000.0),
          Wanted("unfit", "too big", ("max_file",)), "unranked"),
)  # fmt: skip
