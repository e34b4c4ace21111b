"""The decoder: embedding, blocks, last norm, over the rows of a batch laid one after another.

Module names are transformers', so `linears`, `replace`, adapters' and state dicts' names agree
with any other program's. The head is not applied: losses stream it by blocks of the vocabulary.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from seemant.core.errors import BadConfig
from seemant.models.decoder.attention import Segments
from seemant.models.decoder.block import Block, Rows
from seemant.models.decoder.norm import RmsNorm
from seemant.models.decoder.rotary import RotaryTables, Table
from seemant.models.decoder.saved import KEEP, KEEP_RECOMPUTED
from seemant.models.decoder.shape import DecoderShape
from seemant.models.frozen.matrix import FrozenMatrix
from seemant.models.frozen.scratch import Scratch


class Body(nn.Module):
    """Embedding, blocks and last norm, under the names that transformers gives them."""

    def __init__(self, embed_tokens: nn.Module, layers: list[Block], norm: RmsNorm) -> None:
        super().__init__()
        self.embed_tokens = embed_tokens
        self.layers = nn.ModuleList(layers)
        self.norm = norm


class Decoder(nn.Module):
    """A decoder of a shape. Build it with `load_decoder`, `random_decoder`, `trainable_decoder`.

    compute: the type of the residual stream. checkpointing: every block keeps its input only and
    is run again in backward. scratch: the one buffer that all its frozen matrices share.
    """

    def __init__(
        self,
        shape: DecoderShape,
        parts: Mapping[str, nn.Module],
        *,
        compute: torch.dtype,
        scratch: Scratch | None = None,
    ) -> None:
        super().__init__()
        self.shape = shape
        self.compute = compute
        self.checkpointing = False
        self.scratch = Scratch() if scratch is None else scratch
        layers = [
            Block(shape, layer, _inside(parts, f"model.layers.{layer}."))
            for layer in range(shape.layers)
        ]
        norm = parts["model.norm"]
        assert isinstance(norm, RmsNorm)
        self.model = Body(parts["model.embed_tokens"], layers, norm)
        if not shape.tied:
            self.lm_head = parts["lm_head"]
        self._tables = RotaryTables(shape.head_dim, shape.rotated)
        self._names = tuple(shape.linears())

    @property
    def head(self) -> nn.Module:
        """The output head: a FrozenMatrix, or a module whose `weight` is trained; tied or own."""
        found: nn.Module = self.model.embed_tokens if self.shape.tied else self.lm_head
        return found

    @property
    def head_weight(self) -> FrozenMatrix | Tensor:
        """The head as the streamed losses take it: the frozen matrix, or the (vocab, d) weight."""
        head = self.head
        if isinstance(head, FrozenMatrix):
            return head
        weight = head.weight
        assert isinstance(weight, Tensor)
        return weight

    def forward(self, ids: Tensor, lengths: Sequence[int]) -> Tensor:
        """Return the hidden states after the last norm, (N, d) of the compute type.

        ids: (N,) int64, row after row. lengths: tokens of each row, N together. A row sees
        nothing of another.
        """
        if sum(lengths) != len(ids):
            raise ValueError(f"{len(ids)} ids, but rows of {sum(lengths)} tokens together")
        return self.run(self.embed(ids), lengths)

    def run(self, x: Tensor, lengths: Sequence[int]) -> Tensor:
        """Return the hidden states of embeddings x (N, d); as `forward`."""
        rows = self.rows_of(lengths, x.device)
        remember = self.checkpointing and torch.is_grad_enabled()
        for block in self.model.layers:
            if remember:
                x = checkpoint(block, x, rows, use_reentrant=False, preserve_rng_state=False)
            else:
                x = block(x, rows)
        out: Tensor = self.model.norm(x)
        return out

    def embed(self, ids: Tensor) -> Tensor:
        """Return the scaled embeddings of ids (N,), (N, d) of the compute type."""
        table = self.model.embed_tokens
        if isinstance(table, FrozenMatrix):
            gathered = table.gather(ids, self.compute)
            return (
                gathered if self.shape.embed_scale == 1 else gathered.mul_(self.shape.embed_scale)
            )
        x: Tensor = table(ids).to(self.compute)
        return x if self.shape.embed_scale == 1 else x * self.shape.embed_scale

    def rows_of(self, lengths: Sequence[int], device: torch.device) -> Rows:
        """Return what the blocks need to know of rows of these lengths."""
        lengths = [length for length in lengths if length]
        # With a norm, q's factor goes into the norm's weight, and q and k share their tables.
        q_scale = 1.0 if self.shape.qk_norm else self.shape.query_scale
        made: dict[object, tuple[Table, Table]] = {}
        for rope in self.shape.ropes:
            if rope not in made:
                k = self._tables.rows(rope, 1.0, lengths, device)
                q = k if q_scale == 1 else self._tables.rows(rope, q_scale, lengths, device)
                made[rope] = q, k
        q_tables, k_tables = zip(*(made[rope] for rope in self.shape.ropes), strict=True)
        keep = KEEP_RECOMPUTED if self.checkpointing else KEEP
        return Rows(Segments.of(lengths, keep), q_tables, k_tables)

    def linears(self) -> dict[str, nn.Module]:
        """Return the modules that stand at the blocks' linears now, by transformers' name."""
        return {name: self.get_submodule(name) for name in self._names}

    def replace(self, name: str, module: nn.Module) -> None:
        """Put another module in a linear's place; it maps (N, in) to (N, out).

        Raises:
            BadConfig: no linear of that name.
        """
        if name not in self._names:
            raise BadConfig(
                f"the model has no linear {name!r}",
                fix=f"name one like {self._names[0]}",
            )
        parent, _, last = name.rpartition(".")
        setattr(self.get_submodule(parent), last, module)


def _inside(parts: Mapping[str, nn.Module], before: str) -> dict[str, nn.Module]:
    return {
        name.removeprefix(before): part for name, part in parts.items() if name.startswith(before)
    }
