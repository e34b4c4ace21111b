"""The two parts are what the decoder's own block computes."""

import pytest
import torch

from seemant.compress.awq.parts import block_parts
from seemant.models.decoder.load import frozen_decoder
from seemant.models.decoder.weights import state_weights
from tests.compress.awq.tiny import (
    FAMILIES,
    LENGTHS,
    block_of,
    moved,
    some_input,
    tiny_shape,
    tiny_state,
    to_file,
)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("layer", [0, 1])
def test_input_and_both_parts_add_up_to_the_blocks_output(family: str, layer: int) -> None:
    shape = tiny_shape(family)
    state = tiny_state(shape)
    decoder = frozen_decoder(state_weights(shape, state), "float", "float", "float32")
    block = block_of(to_file(shape, state), layer)
    x = some_input(shape)
    forward = block_parts(shape, layer, x, LENGTHS, block)
    with torch.no_grad():
        wanted = decoder.model.layers[layer](x, decoder.rows_of(LENGTHS, x.device))
    assert moved(x + forward("attention", block) + forward("mlp", block), wanted) < 1e-5
