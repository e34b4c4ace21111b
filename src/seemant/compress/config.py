"""The settings of the stage "compress"."""

from typing import Literal, Self

from pydantic import Field, PositiveInt, model_validator

from seemant.compress.methods.config import MethodConfig, Order
from seemant.compress.methods.registry import method_of
from seemant.compress.search.groups import MENU
from seemant.core.config import Config
from seemant.core.errors import BadConfig
from seemant.core.records import LANGUAGES, Lang
from seemant.formats.grids import Grid
from seemant.formats.packing import BLOCK, CONTAINERS, container_of
from seemant.formats.tensor_format import Format, Search, format_for, format_of

Prepare = Literal["awq"]


class CompressConfig(Config):
    """How a model's matrices are rounded, on which grids, with what calibration."""

    method: str = "rtn"
    """how integers are chosen: rtn, imatrix, gptq, magnitude, wanda, sparsegpt (docs/methods)"""

    bits: int = Field(default=4, ge=2, le=8)
    """bits a weight of the blocks' matrices, 2 to 8"""

    group: int | None = Field(default=32, ge=BLOCK, multiple_of=BLOCK)
    """weights that share a scale, a multiple of 32 that divides every row; null: per channel"""

    symmetric: bool = True
    """value = d*q (true), or d*q + m with an offset (false)"""

    format: str = ""
    """a format by name, in place of bits, group and symmetric: q4_0, q4_1, q5_0, q5_1, q8_0, q3_k,
    q4_k, q5_k, q6_k, f16, or for example int3-sym-g128"""

    embedding_bits: int = Field(default=8, ge=2, le=8)
    """bits a weight of the embedding and the output head, symmetric in groups of 32; below 8,
    small multilingual models lose Indic scripts first"""

    embedding_format: str = ""
    """a format by name for the embedding and the head, in place of embedding_bits"""

    embedding_method: str = "rtn"
    """how the embedding's and the head's integers are chosen; a tied one is read twice, so
    error feedback for the head alone harms it (docs/methods/gptq.md)"""

    formats: tuple[str, ...] = ()
    """formats of tensors or kinds, over the above: ffn_down=q5_0, blk.0.attn_v.weight=q8_0"""

    search: bool = False
    """choose the formats by what was measured, for a budget of bytes or a limit of divergence"""

    budget: str = ""
    """bytes of the whole file that a search may use, for example 240MB"""

    divergence: float | None = Field(default=None, gt=0)
    """nats a token that the worst language may lose; a search finds the fewest bytes"""

    menu: tuple[str, ...] = MENU
    """formats that a search may choose from"""

    bands: PositiveInt = 3
    """runs of neighbouring layers that a search tells apart"""

    search_chunks: PositiveInt = 2
    """chunks of text a language that a search measures on"""

    search_length: int = Field(default=256, ge=16)
    """tokens of such a chunk, of which the later half is scored"""

    mixes: int = Field(default=12, ge=0)
    """random mixes measured to learn how damages add; below 3: none"""

    fit: Search = "minmax"
    """how a group's scale is found: minmax, mse (searched), hqq (half-quadratic)"""

    prepare: Prepare | None = None
    """what is done to a block before rounding: awq (scales folded into the neighbours, clipping)"""

    order: Order = "natural"
    """columns' order in GPTQ: natural, act (largest input first), groups"""

    damp: float = Field(default=0.01, ge=0, le=1)
    """added to the Hessian's diagonal, a share of its mean"""

    sparsity: str = "unstructured:0.5"
    """what pruning removes: unstructured:SHARE, or N:M such as 2:4"""

    embedding_share: float = Field(default=0.5, ge=0, le=1)
    """of a tied embedding's error, the share that counts as a table's and not as the head's"""

    languages: tuple[Lang, ...] = LANGUAGES
    """languages that the calibration text must hold, in equal parts; one that is left out comes
    out worse than uncalibrated"""

    calibration_tokens: PositiveInt = 8192
    """tokens of calibration text a language"""

    sequence: int = Field(default=512, ge=8)
    """tokens of a calibration sequence"""

    allow_language_gap: bool = False
    """calibrate although the text lacks one of the languages"""

    seed: int = 0
    """of which part of the calibration text is taken"""

    threads: PositiveInt = 1
    """threads of the calibrated methods"""

    name: str = ""
    """what the variant is called; default: from the settings, for example "q4_0-g32" """

    subject: str = ""
    """what the measurements are about; default: MODEL[+lora]/NAME from the inputs' labels"""

    @property
    def block_format(self) -> Format:
        """The format of the blocks' matrices."""
        if self.format:
            return format_of(self.format)
        return format_for(Grid(self.bits, self.group, self.symmetric))

    @property
    def outer_format(self) -> Format:
        """The format of the embedding and of the output head."""
        if self.embedding_format:
            return format_of(self.embedding_format)
        return format_for(Grid(self.embedding_bits, BLOCK, symmetric=True))

    @property
    def own_formats(self) -> dict[str, Format]:
        """The formats of single tensors and kinds."""
        pairs = (each.partition("=") for each in self.formats)
        return {name: format_of(wanted) for name, _, wanted in pairs}

    @property
    def method_config(self) -> MethodConfig:
        """What the methods read."""
        return MethodConfig(order=self.order, damp=self.damp, sparsity=self.sparsity)

    @property
    def calibrated(self) -> bool:
        """Whether calibration text is needed."""
        methods = (self.method, self.embedding_method)
        return self.prepare is not None or any(method_of(m).needs != "weights" for m in methods)

    @property
    def method_name(self) -> str:
        """For example "gptq", "awq+gptq", "rtn-mse"."""
        prepared = "" if self.prepare is None else f"{self.prepare}+"
        return f"{prepared}{self.method}{'' if self.fit == 'minmax' else f'-{self.fit}'}"

    @property
    def variant_name(self) -> str:
        """The given name or one that tells the settings."""
        if self.name:
            return self.name
        head = "" if self.method_name == "rtn" else f"{self.method_name}-"
        if self.method in PRUNING:
            head += self.sparsity.replace(":", "of" if self.sparsity[0].isdigit() else "") + "-"
        own = "-mixed" if self.formats or self.search else ""
        outer = grid_name(self.outer_format)
        tail = "" if outer == "q8_0" else f"-e{_short(self.outer_format)}"
        return f"{head}{_format_name(self.block_format)}{own}{tail}"

    @model_validator(mode="after")
    def _can_be_done(self) -> Self:
        if "/" in self.name:
            raise ValueError("a variant's name holds no '/'")
        if not self.search and (self.budget or self.divergence is not None):
            raise ValueError("a budget or a divergence is what a search keeps: add `search`")
        if self.search and self.formats:
            raise ValueError("a search chooses the formats: give `formats` or `search`, not both")
        try:
            for name in (self.method, self.embedding_method):
                method_of(name)
            for each in self.formats:
                if "=" not in each:
                    raise BadConfig(f"{each!r} is not TENSOR=FORMAT")
            for each in self.menu:
                format_of(each)
            _ = self.method_config, self.block_format, self.outer_format, self.own_formats
        except BadConfig as error:
            raise ValueError(str(error)) from error
        return self


PRUNING = ("magnitude", "wanda", "sparsegpt")


def grid_name(format: Format) -> str:
    """Return "q4_0" where a layout holds the grid by nature, else for example "int3-sym"."""
    if format.is_k or format.is_float:
        return format.name
    grid = format.grid
    container = container_of(grid)
    if container is not None and CONTAINERS[container].bits == grid.bits:
        return container.lower()
    return f"int{grid.bits}-{'sym' if grid.symmetric else 'asym'}"


def _format_name(format: Format) -> str:
    if format.is_k or format.is_float:
        return format.name
    group = "channel" if format.grid.group is None else f"g{format.grid.group}"
    return f"{grid_name(format)}-{group}"


def _short(format: Format) -> str:
    """Return "4" of a symmetric grid in groups of 32, else the name."""
    grid = format.grid
    plain = grid.symmetric and grid.group == BLOCK and not format.is_k
    return str(grid.bits) if plain else format.name
