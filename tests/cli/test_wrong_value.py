"""A wrong value of a flag, in the project's own words: what, where, what to do."""

import pytest

from seemant.cli.main import run


@pytest.mark.parametrize(
    ("command", "what", "where", "fix"),
    [
        ("compress M --group 48", "'48' should be a multiple of 32", "--group", "per channel"),
        ("compress M --bits 9", "'9' should be less than or equal to 8", "--bits", "2 to 8"),
        ("compress M --method gptx", "no method 'gptx'", "--method", "gptq"),
        ("compress M --embedding-method x", "no method 'x'", "--embedding-method", "one of"),
        ("compress M --format q9", "no format 'q9'", "--format", "q4_0"),
        ("compress M --formats a", "'a' is not TENSOR=FORMAT", "--formats", "ffn_down=q5_0"),
        ("compress M --name a/b", "holds no '/'", "--name", "'-'"),
        ("compress M --budget 3MB", "is what a search keeps", "--budget", "search"),
        ("compress M --format q4_k --fit hqq", "hqq finds no scales", "--fit", "mse"),
        ("compress M --sparsity=", "no sparsity pattern is called ''", "--sparsity", "2:4"),
        ("compress M --method sparsegpt --order act", "'act'", "--order", "natural"),
        ("qat M T --bits 9", "'9' should be less than", "--bits", "Bits a weight"),
        ("qat M T --name a/b", "holds no '/'", "--name", "seemant qat --help"),
        ("train M P --rank many", "'many' should be a valid integer", "--rank", "adapters"),
        ("train M P --steps 3 --epochs 2", "give one of", "--steps, --epochs", "train --help"),
        ("serve M --port many", "'many' should be a valid integer", "--port", "free"),
    ],
)
def test_what_where_and_what_to_do(
    command: str, what: str, where: str, fix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(command.split()) == 2
    said = capsys.readouterr().err
    first, place, to_do = said.splitlines()
    assert first.startswith("error: ") and what in first
    assert place == f"  where: {where}"
    assert to_do.startswith("  fix:   ") and fix in to_do
    for foreign in ("pydantic", "validation error", "type=", "Value error"):
        assert foreign not in said


@pytest.mark.parametrize("command", ["compress M --grupp 3", "compress", "nope"])
def test_what_the_parser_knows_itself_it_says(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(command.split()) == 2
    assert "Error" in capsys.readouterr().err
