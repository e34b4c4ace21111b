"""What can never be done is refused by the settings, before any file is opened."""

import pytest
from pydantic import ValidationError

from seemant.compress.config import CompressConfig
from seemant.core.config import validate
from seemant.core.errors import BadConfig


@pytest.mark.parametrize("text", ["", "half", "unstructured:1.5", "unstructured:0", "4:2", "2:0"])
def test_a_sparsity_that_is_no_pattern(text: str) -> None:
    for method in ("rtn", "magnitude"):
        with pytest.raises(BadConfig, match=r"sparsity: .*no sparsity pattern"):
            validate(CompressConfig, {"method": method, "sparsity": text}, where="s.yaml", lines={})


def test_sparsegpt_takes_stored_order_only() -> None:
    for order in ("act", "groups"):
        with pytest.raises(ValidationError, match="stored order"):
            CompressConfig.model_validate({"method": "sparsegpt", "order": order})
    for order in (None, "natural"):
        assert CompressConfig.model_validate({"method": "sparsegpt", "order": order})
    assert CompressConfig.model_validate({"method": "gptq", "order": "act"})


def test_a_pattern_names_the_variant() -> None:
    config = CompressConfig.model_validate({"method": "magnitude", "sparsity": "2:4"})
    assert config.variant_name == "magnitude-2of4-q4_0-g32"
