"""A search's terminal lines: what was chosen, what is expected, what was measured."""

from seemant.cli.searched import searched

FACTS = {
    "file_bytes": 240_000_000,
    "search": {
        "groups": {"embedding": "q5_0", "attn 0-8": "q8_0", "ffn 0-8": "q4_0", "ffn 9-17": "q4_0"},
        "predicted_kld": {"hi": 0.11, "en": 0.02},
        "measured_kld": {"hi": 0.14, "en": 0.03},
        "chunks": {"hi": 2, "en": 2},
        "tried": 21,
    },
}


def test_a_search_says_what_it_chose_expects_and_measured() -> None:
    lines = list(searched(FACTS))
    assert lines[0] == "chosen from 21 measured files, 240 MB in all:"
    assert "  q4_0   ffn 0-8, ffn 9-17" in lines
    assert any(line.startswith("expected: Hindi 0.110, English 0.020") for line in lines)
    assert any(
        "measured: Hindi 0.140, English 0.030" in line and "4 pass" in line for line in lines
    )


def test_a_variant_that_was_not_searched_says_nothing() -> None:
    assert list(searched({"search": None})) == []
