"""What divergence says of a compressed model."""

from seemant.frontier.candidates import Candidate
from seemant.frontier.guard import judge


def test_an_even_small_divergence_passes() -> None:
    verdict = judge({"hi": 0.05, "kn": 0.06, "en": 0.03}, limit=0.5, ratio=3)
    assert verdict.damaged == () and verdict.warnings == ()


def test_a_four_bit_embedding_is_damaged_where_english_looks_well() -> None:
    verdict = judge({"hi": 4.4, "kn": 5.1, "en": 0.09}, limit=0.5, ratio=3)
    assert verdict.damaged == ("hi", "kn")
    assert any("Kannada" in w and "English" in w and "uneven" in w for w in verdict.warnings)


def test_uneven_but_small_is_a_warning_only() -> None:
    verdict = judge({"hi": 0.04, "en": 0.006}, limit=0.5, ratio=3)
    assert verdict.damaged == () and len(verdict.warnings) == 1


def test_exactly_at_the_limits_is_not_over_them() -> None:
    assert judge({"hi": 0.5, "en": 0.5 / 3 + 1e-12}, limit=0.5, ratio=3).warnings == ()


def test_nothing_measured_says_nothing() -> None:
    assert judge({}, limit=0.5, ratio=3).warnings == ()
    assert judge({"hi": 0.1}, limit=0.5, ratio=3).warnings == ()


def test_a_file_that_was_compared_in_its_weights_alone_is_judged_by_them() -> None:
    alone = Candidate("m/q8-e4", kld_weights={"hi": {"value": 4.4}, "en": {"value": 0.09}})
    assert judge(alone.klds, limit=0.5, ratio=3).damaged == ("hi",)
    both = Candidate("m/q4", kld={"hi": {"value": 0.1}}, kld_weights={"hi": {"value": 0.09}})
    assert both.klds == {"hi": 0.1}
