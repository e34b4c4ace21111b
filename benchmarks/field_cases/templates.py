"""Chat templates as models bring them: what a model is told is transformers' own rendering."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from field_cases.place import Case, Place, refused, serving, went_well
from field_cases.template_sources import (
    BEGINNINGS,
    DATED,
    ENVIRONMENT,
    EOS_TURNS,
    GENERATION,
    NO_SYSTEM,
    PARTS,
    PLAIN_TURNS,
    UNTRAINABLE,
)
from seemant.models.backends.tiny import BOS, EOS, write_tiny

Check = Callable[[Place], str | None]
LONG = 12  # tokens of an answer: another prompt, another answer
TALK = [
    {"role": "user", "content": "the <first> & 'last'"},
    {"role": "assistant", "content": "that"},
    {"role": "user", "content": "और?"},
]


def rendered(source: str, talk: list[dict[str, Any]], *, parts: bool = False) -> str:
    """Return transformers' text of a conversation with the tiny model's pieces."""
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    peer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel({BOS: 0, EOS: 1}, EOS)),
        bos_token=BOS,
        eos_token=EOS,
    )
    if parts:
        talk = [{**m, "content": [{"type": "text", "text": m["content"]}]} for m in talk]
    return str(
        peer.apply_chat_template(
            talk, chat_template=source, tokenize=False, add_generation_prompt=True
        )
    )


def answered(file: Path, prompt: str) -> str:
    """Return the model's answer to a text that has its beginning once, straight from llama.cpp."""
    from seemant.models.backends.llamacpp import LlamaCpp
    from seemant.models.backends.protocol import Sampling

    with LlamaCpp(file, context=512) as model:
        ids = model.encode(prompt)
        begin = model.encode(BOS)[0]
        if ids[0] != begin or ids.count(begin) != 1:
            raise AssertionError(f"{ids.count(begin)} beginnings in {prompt!r}")
        return model.generate(prompt, Sampling(max_new_tokens=LONG), (EOS,)).text.strip()


def talked(source: str, *, parts: bool = False) -> Check:
    """Chat with a model of this template, then talk of three turns to its server."""

    def check(place: Place) -> str | None:
        file = place.w / "c.gguf"
        write_tiny(file, chat_template=source)
        done = place.seemant("chat", file, "--message", "the", "--max-new-tokens", str(LONG))
        ask = [{"role": "user", "content": "the"}]
        wanted = answered(file, rendered(source, ask, parts=parts))
        if wrong := went_well(done):
            return f"chat: {wrong}"
        if done.out.strip() != wanted:
            return f"chat: {done.out!r}, by transformers' prompt {wanted!r}"
        served = _served(place, file, TALK)
        wanted = answered(file, rendered(source, TALK, parts=parts))
        return None if served == wanted else f"serve: {served!r}, not {wanted!r}"

    return check


def _served(place: Place, file: Path, talk: list[dict[str, str]]) -> str:
    from openai import OpenAI

    with serving(place, str(file), "--context", "512") as address:
        client = OpenAI(base_url=address, api_key="none", max_retries=0, timeout=60)
        answer = client.chat.completions.create(
            model=client.models.list().data[0].id,
            messages=talk,  # type: ignore[arg-type]
            max_tokens=LONG,
            temperature=0,
        )
        return (answer.choices[0].message.content or "").strip()


def shared(name: str) -> Check:
    """Render one of the shared script's templates, and chat with a model of it."""

    def check(place: Place) -> str | None:
        said = place.python("templates.py").out.partition(f"== {name}\n")[2].splitlines()
        theirs, ours = (line.partition(":")[2].strip() for line in said[:2])
        if not theirs or theirs != ours:
            return f"{ours} is not {theirs}"
        place.python("tiny_chat.py", name, "w/c.gguf")
        return went_well(place.seemant("chat", "w/c.gguf", "--message", "the"))

    return check


def one_beginning(place: Place) -> str | None:
    """Count the beginnings of the shared script's prompt."""
    done = place.python("literal_bos.py")
    return None if done.out.strip().endswith("count 1") else done.said[-300:]


def without_system(source: str) -> Check:
    """Chat with a system prompt that the template does not take: it opens the question."""

    def check(place: Place) -> str | None:
        file = place.w / "c.gguf"
        write_tiny(file, chat_template=source)
        talk = [{"role": "system", "content": "be short"}, {"role": "user", "content": "the"}]
        opened = [{"role": "user", "content": "be short\n\nthe"}]
        served, wanted = _served(place, file, talk), answered(file, rendered(source, opened))
        if served != wanted:
            return f"serve: {served!r}, not {wanted!r}"
        done = place.seemant(
            *("chat", file, "--message", "the", "--lang", "en", "--study", "--json"),
            *("--max-new-tokens", "4"),
        )
        return went_well(done)

    return check


def untrainable(source: str) -> Check:
    """Train on a template whose answers cannot be learned behind its prompts."""

    def check(place: Place) -> str | None:
        write_tiny(place.w / "c.gguf", chat_template=source)
        words = ("train", "w/c.gguf", "pairs_bom.jsonl", "--languages", "hi", "--steps", "1")
        return refused(place.seemant(*words), "chat template", "--template")

    return check


def learned(source: str, shown: str) -> Check:
    """Show a batch: what is learned is the answer and its end."""

    def check(place: Place) -> str | None:
        write_tiny(place.w / "c.gguf", chat_template=source)
        pair = {"id": "1", "language": "en", "instruction": "the", "output": "that"}
        rows = (json.dumps(pair | {"id": str(n)}) for n in range(4))
        (place.inputs / "pairs.jsonl").write_text("\n".join(rows) + "\n")
        done = place.seemant(
            *("train", "w/c.gguf", "pairs.jsonl", "--languages", "en", "--show-batch"),
            *("--max-length", "200"),
        )
        if wrong := went_well(done):
            return wrong
        return None if f"learned: {shown}" in done.said else f"no {shown!r} in {done.said[-300:]!r}"

    return check


def named(content: bytes | None, *words: str, form: str = "t.jinja") -> Check:
    """Name a template file by the flag: with words, it is refused by chat, probe and train."""

    def check(place: Place) -> str | None:
        file = place.w / "c.gguf"
        write_tiny(file, chat_template="{{ raise_exception('own') }}")
        if content is not None:
            (place.inputs / form).write_bytes(content)
        asked = ("--template", form)
        done = place.seemant(
            "chat", file, "--message", "the", "--max-new-tokens", str(LONG), *asked
        )
        if not words:
            if form == "plain":
                prompt = "Question: the\nAnswer:"
            else:
                source = (content or b"").decode("utf-8-sig").replace("\r\n", "\n")
                prompt = rendered(source, [{"role": "user", "content": "the"}])
            wanted = answered(file, prompt)
            return went_well(done) or (None if done.out.strip() == wanted else f"{done.out!r}")
        tried = {
            "chat": done,
            "probe": place.seemant("probe", file, *asked, "--out", "w/p"),
            "train": place.seemant("train", file, "pairs_bom.jsonl", "--languages", "hi", *asked),
        }
        for command, each in tried.items():
            if wrong := refused(each, *words):
                return f"{command}: {wrong}"
        return None

    return check


def folder(change: Callable[[Path, str], None], *words: str) -> Check:
    """Chat with a folder whose template lies elsewhere than in its settings, and convert it."""

    def check(place: Place) -> str | None:
        place.python("real_cuts.py", "w/h")
        model = place.w / "h" / "qwen2"
        config = model / "tokenizer_config.json"
        said = json.loads(config.read_text())
        said.pop("chat_template", None)
        config.write_text(json.dumps(said))
        source = PLAIN_TURNS.replace("<|end|>", str(said["eos_token"]))
        change(model, source)
        done = place.seemant("convert", f"path:{model}", "--out", "w/g")
        if words:
            return refused(done, *words)
        if wrong := went_well(done):
            return wrong
        from transformers import AutoTokenizer

        from seemant.formats.gguf_read import open_gguf

        found = open_gguf(place.w / "g" / "model.gguf").metadata.get("tokenizer.chat_template")
        theirs = AutoTokenizer.from_pretrained(model).get_chat_template()
        if found != theirs:
            return f"another template in the file: {found!r}, not {theirs!r}"
        return went_well(place.seemant("chat", f"path:{model}", "--message", "the"))

    return check


def _settings(model: Path, **said: Any) -> None:
    config = model / "tokenizer_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | said))


def _in_file(model: Path, source: str) -> None:
    (model / "chat_template.jinja").write_text(source)
    _settings(model, chat_template="{{ raise_exception('the old one') }}")


def _several(model: Path, source: str) -> None:
    other = {"name": "tool_use", "template": "{{ tools[0] }}"}
    _settings(model, chat_template=[other, {"name": "default", "template": source}])


def _beside(model: Path, source: str) -> None:
    (model / "chat_template.jinja").write_text(source)
    (model / "additional_chat_templates").mkdir()
    (model / "additional_chat_templates" / "tool_use.jinja").write_text("{{ tools[0] }}")


def _no_default(model: Path, source: str) -> None:
    names = ("rag", "tool_use")
    _settings(model, chat_template=[{"name": name, "template": source} for name in names])


def _each(
    number: str, kind: str, make: Callable[[str], Check], forms: dict[str, str]
) -> list[Case]:
    return [Case(number, f"{kind}: {form}", make(source)) for form, source in forms.items()]


CASES = [
    Case("10", "generation tags", shared("GENERATION")),
    *_each("10", "generation tags", talked, GENERATION),
    Case("11", "today's date", shared("DATED")),
    *_each("11", "a date", talked, DATED),
    Case("12", "turns that end with the end of text", shared("EOS_TURNS")),
    *_each("12", "special pieces", talked, EOS_TURNS),
    Case("24", "a beginning spelled out", one_beginning),
    *_each("24", "a beginning", talked, BEGINNINGS),
    *_each("template", "environment", talked, ENVIRONMENT),
    *_each("template", "contents", lambda source: talked(source, parts=True), PARTS),
    *_each("template", "a system turn", without_system, NO_SYSTEM),
    *_each("template", "nothing to learn", untrainable, UNTRAINABLE),
    Case("template", "learned: answer and end", learned(PLAIN_TURNS, "that<|end|>")),
    Case(
        "template",
        "learned: between generation tags",
        learned(GENERATION["the answer alone between tags"], "that<|end|>"),
    ),
    Case("template", "learned: the end of text", learned(EOS_TURNS["Mistral's brackets"], " that")),
    Case("template", "by the flag", named(PLAIN_TURNS.encode())),
    Case("template", "by the flag, a BOM", named(b"\xef\xbb\xbf" + PLAIN_TURNS.encode())),
    Case("template", "by the flag, plain", named(None, form="plain")),
    Case("template", "by the flag, absent", named(None, "no template file")),
    Case("template", "by the flag, empty", named(b" \n", "empty")),
    Case("template", "by the flag, UTF-16", named(PLAIN_TURNS.encode("utf-16"), "UTF-8")),
    Case("template", "by the flag, cut short", named(b"{% for m in messages %}{{ m", "template")),
    Case("template", "a folder's own file first", folder(_in_file)),
    Case("template", "a folder with several, by name", folder(_several)),
    Case("template", "a folder with more beside", folder(_beside)),
    Case("template", "a folder without a default", folder(_no_default, "rag", "tool_use")),
]
