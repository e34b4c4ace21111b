"""What can be wrong with a row's labels, and with a template: faults that spoil every row alike.

Each of them has made some trainer's loss look healthy over a model that learned nothing, or
learned never to stop.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seemant.core.errors import InputError
from seemant.core.jsonl import read_json
from seemant.train.rows.render import IGNORED, Form, Row, end_of_turn_id

# Pieces that open or close something, where a tokenizer holds them as ordinary added ones.
_OPENS = re.compile(r"<(start|end)_of_\w+>|<\|\w+\|>")
_TUNED = re.compile(r"(?i)(^|[-_. ])(instruct|chat|it)($|[-_. ])")


def faults(row: Row, *, end: int, bos: int | None, n_vocab: int) -> list[str]:
    """Return what is wrong with a row's ids and targets; an empty list means sound.

    end: id of the end-of-turn token. bos: id that the model wants first, once; None if none.
    """
    wrong = []
    labelled = [t for t, target in enumerate(row.targets) if target != IGNORED]
    first, last = row.n_prompt - 1, len(row.ids) - 2  # positions that predict the answer's ends
    if not labelled:
        wrong.append("no label at all")
    if any(t < first for t in labelled):
        wrong.append("a prompt token is labelled")
    if row.targets[first] == IGNORED:
        wrong.append("the first answer token is not labelled")
    if row.targets[last] != end:
        wrong.append("the end-of-turn token is not labelled")
    if any(row.targets[t] != row.ids[t + 1] for t in labelled if t < len(row.ids) - 1):
        wrong.append("a label is not the next token")
    if row.targets[-1] != IGNORED:
        wrong.append("the last position has a label but no next token")
    if labelled and len(labelled) != last - first + 1:
        wrong.append("a hole in the answer's labels")
    if not all(0 <= i < n_vocab for i in row.ids):
        wrong.append(f"an id is outside the vocabulary of {n_vocab}")
    if bos is not None and (row.ids[0] != bos or list(row.ids).count(bos) != 1):
        wrong.append(f"BOS stands {list(row.ids).count(bos)} times, not once at the beginning")
    return wrong


def control_ids(form: Form) -> frozenset[int]:
    """Return the ids that no text of a pair may hold: control tokens, BOS, ends, turn markers.

    Written out in a text they would be trained as themselves: a pair could open a turn, or end
    one. Added pieces that are mere text (Gemma's runs of spaces, its HTML tags) are not among them.
    """
    tokenizer = form.tokenizer
    known = {tokenizer.bos_id, tokenizer.eos_id, end_of_turn_id(form.template, tokenizer)}
    for token, added in tokenizer.inner.get_added_tokens_decoder().items():
        if added.special or _OPENS.fullmatch(added.content):
            known.add(int(token))
    return frozenset(each for each in known | form.stops if each is not None)


def check_template(form: Form, name: str, *, chosen: bool = False) -> list[str]:
    """Return what is worth knowing about a model's template, after refusing what cannot work.

    name: what the model is called. chosen: the user named the template.

    Raises:
        InputError: an instruction-tuned model without its chat template; a template that writes
            something else than the answer behind its prompt; an end of turn that the tokenizer
            lacks, or at which the model's own settings would not stop.
    """
    template, stops = form.template, form.stops
    if template.name == "plain" and not chosen and _TUNED.search(name):
        raise InputError(
            f"{name} is called an instruction-tuned model but brings no chat template",
            fix="add chat_template.jinja to its folder, say --template FILE, or train the base",
        )
    if template.shape.unlike:
        raise InputError(
            f"nothing can be trained on this chat template: {template.shape.unlike}",
            where=f"the chat template of {name}",
            fix="name another with --template FILE, or --template plain",
        )
    end = end_of_turn_id(template, form.tokenizer)
    if stops and end not in stops:
        raise InputError(
            f"the template ends a turn with {template.end_of_turn!r} ({end}), and generation "
            f"does not stop there (only at {', '.join(map(str, sorted(stops)))})",
            where="eos_token_id in the model's generation_config.json, or the GGUF file's",
            fix=f"add {end} to it: a tuned model would never stop",
        )
    notes = []
    if template.shape.thinks:
        notes.append(
            "the template writes an empty thought before an answer; the student learns to answer "
            "without one"
        )
    if not stops and end != form.tokenizer.eos_id:
        notes.append(
            f"the template ends a turn with token {end}, the tokenizer's end of text is "
            f"{form.tokenizer.eos_id}: tell the engine to stop at both"
        )
    return notes


def stops_of_folder(folder: Path) -> frozenset[int]:
    """Return the ids at which an HF folder's `generation_config.json` ends a generation."""
    file = folder / "generation_config.json"
    said = read_json(file).get("eos_token_id") if file.is_file() else None
    ids = said if isinstance(said, list) else [said]
    return frozenset(int(each) for each in ids if each is not None)


def stops_of_metadata(metadata: Mapping[str, Any]) -> frozenset[int]:
    """Return the ids at which a GGUF file ends a generation.

    It counts where it names the end of a turn beside the end of text: a file that does not leaves
    it to the engine, which knows both.
    """
    if "tokenizer.ggml.eot_token_id" not in metadata:
        return frozenset()
    keys = [f"tokenizer.ggml.{name}_token_id" for name in ("eos", "eot", "eom")]
    return frozenset(int(metadata[key]) for key in keys if key in metadata)
