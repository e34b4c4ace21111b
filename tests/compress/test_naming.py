"""Settings: their bounds, and the name that a variant gets from them."""

import pytest
from pydantic import ValidationError

from seemant.compress.config import CompressConfig
from seemant.compress.naming import quantisation_note, subject_of


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({}, "q4_0-g32"),
        ({"bits": 8}, "q8_0-g32"),
        ({"bits": 4, "symmetric": False}, "q4_1-g32"),
        ({"bits": 3}, "int3-sym-g32"),
        ({"bits": 4, "group": None}, "q4_0-channel"),
        ({"bits": 8, "symmetric": False, "group": None}, "int8-asym-channel"),
        ({"embedding_bits": 4}, "q4_0-g32-e4"),
        ({"name": "mine"}, "mine"),
    ],
)
def test_the_name_tells_the_settings(settings: dict[str, object], name: str) -> None:
    assert CompressConfig(**settings).variant_name == name


@pytest.mark.parametrize("settings", [{"bits": 1}, {"bits": 9}, {"group": 48}, {"name": "a/b"}])
def test_impossible_settings_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        CompressConfig(**settings)


def test_different_settings_have_different_names() -> None:
    names = {
        CompressConfig(bits=b, group=g, symmetric=s, embedding_bits=e).variant_name
        for b in range(2, 9)
        for g in (32, 64, None)
        for s in (True, False)
        for e in (4, 8)
    }
    assert len(names) == 7 * 3 * 2 * 2


def test_subjects_say_base_adapter_and_variant() -> None:
    config = CompressConfig()
    label = "embedded:gemma-3-270m"
    assert subject_of(config, label, None) == "gemma-3-270m/q4_0-g32"
    assert subject_of(config, label, "train:01") == "gemma-3-270m+lora/q4_0-g32"
    assert subject_of(CompressConfig(subject="own"), label, None) == "own"


def test_the_note_says_what_was_done() -> None:
    note = quantisation_note(CompressConfig(bits=3, group=None, symmetric=False))
    assert note == "rtn, 3 bits, per channel, asymmetric; embedding q8_0 g32"


def test_the_note_does_not_name_formats_that_others_replaced() -> None:
    note = quantisation_note(CompressConfig(formats=("ffn_down=q5_0",), embedding_format="q6_k"))
    assert note.endswith("symmetric; embedding q6_k; ffn_down=q5_0")
    note = quantisation_note(CompressConfig(search=True, method="gptq"))
    assert note == "gptq; formats chosen tensor by tensor"
