import time

import pytest

from seemant.core.records import LANGUAGES, Lang
from seemant.corpus import register
from seemant.corpus.register import cross_validated, news_score, news_threshold
from seemant.corpus.shipped import shipped


def auc(lang: Lang, **kind: bool | int) -> float:
    scored = cross_validated(lang, **kind)  # type: ignore[arg-type]
    news = [s.score for s in scored if s.news]
    other = [s.score for s in scored if not s.news]
    return sum(a > b for a in news for b in other) / (len(news) * len(other))


@pytest.mark.parametrize("lang", LANGUAGES)
def test_unseen_news_scores_above_unseen_other_styles(lang: Lang) -> None:
    assert auc(lang) > 0.95
    assert auc(lang, by_subject=True) > 0.95
    assert auc(lang, n_characters=100) > 0.85


@pytest.mark.parametrize("lang", LANGUAGES)
def test_cross_validation_scores_lower_than_the_training_text(lang: Lang) -> None:
    seen = {p.id: news_score(p.text, lang) for p in shipped(lang)}
    unseen = cross_validated(lang)
    assert len(unseen) == len(seen)
    assert all(s.score < seen[s.paragraph_id] for s in unseen if s.news)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_threshold_lets_one_other_text_in_twenty_through(lang: Lang) -> None:
    others = [s.score for s in cross_validated(lang) if not s.news]
    above = sum(score > news_threshold(lang) for score in others)
    assert above == pytest.approx(0.05 * len(others), abs=1)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_short_texts_have_a_higher_threshold(lang: Lang) -> None:
    assert news_threshold(lang, 40) > news_threshold(lang)
    assert news_threshold(lang, 40) == news_threshold(lang, 50)
    assert news_threshold(lang, 10_000) == news_threshold(lang)


def test_an_invented_report_is_news_and_an_answer_is_not() -> None:
    report = "बेंगलुरु, 3 मई। मंत्री ने मंगलवार को बताया कि सड़क के लिए 5 करोड़ रुपये मंज़ूर किए गए हैं।"
    answer = "मैं एक सहायक हूँ और आपके सवालों के जवाब देता हूँ।"
    assert news_score(report, "hi") > news_threshold("hi", 100) > news_score(answer, "hi")


def test_text_without_evidence_scores_zero() -> None:
    assert news_score("", "hi") == 0.0
    assert news_score("ゐゑヲ", "hi") == 0.0


def test_the_score_is_a_mean_so_repetition_does_not_raise_it() -> None:
    text = shipped("kn")[1].text
    once, often = news_score(text, "kn"), news_score(" ".join([text] * 5), "kn")
    assert often == pytest.approx(once, abs=0.05 * abs(once))


def test_a_model_is_built_in_half_a_second_and_once() -> None:
    register._counts.cache_clear()
    register._model.cache_clear()
    start = time.process_time()
    news_score("नमस्ते दुनिया", "hi")
    assert time.process_time() - start < 0.5
    assert register._model("hi") is register._model("hi")
