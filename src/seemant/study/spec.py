"""The study file: parameters and nodes, read from YAML with `--set` laid over it."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field, PositiveInt, ValidationError

from seemant.core.config import Config, Key, load_yaml, validate
from seemant.core.errors import BadConfig, BadFile, nearest
from seemant.core.hashing import file_sha256
from seemant.core.stage import Stage
from seemant.study.inputs import check_roles
from seemant.study.languages import (
    chosen_languages,
    laid_in,
    listed,
    narrowed_params,
    without,
)
from seemant.study.pace import Pace
from seemant.study.parameters import Scalar, fill, filled
from seemant.study.stages import stage_named

NodeName = Annotated[str, Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_-]*$")]  # a folder's name too


class Expect(Config):
    """What a node is expected to cost, as measured once on the machine that the file names."""

    seconds: float = 0.0
    memory_mb: int = 0
    disk_mb: int = 0


class NodeSpec(Config):
    """One node: a stage, its inputs by role, its settings."""

    stage: str
    inputs: dict[str, str | None] = Field(default_factory=dict)
    config: dict[str, Any] = Field(default_factory=dict)
    slots: PositiveInt = 1
    """Cores that the node keeps busy; as many nodes run side by side as fit the machine."""
    exclusive: bool = False
    """Nothing else runs beside it: its numbers are times."""
    expect: Expect = Expect()


class StudySpec(Config):
    """A study file."""

    study: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    title: str
    seed: int = 0
    expected_on: str = ""
    """The machine on which the expected costs were measured."""
    expected_pace: Pace | None = None
    """That machine's pace, by which `plan` tells what another one takes (`study/pace.py`)."""
    params: dict[str, Scalar] = Field(default_factory=dict)
    """What `--set NAME=VALUE` may change; a node uses it as ${NAME}, of a list ${NAME.0} too.
    `languages` is laid into every node that has such a setting, `suite` (questions) into probes."""
    nodes: dict[NodeName, NodeSpec]


@dataclass(frozen=True, slots=True)
class Node:
    """A node ready to run but for its inputs: typed config, inputs as written."""

    name: str
    stage: str
    config: Config
    inputs: dict[str, str]
    slots: int
    exclusive: bool
    expect: Expect
    costs_known: bool = True
    """Whether `expect` was said, and of the models that the node works on."""


@dataclass(frozen=True, slots=True)
class Study:
    """A study with all parameters laid in, its nodes in the order of the file."""

    name: str
    title: str
    seed: int
    expected_on: str
    expected_pace: Pace | None
    params: dict[str, Scalar]
    nodes: dict[str, Node]
    source: str = ""
    """The preset's name or the file's path, as it was asked for."""
    sets: tuple[str, ...] = ()
    """What `--set` laid over it."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Nodes that the study's languages leave without work, with the reason."""


def load_study(name_or_path: str, sets: Sequence[str] = ()) -> Study:
    """Return the study of a preset's name or a file's path, with `--set` values laid over it.

    A set is `PARAM=VALUE` or `NODE.KEY=VALUE`; values are read as YAML.

    Raises:
        BadFile: no such file or preset.
        BadConfig: an unknown key or a wrong type; names the key, its line and the nearest one.
    """
    path = find_study(name_or_path)
    value, lines = load_yaml(path)
    spec = validate(StudySpec, value, where=str(path), lines=lines)
    params, settings = _split_sets(spec, sets)
    languages = chosen_languages(params)
    if languages:
        params = narrowed_params({**params, "languages": list(languages)}, languages)
    nodes, left_out = dict[str, Node](), dict[str, str]()
    given = {
        name: {role: fill(text, params) for role, text in _all_others(spec, name).items()}
        for name in spec.nodes
    }
    for name in _in_order(given):
        node = spec.nodes[name]
        at: Key = ("nodes", name)
        stage = _at_line(str(path), lines, (*at, "stage"), lambda n=node: stage_named(n.stage))
        inputs = {role: str(text) for role, text in given[name].items() if text is not None}
        if "suite" in stage.roles and params.get("suite"):
            inputs.setdefault("suite", str(params["suite"]))
        empty = [text for text in node.inputs.values() if text and fill(text, params) is None]
        hint = f"give a value to {' and '.join(empty)}: --set NAME=VALUE" if empty else None
        _at_line(
            str(path), lines, (*at, "inputs"), lambda s=stage, i=inputs: check_roles(s, i), hint
        )
        config = {key: filled(item, params) for key, item in node.config.items()}
        laid = laid_in(config, stage.config, languages) if languages else config
        there = without(inputs, left_out)
        if laid is None or isinstance(there, str):
            left_out[name] = (
                f"it needs {there}" if isinstance(there, str) else "none of its languages is asked"
            )
            continue
        config, inputs = laid, there
        if inputs.get("teacher", "").startswith("openai:"):  # a server is a setting, not a file
            config["teacher"] = inputs.pop("teacher")
        if "seed" in stage.config.model_fields:
            config.setdefault("seed", spec.seed)
        if node.stage == "report":  # how to repeat it: the whole command, the file's hash
            config = {
                "params": list(sets),
                "spec": name_or_path,
                "spec_sha256": file_sha256(path),
            } | config
        for key, item in settings.get(name, {}).items():
            if key not in stage.config.model_fields:
                hint = nearest(key, stage.config.model_fields)
                raise BadConfig(f"unknown key '{name}.{key}'", where="--set", fix=hint)
            config[key] = listed(f"{name}.{key}", item) if key in ("languages", "lang") else item
        typed = validate(stage.config, config, where=str(path), lines=lines, at=(*at, "config"))
        others = _other_models(stage, node, params, spec.params)
        known = "expect" in node.model_fields_set and not others
        for role, text in inputs.items():
            if stage.kind_of(role) in _WEIGHTS and text in nodes:
                known = known and nodes[text].costs_known
        expect = node.expect if known else Expect()
        slots = (node.slots, node.exclusive)
        nodes[name] = Node(name, node.stage, typed, inputs, *slots, expect, known)
    return Study(
        name=spec.study,
        title=str(fill(spec.title, params)),
        seed=spec.seed,
        expected_on=spec.expected_on,
        expected_pace=spec.expected_pace,
        params=params,
        nodes={name: nodes[name] for name in spec.nodes if name in nodes},
        source=name_or_path,
        sets=tuple(sets),
        left_out=left_out,
    )


_WEIGHTS = ("model", "variant", "adapter")  # kinds of inputs whose size makes the cost


def _other_models(
    stage: Stage[Any], node: NodeSpec, params: dict[str, Scalar], usual: dict[str, Scalar]
) -> bool:
    """Return whether a node works on another model than the one that its costs were measured on."""
    models = [
        text
        for role, text in node.inputs.items()
        if stage.kind_of(role) == "model" and text is not None
    ]
    return any(fill(text, params) != fill(text, usual) for text in models)


def _in_order(inputs: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the nodes so that each stands behind what it names; a circle stays at the end."""
    done: list[str] = []
    while waiting := [name for name in inputs if name not in done]:
        ready = [name for name in waiting if not any(o in waiting for o in inputs[name].values())]
        done += ready or waiting
    return done


def find_study(name_or_path: str) -> Path:
    """Return the file that a preset's name or a path means.

    Raises:
        BadFile: there is none; lists the presets.
    """
    path = Path(name_or_path)
    if path.suffix in (".yaml", ".yml") or path.is_file():
        return path
    folders = _preset_folders()
    for folder in folders:
        if (folder / f"{name_or_path}.yaml").is_file():
            return folder / f"{name_or_path}.yaml"
    presets = {file.stem for folder in folders for file in folder.glob("*.yaml")}
    raise BadFile(f"no study file or preset {name_or_path!r}", fix=nearest(name_or_path, presets))


def _preset_folders() -> list[Path]:
    beside = Path(__file__).parents[3] / "studies"  # a source checkout
    installed = Path(sys.prefix) / "share" / "seemant" / "studies"
    return [folder for folder in (Path("studies"), beside, installed) if folder.is_dir()]


def _split_sets(
    spec: StudySpec, sets: Sequence[str]
) -> tuple[dict[str, Scalar], dict[str, dict[str, Any]]]:
    params = dict(spec.params)
    settings: dict[str, dict[str, Any]] = {}
    for text in sets:
        key, equals, raw = text.partition("=")
        if not equals:
            raise BadConfig(f"cannot read --set {text!r}", fix="write NAME=VALUE or NODE.KEY=VALUE")
        try:
            value = yaml.safe_load(raw)
        except yaml.YAMLError as error:
            raise BadConfig(f"not a YAML value: {raw!r}", where=f"--set {key}") from error
        node, dot, inner = key.partition(".")
        if dot and node in spec.nodes:
            settings.setdefault(node, {})[inner] = value
        elif key in params:
            params[key] = value
        else:
            known = [*params, *spec.nodes] if dot else list(params)
            raise BadConfig(f"nothing to set at {key!r}", where="--set", fix=nearest(node, known))
    return params, settings


def _all_others(spec: StudySpec, name: str) -> dict[str, str | None]:
    """Return a node's inputs, where `ROLE/*: "*"` stands for every other node."""
    inputs: dict[str, str | None] = {}
    for role, text in spec.nodes[name].inputs.items():
        if role.endswith("/*") and text == "*":
            inputs |= {f"{role[:-1]}{other}": other for other in spec.nodes if other != name}
        else:
            inputs[role] = text
    return inputs


def _at_line(path: str, lines: dict[Key, int], key: Key, act: Any, hint: str | None = None) -> Any:
    """Run `act`; where it finds the file wrong, say on which line."""
    try:
        return act()
    except (BadConfig, ValidationError) as error:
        what = error.what if isinstance(error, BadConfig) else str(error)
        fix = error.fix if isinstance(error, BadConfig) else None
        place = f"{path}:{lines.get(key, lines.get(key[:-1], 1))}"
        raise BadConfig(what, where=place, fix=fix or hint) from error
