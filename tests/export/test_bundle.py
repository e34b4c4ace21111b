"""The bundle: bytes unchanged, terms inside, evidence with its origin, commands that are safe."""

import hashlib
import json
import shlex
import subprocess
from pathlib import Path

import pytest

from seemant.core.errors import BadConfig, BadFile
from seemant.core.stage import Done, execute, file_input
from seemant.export import bundle
from seemant.export.config import ExportConfig
from seemant.export.run import STAGE


def export(tmp_path: Path, config: ExportConfig | None = None, **paths: Path) -> Done:
    inputs = {role.replace("__", "/"): file_input(p, role) for role, p in paths.items()}
    return execute(STAGE, config or ExportConfig(), inputs, store=tmp_path / "runs")


def test_the_model_is_copied_bit_for_bit_and_can_be_checked(tmp_path: Path, variant: Path) -> None:
    done = export(tmp_path, variant=variant)
    original = (variant / "model.gguf").read_bytes()
    assert (done.path / "model.gguf").read_bytes() == original
    sums = (done.path / "SHA256SUMS").read_text()
    assert hashlib.sha256(original).hexdigest() + "  model.gguf" in sums
    check = ["sha256sum", "--check", "SHA256SUMS"]
    assert subprocess.run(check, cwd=done.path, capture_output=True).returncode == 0
    values = {m.metric: m.value for m in done.manifest.measurements}
    assert values["file_bytes"] == len(original) < values["bundle_bytes"]


def test_on_one_filesystem_the_model_takes_no_second_space(tmp_path: Path, variant: Path) -> None:
    done = export(tmp_path, variant=variant)
    assert (done.path / "model.gguf").stat().st_ino == (variant / "model.gguf").stat().st_ino


def test_where_links_are_impossible_it_is_a_checked_copy(
    tmp_path: Path, variant: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_link(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr("seemant.export.bundle.os.link", no_link)
    done = export(tmp_path, variant=variant)
    copy = done.path / "model.gguf"
    assert copy.stat().st_ino != (variant / "model.gguf").stat().st_ino
    assert copy.read_bytes() == (variant / "model.gguf").read_bytes()


def test_a_copy_that_differs_is_thrown_away(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def torn(source: Path, target: Path) -> None:
        target.write_bytes(source.read_bytes()[:-1])

    monkeypatch.setattr("seemant.export.bundle.os.link", lambda *_: _raise(OSError(18, "no")))
    monkeypatch.setattr("seemant.export.bundle.shutil.copyfile", torn)
    with pytest.raises(Exception, match="the copy differs"):
        bundle.place(model, tmp_path / "copy.gguf", link=True)
    assert not (tmp_path / "copy.gguf").exists()


def _raise(error: Exception) -> None:
    raise error


def test_the_card_says_what_was_done_and_warns(tmp_path: Path, variant: Path) -> None:
    card = (export(tmp_path, variant=variant).path / "README.md").read_text()
    assert card.startswith("# tiny+lora/int3-sym-g32\n")
    assert "A modified version of `embedded:tiny`, fine-tuned" in card
    assert "rtn, 3 bits, group 32, symmetric" in card
    assert "3 bits have no layout of their own" in card
    assert "can hurt Indic scripts" in card
    assert "artefact of the base" not in card
    assert "ab" * 32 in card and "cd" * 32 in card
    assert "No measurements were given" in card
    assert "भारत की राजधानी क्या है?" in card


def test_the_card_tells_k_quants_mixes_pruning_and_calibration(
    tmp_path: Path, variant: Path
) -> None:
    facts = json.loads((variant / "variant.json").read_text())
    facts |= {"method": "sparsegpt", "format": "q4_k", "bits": 4, "sparsity": "2:4"}
    facts |= {"embedding": "q6_k", "embedding_method": "gptq", "reference": "fp"}
    facts |= {"formats": ["ffn_down=q6_k", "attn_v=q6_k", "attn_q=q5_0"]}
    facts |= {"calibration": {"tokens": {"hi": 8192, "kn": 4096}}}
    (variant / "variant.json").write_text(json.dumps(facts))
    card = (export(tmp_path, variant=variant).path / "README.md").read_text()
    assert "SPARSEGPT, 4 bits (q4_k) and other formats (mixed precision)." in card
    assert "| method | sparsegpt, q4_k: 4 bits, super-blocks of 256, groups of 32 |" in card
    assert "| pruned | 2:4 |" in card and "| embedding | q6_k, by gptq |" in card
    assert "| formats of tensors or kinds | q5_0 (1), q6_k (2) |" in card
    assert "| calibrated on tokens of | hi 8,192, kn 4,096 |" in card
    assert "| reference | fp |" in card


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("dequantised file", " (as its file stores it, dequantised)"),
        ("fp", " (weights that were never rounded to few bits)"),
        ("fp + adapter, merged in fp32", " (weights that were never rounded to few bits)"),
        ("", ""),
    ],
)
def test_the_base_is_called_what_its_weights_are(
    tmp_path: Path, variant: Path, kind: str, words: str
) -> None:
    facts = json.loads((variant / "variant.json").read_text()) | {"reference": kind}
    (variant / "variant.json").write_text(json.dumps(facts))
    card = (export(tmp_path, variant=variant).path / "README.md").read_text()
    assert f"| base | embedded:tiny{words} |" in card


def test_evidence_has_origin_interval_and_count(
    tmp_path: Path, variant: Path, probed: Path
) -> None:
    card = (export(tmp_path, variant=variant, probe__after=probed).path / "README.md").read_text()
    row = "| tiny\\|x | accuracy | hi | 0.25 share | 0.125 to 0.375 (bootstrap) | 40 (40) |"
    assert row + " measured |" in card
    assert "none: fewer than 8 clusters" in card
    assert "reported: their card" in card
    assert "took" not in card  # a time belongs to the machine


def test_the_commands_are_quoted(tmp_path: Path, variant: Path) -> None:
    evil = "a'; rm -rf ~ #"
    done = export(tmp_path, ExportConfig(name=evil), variant=variant)
    lines = (done.path / "serve.txt").read_text().splitlines()
    server = next(line for line in lines if line.startswith("llama-server"))
    words = shlex.split(server)
    assert words[words.index("--alias") + 1] == evil
    assert words[words.index("--ctx-size") + 1] == "512"
    assert "rm" not in words
    shown = subprocess.run(
        ["sh", "-c", server.replace("llama-server", "printf '%s\\n'", 1)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert evil in shown.stdout.splitlines()


def test_a_plain_model_with_its_adapter(tmp_path: Path, model: Path) -> None:
    trained = tmp_path / "trained"
    trained.mkdir()
    (trained / "adapter.gguf").write_bytes(b"GGUF of an adapter")
    done = export(tmp_path, model=model, adapter=trained)
    assert (done.path / "adapter.gguf").read_bytes() == b"GGUF of an adapter"
    serve = (done.path / "serve.txt").read_text()
    assert "--lora adapter.gguf" in serve
    assert "seemant serve path:model.gguf --adapter adapter.gguf" in serve


def test_an_adapter_is_not_shipped_beside_a_variant_that_holds_it(
    tmp_path: Path, variant: Path, model: Path
) -> None:
    with pytest.raises(BadConfig, match="already merged"):
        export(tmp_path, variant=variant, adapter=model)


def test_one_model_is_needed_and_no_more(tmp_path: Path, variant: Path, model: Path) -> None:
    with pytest.raises(BadConfig, match="0 were given"):
        export(tmp_path)
    with pytest.raises(BadConfig, match="2 were given"):
        export(tmp_path, variant=variant, model=model)


def test_a_torch_only_variant_cannot_be_taken_away(tmp_path: Path, variant: Path) -> None:
    (variant / "model.gguf").rename(variant / "codes.safetensors")
    with pytest.raises(BadFile, match="no runtime's layout holds its grid"):
        export(tmp_path, variant=variant)


def test_gemmas_terms_travel_or_nothing_does(
    tmp_path: Path, variant: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from seemant.models.catalogue import entry_of

    monkeypatch.setenv("SEEMANT_CACHE", str(tmp_path / "cache"))
    entry = entry_of("gemma-3-270m")
    about = json.loads((variant / "variant.json").read_text())
    about["base"]["sha256"] = entry.sha256
    (variant / "variant.json").write_text(json.dumps(about))
    with pytest.raises(BadFile, match="GEMMA_TERMS") as caught:
        export(tmp_path, variant=variant)
    assert "seemant models fetch gemma-3-270m" in str(caught.value)
    entry.folder.mkdir(parents=True)
    for name in entry.licence_files:
        (entry.folder / name).write_text(f"the text of {name}")
    done = export(tmp_path, variant=variant)
    for name in entry.licence_files:
        assert (done.path / name).read_text() == f"the text of {name}"
        assert (done.path / name).stat().st_nlink == 1  # a reader's edit stays in the bundle
    card = (done.path / "README.md").read_text()
    assert "Gemma is provided under and subject to the Gemma Terms of Use" in card
    assert "These files were modified" in card


@pytest.mark.real
def test_smollm2_is_bundled_with_a_transformers_folder(smol_gguf: Path, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    from seemant.models.load import load_torch

    done = export(tmp_path, ExportConfig(hf=True), model=smol_gguf)
    assert (done.path / "hf" / "tokenizer.json").is_file()
    assert (done.path / "LICENSE").is_file()
    ours = load_torch(smol_gguf)
    ids = torch.tensor([ours.tokenizer.encode("The capital of India is", add_bos=True)])
    with torch.no_grad():
        theirs = AutoModelForCausalLM.from_pretrained(done.path / "hf", dtype=torch.float32)
        assert torch.equal(theirs(ids).logits, ours.model(ids).logits)


def test_an_adapter_of_another_base_is_not_shipped(tmp_path: Path, model: Path) -> None:
    trained = tmp_path / "trained"
    trained.mkdir()
    (trained / "adapter.gguf").write_bytes(b"GGUF of an adapter")
    (trained / "student.json").write_text(json.dumps({"base": "x", "base_sha256": "0"}))
    with pytest.raises(BadFile, match="trained on x"):
        export(tmp_path, model=model, adapter=trained)
