"""What of a study is already there: nodes whose question was answered before."""

from pathlib import Path

from seemant.core.errors import SeemantError
from seemant.core.manifest import is_whole, load_manifest
from seemant.core.stage import Input, identity
from seemant.study.graph import order
from seemant.study.inputs import as_input, role_kind
from seemant.study.spec import Node, Study
from seemant.study.stages import stage_named


def finished(study: Study, store: Path) -> dict[str, Path]:
    """Return the artefacts of those nodes whose answers are whole in the store."""
    found: dict[str, Path] = {}
    for name in order(study):
        try:
            inputs = node_inputs(study.nodes[name], found, study)
        except (KeyError, SeemantError):
            continue  # something that it needs is not there yet
        artefact = artefact_folder(study.nodes[name], inputs, store)
        if is_whole(artefact):
            found[name] = artefact
    return found


def artefact_folder(node: Node, inputs: dict[str, Input], store: Path) -> Path:
    """Return the folder that belongs to a node's question."""
    stage = stage_named(node.stage)
    return store / stage.name / identity(stage, node.config, inputs)


def node_inputs(node: Node, artefacts: dict[str, Path], study: Study) -> dict[str, Input]:
    """Return a node's inputs, taken from the artefacts of the nodes that it names.

    Raises:
        KeyError: a node that it needs has no artefact yet.
        SeemantError: a file or a model that it names is not there.
    """
    stage = stage_named(node.stage)
    inputs = {}
    for role, text in node.inputs.items():
        if text in study.nodes:
            artefact = artefacts[text]
            inputs[role] = Input(artefact, text, load_manifest(artefact).content_sha256)
        else:
            inputs[role] = as_input(text, role_kind(stage, role))
    return inputs
