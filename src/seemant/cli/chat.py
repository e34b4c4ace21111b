"""`seemant chat`: talk to a model, or to two side by side."""

import json as jsonlib
import sys
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import replace
from typing import Annotated, Any

from cyclopts import Parameter

from seemant.core.errors import InputError
from seemant.core.machine import cores
from seemant.core.records import Lang


def chat(
    model: str,
    other: str | None = None,
    *,
    adapter: str | None = None,
    message: Annotated[list[str] | None, Parameter(negative="")] = None,
    lang: Lang | None = None,
    template: str | None = None,
    study: bool = False,
    max_new_tokens: int = 128,
    temperature: float = 0.0,
    seed: int = 0,
    json: bool = False,
) -> None:
    """Ask a model line by line; a second model answers the same questions beside it.

    Example: seemant chat embedded:gemma-3-270m --message "भारत की राजधानी?"

    Example: seemant chat embedded:gemma-3-270m embedded:gemma-3-270m --adapter runs/train/0123

    Parameters
    ----------
    model
        A model reference, or a compress artefact's folder.
    other
        A second model to compare with.
    adapter
        A train artefact's folder, laid on the last model named.
    message
        Ask this and end; without it, questions are read from standard input.
    lang
        The language of the prompt's wording; by default that of the question's script.
    template
        A file with another chat template than the model's own, or "plain" for question and answer
        lines.
    study
        Use the original study's temperature, top-p, repetition penalty and system prompt.
    max_new_tokens
        Longest answer.
    temperature
        0 takes the likeliest token.
    seed
        Seed of the draw.
    json
        Print one JSON object an answer.
    """
    from seemant.models.adapters import check_base
    from seemant.models.backends.open import open_backend
    from seemant.models.backends.protocol import STUDY_SAMPLING, Sampling
    from seemant.models.chat_words import read_form
    from seemant.models.prompts import STUDY_SYSTEM_PROMPTS, template_of
    from seemant.models.resolve import weights_in
    from seemant.study.inputs import as_input

    form = read_form(template)
    asked: list[tuple[str, str | None]] = [(model, None)]
    if other or adapter:
        asked.append((other or model, adapter))
    sampling = Sampling(temperature=temperature, max_new_tokens=max_new_tokens, seed=seed)
    if study:
        sampling = replace(STUDY_SAMPLING, max_new_tokens=max_new_tokens, seed=seed)
    with ExitStack() as stack:
        talkers: list[tuple[str, Any, Any]] = []
        for name, laid in asked:
            given = as_input(name, "model")
            path = weights_in(given.path)
            adapter_path = as_input(laid, "adapter").path if laid else None
            if adapter_path:
                check_base(adapter_path, given.path, given.sha256)
            backend = stack.enter_context(
                open_backend(path, adapter=adapter_path, threads=cores(), context=2048)
            )
            talkers.append((f"{name}+lora" if laid else name, backend, template_of(path, form)))
        for question in message if message is not None else _questions():
            language = lang or _language(question)
            for name, backend, own in talkers:
                system = STUDY_SYSTEM_PROMPTS[language] if study else None
                prompt = own.render(question, language, system=system)
                if json or len(talkers) > 1:
                    answer = backend.generate(prompt, sampling, own.stops(language))
                    row = {"model": name, "question": question, "answer": answer.text.strip()}
                    finish = {"finish_reason": answer.finish_reason}
                    text = jsonlib.dumps({**row, **finish}, ensure_ascii=False)
                    print(text if json else f"{name}: {row['answer']}", flush=True)
                    continue
                for piece in backend.generate_stream(prompt, sampling, own.stops(language)):
                    print(piece, end="", flush=True)
                print()


def _questions() -> Iterable[str]:
    interactive = sys.stdin.isatty()
    while True:
        if interactive:
            print("> ", end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
        if not line:
            return
        if line.strip():
            yield line.strip()


def _language(question: str) -> Lang:
    from seemant.corpus.scripts import detect_lang

    language = detect_lang(question)
    if language is None:
        raise InputError(
            f"no known script in {question[:60]!r}", fix="name the language with --lang"
        )
    return language
