"""File formats and number grids: GGUF, block layouts, quantisation grids. numpy only."""
