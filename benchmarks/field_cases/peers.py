"""Kinds of faults that users reported to the peers: each with where it was reported."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from field_cases.adapters import kind_of, made
from field_cases.families import (
    WHOLE,
    _folder,
    _published,
    _save,
    _state,
    _tell,
    read_as_transformers,
    refused_folder,
)
from field_cases.place import Case, Done, Place, refused, went_well

Change = Callable[[Path], None]
TEXT = "the <gate> rises; the<gate>the"


def _tokenizer(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = folder / "tokenizer.json"
    said = json.loads(path.read_text(encoding="utf-8"))
    change(said)
    path.write_text(json.dumps(said), encoding="utf-8")


def _settings(folder: Path, **said: Any) -> None:
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | said), encoding="utf-8")


def same_ids(change: Change, kind: str = "qwen2") -> Callable[[Place], str | None]:
    """Return the case of a changed tokenizer: transformers' ids, with what it writes around."""

    def check(place: Place) -> str | None:
        from transformers import AutoTokenizer

        from seemant.formats.gguf_read import open_gguf
        from seemant.models.tokenizer import tokenizer_of_metadata

        folder = _folder(place, kind)
        change(folder)
        done = place.seemant("convert", f"path:{folder}", "--out", "w/g")
        if wrong := went_well(done):
            return wrong
        ours = tokenizer_of_metadata(open_gguf(place.w / "g" / "model.gguf").metadata)
        wanted = AutoTokenizer.from_pretrained(folder)(TEXT).input_ids
        found = ours.encode(TEXT)
        return None if found == wanted else f"ids {found}, not {wanted}"

    return check


def _gate(*, special: bool, at: int = 261) -> Change:
    token = {"id": at, "content": "<gate>", "special": special, "normalized": not special}
    token |= {"single_word": False, "lstrip": False, "rstrip": False}
    return lambda f: _tokenizer(f, lambda said: said["added_tokens"].append(token))


def _gate_of_settings(folder: Path) -> None:
    said = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["added_tokens"]
    listed = {str(each.pop("id")): each for each in said}
    listed["261"] = next(iter(listed.values())) | {"content": "<gate>"}
    _settings(folder, added_tokens_decoder=listed)


def _gate_of_older_files(folder: Path) -> None:
    (folder / "added_tokens.json").write_text(json.dumps({"<gate>": 261}))
    tokens = {"additional_special_tokens": ["<gate>"]}
    (folder / "special_tokens_map.json").write_text(json.dumps(tokens))


def _writes_bos(folder: Path, **said: bool) -> None:
    first = {"SpecialToken": {"id": "<|endoftext|>", "type_id": 0}}
    text = {"Sequence": {"id": "A", "type_id": 0}}
    template = {
        "type": "TemplateProcessing",
        "single": [first, text],
        "pair": [first, text, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {
            "<|endoftext|>": {"id": "<|endoftext|>", "ids": [258], "tokens": ["<|endoftext|>"]}
        },
    }
    _tokenizer(folder, lambda said: said.update(post_processor=template))
    _settings(folder, bos_token="<|endoftext|>", **said)


def _prefixed(prefix: str) -> Change:
    return lambda f: _save(f, {prefix + name: each for name, each in _state(f).items()})


def _with(**more: Mapping[str, Any]) -> Change:
    import torch

    return lambda f: _save(f, _state(f) | {n: torch.ones(*s) for n, s in more.items()})


def _damaged(change: Callable[[bytes], bytes]) -> Change:
    return lambda f: (f / WHOLE).write_bytes(change((f / WHOLE).read_bytes())) and None


def _other_tokenizer(*files: str) -> Change:
    def change(folder: Path) -> None:
        said = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
        (folder / "tokenizer.json").unlink()
        texts = {
            "vocab.json": json.dumps(said["model"]["vocab"]),
            "merges.txt": "#version: 0.2\nt h\nth e\n",
            "tokenizer.model": "\n\x05",
        }
        for file in files:
            (folder / file).write_text(texts[file], encoding="utf-8")

    return change


def whole_modules(names: list[str] | None, *tensors: str) -> Callable[[Place], str | None]:
    """Return the case of an adapter that holds whole matrices: refused, with what it holds."""

    def check(place: Place) -> str | None:
        import torch
        from safetensors.torch import load_file, save_file

        folder = made(place, "plain")
        path = folder / "adapter_config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"modules_to_save": names}))
        state = load_file(folder / "adapter_model.safetensors")
        whole = {f"base_model.model.{name}.weight": torch.ones(300, 64) for name in tensors}
        save_file(state | whole, folder / "adapter_model.safetensors")
        word = "modules_to_save" if names else tensors[0]
        return kind_of(place, folder, (word,))

    return check


def singular(text: str, change: Change | None = None) -> Callable[[Place], str | None]:
    """Return the case of calibration that leaves directions unseen: GPTQ ends, a model answers."""

    def check(place: Place) -> str | None:
        folder = _published(place, "Qwen3")
        if change:
            change(folder)
        (place.w / "few.txt").write_text(text, encoding="utf-8")
        gptq = ("--method", "gptq", "--calibration", "w/few.txt", "--lang", "en")
        gptq += ("--calibration-tokens", "256", "--sequence", "64")
        done = place.seemant("compress", f"path:{folder}", *gptq, "--out", "w/x")
        if done.code == 2:  # too little text to take anything from
            return refused(done, "too few to calibrate")
        return went_well(done) or went_well(place.seemant("chat", "run:w/x", "--message", "the"))

    return check


def _dead(folder: Path) -> None:
    name = "model.layers.0.input_layernorm.weight"
    state = _state(folder)
    state[name] *= 0
    _save(folder, state)


def odd_width(*words: str) -> Callable[[Place], str | None]:
    """Return the case of rows that no group divides: done, or refused by the group."""

    def check(place: Place) -> str | None:
        _folder(place)
        done = place.seemant("compress", "path:w/h/qwen2", *words, "--out", "w/x")
        if done.code:
            return refused(done, "group", "48")
        return went_well(place.seemant("chat", "run:w/x", "--message", "the"))

    return check


def of_multimodal(inside: str, *words: str) -> Callable[[Place], str | None]:
    """Return the case of an adapter trained on a multimodal model, by its tensors' names there."""

    def adapted(place: Place, name: str, where: str) -> Done:
        import torch
        from safetensors.torch import save_file

        folder = place.w / name
        folder.mkdir()
        plain = made(place, "plain") / "adapter_config.json"
        (folder / plain.name).write_bytes(plain.read_bytes())
        draw = torch.Generator().manual_seed(1)
        a, b = torch.randn(4, 64, generator=draw), torch.randn(128, 4, generator=draw)
        stem = f"base_model.model.{where}.layers.0.self_attn.q_proj"
        tensors = {f"{stem}.lora_A.weight": a, f"{stem}.lora_B.weight": b}
        save_file(tensors, folder / "adapter_model.safetensors")
        more = ("--adapter", folder, "--out", place.w / f"{name}-x")
        return place.seemant("compress", "path:w/published", *more)

    def check(place: Place) -> str | None:
        _published(place, "Gemma 3, of a multimodal folder")
        done = adapted(place, "inside", inside)
        if words:
            return refused(done, *words)
        plain = adapted(place, "plain", "model")
        if wrong := went_well(done) or went_well(plain):
            return wrong
        from seemant.models.decoder.trainable import load_state

        _, mine = load_state(place.w / "inside-x" / "model.gguf")
        _, theirs = load_state(place.w / "plain-x" / "model.gguf")
        name = "model.layers.0.self_attn.q_proj.weight"
        return None if bool((mine[name] == theirs[name]).all()) else "merged otherwise"

    return check


def _cases(where: str, kind: str, forms: Mapping[str, Callable[[Place], str | None]]) -> list[Case]:
    return [Case(where, f"{kind}: {form}", check) for form, check in forms.items()]


CASES = [
    *_cases(
        # https://github.com/ggml-org/llama.cpp/issues/8445
        "llama.cpp#8445",
        "the settings' vocabulary is not the embedding's",
        {
            f"{n} of 264": refused_folder(lambda f, n=n: _tell(f, vocab_size=n), "embed_tokens")
            for n in (261, 263, 300)
        },
    ),
    *_cases(
        # https://github.com/ggml-org/llama.cpp/issues/15842
        "llama.cpp#15842",
        "a token of one's own",
        {
            "special": same_ids(_gate(special=True)),
            "a plain word": same_ids(_gate(special=False)),
            "told by tokenizer_config.json alone": same_ids(_gate_of_settings),
            "told by files of older versions": same_ids(_gate_of_older_files),
        },
    ),
    *_cases(
        # https://github.com/ggml-org/llama.cpp/issues/3966
        "llama.cpp#3966",
        "who writes the first token",
        {
            "the post-processor": same_ids(_writes_bos),
            "the post-processor, the settings say no": same_ids(
                lambda f: _writes_bos(f, add_bos_token=False)
            ),
            "nobody": same_ids(lambda f: _settings(f, bos_token="<|endoftext|>")),
        },
    ),
    *_cases(
        # https://github.com/pytorch/pytorch/issues/101107
        "pytorch#101107",
        "names as a wrapper saved them",
        {
            prefix: refused_folder(_prefixed(prefix), prefix)
            for prefix in ("_orig_mod.", "module.", "base_model.model.")
        },
    ),
    *_cases(
        # https://github.com/ggml-org/llama.cpp/issues/7046
        "llama.cpp#7046",
        "tables that older versions saved",
        {
            name: read_as_transformers(_with(**{name: (16,)}))
            for name in (
                "model.layers.0.self_attn.rotary_emb.inv_freq",
                "model.rotary_emb.inv_freq",
                "model.layers.0.self_attn.rotary_emb.cos_cached",
            )
        },
    ),
    *_cases(
        # https://github.com/invoke-ai/InvokeAI/issues/7009
        "InvokeAI#7009",
        "safetensors that are damaged",
        {
            "cut in the weights": refused_folder(_damaged(lambda b: b[: len(b) // 2]), WHOLE),
            "cut in the header": refused_folder(_damaged(lambda b: b[:100]), WHOLE),
            "a page of HTML": refused_folder(_damaged(lambda b: b"<!doctype html>404"), WHOLE),
        },
    ),
    *_cases(
        # https://github.com/ggml-org/llama.cpp/issues/9673
        "llama.cpp#9673",
        "no tokenizer.json",
        {
            "vocab.json and merges.txt": refused_folder(
                _other_tokenizer("vocab.json", "merges.txt"), "tokenizer.json"
            ),
            "tokenizer.model": refused_folder(
                _other_tokenizer("tokenizer.model"), "tokenizer.json"
            ),
            "nothing": refused_folder(_other_tokenizer(), "tokenizer.json"),
        },
    ),
    *_cases(
        # https://github.com/huggingface/peft/issues/1300
        "peft#1300",
        "whole matrices in an adapter",
        {
            "a larger embedding": whole_modules(["embed_tokens"], "model.embed_tokens"),
            "head and embedding": whole_modules(
                ["embed_tokens", "lm_head"], "lm_head", "model.embed_tokens"
            ),
            "the settings do not say it": whole_modules(None, "lm_head"),
        },
    ),
    *_cases(
        # https://github.com/vllm-project/llm-compressor/issues/142
        "llm-compressor#142",
        "a Hessian without full rank",
        {
            "one line over and over": singular("The gate is open.\n\n" * 200),
            "a few words": singular("The river rose and the gate of the canal stood open.\n"),
            "a layer that reads zeros": singular("The gate is open.\n\n" * 200, _dead),
        },
    ),
    *_cases(
        # https://github.com/ModelCloud/GPTQModel/issues/328
        "GPTQModel#328",
        "rows that the group does not divide",
        {
            "4 bits": odd_width(),
            "a group of 64": odd_width("--group", "64", "--format", "", "--bits", "4"),
            "q4_k": odd_width("--format", "q4_k"),
        },
    ),
    *_cases(
        # https://github.com/ggml-org/llama.cpp/issues/12551
        "llama.cpp#12551",
        "an adapter of a multimodal model",
        {
            "newer names": of_multimodal("model.language_model"),
            "older names": of_multimodal("language_model.model"),
            "of the vision tower": of_multimodal("model.vision_tower.encoder", "vision_tower"),
        },
    ),
]
