"""Whether a study's own text is enough for the methods that calibrate on it: in tokens, exactly."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seemant.core.errors import BadFile, BadRecord, SeemantError
from seemant.core.records import Lang
from seemant.corpus.gather import Gathered
from seemant.corpus.splits import split_of
from seemant.study.command import as_command
from seemant.study.languages import in_words
from seemant.study.spec import Node, Study

if TYPE_CHECKING:
    from seemant.models.tokenizer import Tokenizer

Paragraphs = dict[Lang, list[str]]
ROLE, PARAMETER = "calibration", "calibration_tokens"
_FEWER = (256, 128, 64)  # tokens to fall back to, for a text that has no more


def calibration_lacks(
    study: Study, corpus: str, gathered: Gathered, where: str
) -> Iterator[SeemantError]:
    """Yield the first node whose calibration on the corpus node's text would be refused."""
    paragraphs: Paragraphs = {}
    tokenizers: dict[str, Tokenizer] = {}
    for each in gathered.paragraphs:
        if split_of(each.id) == "calibration":
            paragraphs.setdefault(each.lang, []).append(each.text)
    for node in study.nodes.values():
        if node.stage != "compress" or node.inputs.get(ROLE) != corpus:
            continue
        model = node.inputs["model"]
        if model in study.nodes:
            continue  # its tokenizer is not made yet
        try:
            if model not in tokenizers:
                tokenizers[model] = _tokenizer(model)
        except BadFile as error:
            yield error
            return
        except SeemantError:
            continue  # a model that is not fetched yet
        tokenizer = tokenizers[model]
        try:
            _calibrate(node, paragraphs, tokenizer)
        except BadFile as error:
            fix = f"{error.fix} (this part is two in ten of the paragraphs)"
            enough = next((n for n in _FEWER if _is_enough(node, paragraphs, tokenizer, n)), None)
            if PARAMETER in study.params and enough:
                fix = f"{as_command(study, f'{PARAMETER}={enough}')}   (better {fix})"
            yield BadRecord(f"{error.what}, for node {node.name!r}", where=where, fix=fix)
            return
        except SeemantError:
            continue  # settings: told where they are read


def own_calibration_lacks(study: Study) -> Iterator[SeemantError]:
    """Yield what is missing in a file of calibration text: itself, or a language of its nodes."""
    from seemant.compress.calibrate.tokens import read_text

    seen: set[str] = set()
    for node in study.nodes.values():
        file = node.inputs.get(ROLE, "")
        config: Any = node.config
        if node.stage != "compress" or not file or file in study.nodes or file in seen:
            continue
        if not (config.calibrated or config.search) or config.allow_language_gap:
            continue
        try:
            there = read_text(Path(file)).languages
        except SeemantError as error:
            seen.add(file)
            yield error
            continue
        missing = [lang for lang in config.languages if lang not in there]
        if missing:
            seen.add(file)
            held = in_words(list(there))
            yield BadRecord(
                f"the calibration text has no {in_words(missing)}, which node {node.name!r} "
                f"calibrates on; it has: {held}",
                where=file,
                fix=as_command(study, f"languages={','.join(there)}"),
            )


def _is_enough(node: Node, paragraphs: Paragraphs, tokenizer: "Tokenizer", tokens: int) -> bool:
    try:
        _calibrate(node, paragraphs, tokenizer, tokens)
    except SeemantError:
        return False
    return True


def _calibrate(
    node: Node, paragraphs: Paragraphs, tokenizer: "Tokenizer", tokens: int | None = None
) -> None:
    """Ask for the node's calibration sequences as its stage will."""
    from seemant.compress.calibrate.tokens import Text, calibrating_part, sequences_of

    config: Any = node.config
    if not (config.calibrated or config.search):
        return
    text = Text(paragraphs)
    sequences_of(
        calibrating_part(text) if config.search else text,
        tokenizer,
        config.languages,
        tokens=(tokens or config.calibration_tokens) if config.calibrated else 1,
        length=config.sequence,
        allow_gap=config.allow_language_gap,
    )


def _tokenizer(model: str) -> "Tokenizer":
    from seemant.formats.gguf_read import open_gguf
    from seemant.models.resolve import resolve
    from seemant.models.tokenizer import tokenizer_of_metadata

    path = resolve(model).path
    return tokenizer_of_metadata(open_gguf(path).metadata, str(path))
