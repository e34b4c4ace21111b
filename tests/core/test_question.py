"""What a stage is asked, and how it answers: only the first is its artefact's identity."""

import json
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import ValidationError

from seemant.core.config import HOW, Config, how_fields
from seemant.core.errors import SeemantError, WorldError
from seemant.core.journal import Journal
from seemant.core.manifest import load_manifest
from seemant.core.measurement import Measurement, exact
from seemant.core.stage import Inputs, Stage, execute, identity
from seemant.study.stages import STAGES, stage_named

NEEDED: dict[str, dict[str, Any]] = {"recommend": {"lang": ["hi"]}, "report": {"study": "s"}}
"""What a config cannot do without."""


def others(kind: type[Config], name: str, value: Any) -> Iterator[Any]:
    """Yield other values for a field, by its type and by what it holds."""
    annotation = kind.model_fields[name].annotation
    for each in (annotation, *typing.get_args(annotation)):
        yield from (v for v in typing.get_args(each) if typing.get_origin(each) is typing.Literal)
    yield from (not value, 3, 7, 64, 0.25, 0.5, 2.5, 2e9, "x", ["en"], ["hi"], ["q8_0", "q4_0"])
    yield from ("q4_0", "Q4_0", "plain", ["x"], None, "3", 1.0)


def changed(kind: type[Config], base: Config, name: str) -> Config | None:
    """Return the config with another value in a field; None where none of ours is valid."""
    settings = base.model_dump(mode="json", exclude_defaults=True)
    before = base.model_dump(mode="json")[name]
    for value in others(kind, name, getattr(base, name)):
        try:
            made = kind.model_validate(settings | {name: value})
        except (ValidationError, SeemantError):
            continue
        if made.model_dump(mode="json")[name] != before:
            return made
    return None


@pytest.mark.parametrize("name", STAGES)
def test_every_setting_is_part_of_the_question_unless_it_says_how(name: str) -> None:
    stage = stage_named(name)
    base = stage.config.model_validate(NEEDED.get(name, {}))
    asked = identity(stage, base, {})
    untried = []
    for field in stage.config.model_fields:
        other = changed(stage.config, base, field)
        if other is None:
            untried.append(field)
        elif field in how_fields(stage.config):
            assert identity(stage, other, {}) == asked, field
        elif other.asked() != base.asked():  # settings that follow from others may change too
            assert identity(stage, other, {}) != asked, field
    assert not how_fields(stage.config) & set(untried)
    assert len(untried) <= len(stage.config.model_fields) // 4


def test_threads_and_patience_say_how() -> None:
    expected = {
        "train": {"threads", "memory_limit", "track", "checkpointing", "vocab_block"},
        "pretrain": {"threads", "memory_limit", "checkpointing", "vocab_block"},
        "distill": {"threads", "workers", "timeout_s", "retries", "give_up_after"},
        "probe": {"threads"},
        "compress": {"threads"},
    }
    for name, fields in expected.items():
        assert fields <= how_fields(stage_named(name).config)
    assert "threads" not in how_fields(stage_named("bench").config)  # there it is what is measured


class Slow(Config):
    """Settings of a stage that journals its work."""

    word: str = "a"
    patience: Annotated[int, HOW] = 1


def _run(config: Slow, inputs: Inputs, out: Path) -> list[Measurement]:
    with Journal(out / "journal.jsonl") as journal:
        for n in range(len(journal.entries), 4):
            if n >= config.patience:
                raise WorldError("out of patience")
            journal.append({"n": n, "patience": config.patience})
    return [exact("slow", "length", 4, "entries")]


SLOW = Stage(name="slow", version=1, config=Slow, run=_run, roles={})


def test_work_goes_on_under_another_how_and_the_manifest_holds_both(tmp_path: Path) -> None:
    with pytest.raises(WorldError):
        execute(SLOW, Slow(patience=2), {}, store=tmp_path)
    done = execute(SLOW, Slow(patience=9), {}, store=tmp_path)
    lines = (done.path / "journal.jsonl").read_text().splitlines()
    assert [json.loads(line)["patience"] for line in lines] == [2, 2, 9, 9]
    assert load_manifest(done.path).config == {"word": "a", "patience": 9}
    assert execute(SLOW, Slow(patience=1), {}, store=tmp_path).reused
    assert not execute(SLOW, Slow(word="b", patience=9), {}, store=tmp_path).reused


def test_what_was_given_survives_the_way_to_another_process() -> None:
    there = Slow.model_validate(Slow(patience=1).given())
    assert there.model_fields_set == {"patience"}
    assert there == Slow()
