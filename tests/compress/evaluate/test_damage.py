"""The damage of a changed decoder equals what whole rows of log-softmaxes say."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from seemant.compress.evaluate import head as head_module
from seemant.compress.evaluate.chunks import batches_of, chunks_of, scored
from seemant.compress.evaluate.damage import damage
from seemant.compress.evaluate.head import Head, divergence, nll
from seemant.compress.evaluate.reference import Reference
from seemant.compress.evaluate.replaced import matrix, replaced, set_matrix
from seemant.core.atomic import atomic_path
from seemant.core.errors import BadFile, DiskFull, InputError
from seemant.models.decoder.decoder import Decoder
from seemant.models.names import Family, to_gguf
from seemant.models.tokenizer import Tokenizer
from seemant.probe.divergence import rows_divergence
from tests.compress.evaluate.tiny_decoders import GEMMA, tiny_decoder, tiny_sequences

DOWN, EMBEDDING, Q = "blk.1.ffn_down.weight", "token_embd.weight", "blk.2.attn_q.weight"


def log_rows(decoder: Decoder, ids: list[int]) -> np.ndarray:
    """Whole log-softmax rows of the scored positions, by the plainest means."""
    with torch.inference_mode():
        hidden = decoder(torch.tensor(ids), [len(ids)])[len(ids) // 2 : -1]
        weight = decoder.head_weight
        weight = weight if isinstance(weight, torch.Tensor) else weight.dequantised(torch.float32)
        logits = (hidden @ weight.T).double()
        if cap := decoder.shape.softcap:
            logits = cap * torch.tanh(logits / cap)
        return logits.log_softmax(-1).numpy().astype(np.float32)


@pytest.mark.parametrize("changes", [{}, GEMMA, {"tie_word_embeddings": False}], ids=str)
@pytest.mark.parametrize("name", [DOWN, EMBEDDING])
def test_damage_equals_the_divergence_of_whole_rows(
    changes: dict[str, object], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(head_module, "_CELLS", 1)
    monkeypatch.setattr(head_module, "_LEAST", 97)  # many slices, the last one short
    decoder, sequences = tiny_decoder(**changes), tiny_sequences()
    reference = Reference.of(decoder, sequences, batch_tokens=50)
    before = {lang: [log_rows(decoder, ids) for ids in s] for lang, s in sequences.items()}
    noisy = matrix(decoder, name) + np.float32(0.05) * np.random.default_rng(0).standard_normal(
        matrix(decoder, name).shape
    ).astype(np.float32)
    with replaced(decoder, {name: noisy}):
        found = damage(decoder, reference)
        for lang, listed in sequences.items():
            for index, ids in enumerate(listed):
                log_p, log_q = before[lang][index], log_rows(decoder, ids)
                wanted = rows_divergence(log_p, log_q, ids[len(ids) // 2 + 1 :])
                each = found.chunks[lang][index]
                for what in ("kld", "dnll", "nll_ref"):
                    got = getattr(each, what)
                    assert np.allclose(got, getattr(wanted, what), atol=2e-5, rtol=1e-4), what
                assert (each.top1 == wanted.top1).all()
    assert found.worst() > 1e-4


def test_an_unchanged_model_has_no_damage_at_all() -> None:
    decoder = tiny_decoder()
    found = damage(decoder, Reference.of(decoder, tiny_sequences()))
    assert found.means() == {"hi": 0.0, "kn": 0.0}
    assert found.tokens("hi").n == 3 * 11 and (found.tokens("hi").top1 == 1).all()


def test_a_swap_is_undone_also_after_an_error() -> None:
    decoder = tiny_decoder()
    old = matrix(decoder, Q).copy()
    with pytest.raises(ZeroDivisionError), replaced(decoder, {Q: old * 2}):
        assert (matrix(decoder, Q) == old * 2).all()
        raise ZeroDivisionError
    assert (matrix(decoder, Q) == old).all()


def test_a_marked_reference_gives_the_same_damage_without_the_layers_below() -> None:
    decoder, sequences = tiny_decoder(), tiny_sequences()
    reference = Reference.of(decoder, sequences, marks=(1, 2))
    with replaced(decoder, {Q: matrix(decoder, Q) * np.float32(1.5)}):
        whole, short = damage(decoder, reference), damage(decoder, reference, changed=[Q])
        decoder.model.layers[0] = torch.nn.Identity()  # would fail if it were run
        again = damage(decoder, reference, changed=[Q])
    assert whole.means() == short.means() == again.means()


@pytest.mark.parametrize("changes", [{}, GEMMA], ids=["llama", "gemma"])
def test_values_go_in_as_a_gguf_file_orders_them(changes: dict[str, object]) -> None:
    from seemant.models.names import values_to_gguf

    decoder = tiny_decoder(**changes)
    shape = decoder.shape
    family = Family(shape.family, shape.heads, shape.kv_heads)
    hf = torch.randn(64, 64)
    values = values_to_gguf(Q, hf.numpy(), family)
    ids = torch.tensor([3, 1, 4, 1, 5])
    before = decoder(ids, [5])
    set_matrix(decoder, Q, values)
    assert (decoder.get_submodule("model.layers.2.self_attn.q_proj").matrix.weight == hf).all()
    assert not torch.allclose(before, decoder(ids, [5]))
    for name in shape.tensors():  # every tensor can be read and put back, norms among them
        gguf = to_gguf(name, shape.family)
        set_matrix(decoder, gguf, matrix(decoder, gguf))
    norm = "blk.0.ffn_norm.weight"
    with replaced(decoder, {norm: matrix(decoder, norm) * 2}):
        assert not torch.allclose(before, decoder(ids, [5]))


def test_what_cannot_be_swapped_is_named() -> None:
    decoder = tiny_decoder()
    with pytest.raises(BadFile, match="attn_x"):
        set_matrix(decoder, "blk.0.attn_x.weight", np.zeros((64, 64), np.float32))
    with pytest.raises(BadFile, match=r"blk\.9"):
        set_matrix(decoder, "blk.9.attn_q.weight", np.zeros((64, 64), np.float32))
    with pytest.raises(ValueError, match="ffn_down"):
        set_matrix(decoder, DOWN, np.zeros((64, 64), np.float32))


def test_hidden_states_come_back_from_a_file_and_refuse_another_head(tmp_path) -> None:
    decoder, path = tiny_decoder(), tmp_path / "reference.safetensors"
    reference = Reference.of(decoder, tiny_sequences())
    reference.save(path)
    again = Reference.load(path, Head.of(decoder))
    assert again.fingerprint() == reference.fingerprint()
    with replaced(decoder, {DOWN: matrix(decoder, DOWN) * 2}):
        assert damage(decoder, again).means() == damage(decoder, reference).means()
    with (
        replaced(decoder, {EMBEDDING: matrix(decoder, EMBEDDING) * 2}),
        pytest.raises(BadFile, match="another head"),
    ):
        Reference.load(path, Head.of(decoder))
    path.write_bytes(b"torn")
    with pytest.raises(BadFile, match="no hidden states"):
        Reference.load(path, Head.of(decoder))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_named_and_leaves_the_last_states(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = Reference.of(tiny_decoder(), tiny_sequences())
    path = tmp_path / "states.safetensors"
    reference.save(path)
    whole = path.read_bytes()

    @contextmanager
    def full(path: Path) -> Iterator[Path]:
        with atomic_path(path) as temporary:
            temporary.symlink_to("/dev/full")
            yield temporary

    monkeypatch.setattr("seemant.compress.evaluate.reference.atomic_path", full)
    with pytest.raises(DiskFull, match="no space left"):
        reference.save(path)
    assert path.read_bytes() == whole
    assert list(tmp_path.iterdir()) == [path]


def test_kld_of_two_coins_is_the_closed_form() -> None:
    p, q = torch.tensor([[0.5, 0.25, 0.25]]).log(), torch.tensor([[0.25, 0.5, 0.25]]).log()
    one = Head(torch.eye(3), None)
    found = divergence(p, one, q, one, torch.tensor([1]))
    assert found.kld[0] == pytest.approx(0.25 * np.log(2), rel=1e-6)
    assert found.top1[0] == 0 and found.nll_ref[0] == pytest.approx(np.log(4))
    assert nll(q, one, torch.tensor([1])).item() == pytest.approx(np.log(2))


def test_chunks_are_cut_as_llama_cpp_cuts_them() -> None:
    class Words:
        def encode(self, text: str, add_special_tokens: bool) -> object:
            return type("E", (), {"ids": [int(each) for each in text.split()]})

    tokenizer = Tokenizer(Words(), 99, None, True)  # type: ignore[arg-type]
    text = " ".join(str(i) for i in range(11))
    assert chunks_of([text], tokenizer, length=4) == [[99, 0, 1, 2], [99, 4, 5, 6], [99, 8, 9, 10]]
    assert chunks_of([text], tokenizer, length=4, limit=1) == [[99, 0, 1, 2]]
    assert list(scored(512)) == list(range(256, 511))
    with pytest.raises(InputError, match="12 tokens"):
        chunks_of([text], tokenizer, length=20)
    assert batches_of([3, 3, 3, 9, 1], 6) == [range(2), range(2, 3), range(3, 4), range(4, 5)]
