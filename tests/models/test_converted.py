"""A folder named where a model is asked for is read as the GGUF file that is made of it once."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from seemant.core.errors import BadFile
from seemant.formats.gguf_read import open_gguf
from seemant.models.expansions import all_expansions
from seemant.models.resolve import locate, resolve
from seemant.models.tokenizer import tokenizer_of_metadata
from tests.models.tiny import byte_level_metadata, tiny_model

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tiny_model("qwen2").save_pretrained(tmp_path / "hf")
    tokenizer_of_metadata(byte_level_metadata()).save(tmp_path / "hf")
    return tmp_path / "hf"


def test_a_folder_resolves_to_a_file_that_is_made_once(folder: Path) -> None:
    first = resolve(f"path:{folder}")
    assert (first.kind, first.subject) == ("gguf", "hf")
    assert open_gguf(first.path).metadata["general.architecture"] == "qwen2"
    made = first.path.stat().st_mtime_ns
    assert resolve(f"path:{folder}").path == first.path
    assert first.path.stat().st_mtime_ns == made
    assert locate(f"path:{folder}").path == folder


def test_changed_weights_settings_or_words_make_another_file(folder: Path) -> None:
    places = {resolve(f"path:{folder}").path}
    weights = load_file(folder / "model.safetensors")
    changed = {name: each + 1 for name, each in weights.items()}
    save_file(changed, folder / "model.safetensors")
    places.add(resolve(f"path:{folder}").path)
    for name in ("config.json", "tokenizer_config.json"):
        said = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps(said | {"something": 1}))
        places.add(resolve(f"path:{folder}").path)
    assert len(places) == 4


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_weight_that_is_no_number_is_named_and_nothing_is_left(
    folder: Path, value: float
) -> None:
    weights = {name: each.clone() for name, each in load_file(folder / "model.safetensors").items()}
    weights["model.layers.2.mlp.up_proj.weight"][3, 4] = value
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(BadFile, match=r"layers\.2\.mlp\.up_proj\.weight holds weights that are"):
        resolve(f"path:{folder}")
    assert not all_expansions()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_matrices_stay_in_the_type_in_which_they_are_stored(
    folder: Path, dtype: torch.dtype
) -> None:
    weights = load_file(folder / "model.safetensors")
    save_file(
        {name: each.to(dtype) for name, each in weights.items()}, folder / "model.safetensors"
    )
    file = open_gguf(resolve(f"path:{folder}").path)
    kind = {torch.bfloat16: "BF16", torch.float16: "F16"}[dtype]
    for name, tensor in file.tensors.items():
        assert tensor.type_name == ("F32" if len(tensor.shape) == 1 else kind), name
    up = file.dequantize("blk.1.ffn_up.weight")
    wanted = weights["model.layers.1.mlp.up_proj.weight"].to(dtype).float().numpy()
    assert (up == wanted).all()
