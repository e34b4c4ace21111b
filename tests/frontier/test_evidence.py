"""The command that serves a pick."""

from seemant.frontier.evidence import serve_command


def test_a_variant_is_served_from_the_store() -> None:
    row = {"artefact": "compress/0123456789ab", "ref": "q8", "adapter": None}
    assert serve_command(row) == ["seemant", "serve", "runs/compress/0123456789ab"]


def test_a_tuned_model_is_served_with_its_adapter() -> None:
    row = {"artefact": None, "ref": "embedded:gemma-3-270m", "adapter": "gemma"}
    command = ["seemant", "serve", "embedded:gemma-3-270m", "--adapter"]
    assert serve_command(row) == [*command, "gemma"]
    assert serve_command(row, "runs/quick/nodes") == [*command, "runs/quick/nodes/gemma"]


def test_a_model_without_a_reference_has_no_command() -> None:
    assert serve_command({"artefact": None, "ref": None, "adapter": None}) is None
