"""The settings of the stage "compress"."""

from collections.abc import Callable
from typing import Annotated, Literal, Self

from pydantic import Field, PositiveInt, field_validator, model_validator

from seemant.compress.format_names import format_name, grid_name, short_format
from seemant.compress.methods.config import MethodConfig, Order
from seemant.compress.methods.registry import method_of
from seemant.compress.prune.masks import pattern_of
from seemant.compress.search.groups import EMBEDDING, HEAD, MENU
from seemant.core.config import HOW, Config
from seemant.core.errors import BadConfig
from seemant.core.records import LANGUAGES, Lang
from seemant.formats.grids import Grid
from seemant.formats.packing import BLOCK
from seemant.formats.tensor_format import Format, Search, format_for, format_of

Prepare = Literal["awq"]


class CompressConfig(Config):
    """How a model's matrices are rounded, on which grids, with what calibration."""

    method: str = "rtn"
    """how integers are chosen: rtn, imatrix, gptq, magnitude, wanda, sparsegpt (docs/methods)"""

    bits: int = Field(default=4, ge=2, le=8)
    """bits a weight of the blocks' matrices, 2 to 8"""

    group: int | None = Field(default=32, ge=BLOCK, multiple_of=BLOCK)
    """weights that share a scale, a multiple of 32 that divides every row; none: per channel"""

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

    embedding_method: str = ""
    """how the embedding's and the head's integers are chosen; none: gptq with method gptq (a tied
    one by both its roles, docs/methods/gptq.md), else rtn"""

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
    """how a group's scale is found: minmax, mse (searched), hqq (half-quadratic); an embedding that
    is rounded to nearest keeps minmax, whose largest weights are exact"""

    prepare: Prepare | None = None
    """what is done to a block before rounding: awq (scales folded into the neighbours, clipping)"""

    order: Order | None = None
    """columns' order in GPTQ: groups (of largest input first), act (columns so), natural (as
    stored); none: the method's own, groups for gptq and natural for sparsegpt"""

    damp: float = Field(default=0.01, ge=0, le=1)
    """added to the Hessian's diagonal, a share of its mean"""

    sparsity: str = "unstructured:0.5"
    """what pruning removes: unstructured:SHARE, or N:M such as 2:4"""

    embedding_share: float = Field(default=0.1, ge=0, le=1)
    """of a tied embedding's error, the share that counts as a table's and not as the head's"""

    languages: tuple[Lang, ...] = LANGUAGES
    """languages that the calibration text must hold, in equal parts; one that is left out
    loses several times as much"""

    calibration_tokens: PositiveInt = 8192
    """tokens of calibration text a language"""

    sequence: int = Field(default=512, ge=8)
    """tokens of a calibration sequence"""

    allow_language_gap: bool = False
    """calibrate although the text lacks one of the languages"""

    seed: int = 0
    """of which part of the calibration text is taken"""

    threads: Annotated[PositiveInt, HOW] = 1
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
    def outer_method(self) -> str:
        """How the embedding's and the head's integers are chosen."""
        if self.embedding_method:
            return self.embedding_method
        stored = self.outer_format.container is not None and not self.outer_format.is_float
        return "gptq" if self.method == "gptq" and stored else "rtn"

    @property
    def outer_fit(self) -> Search:
        """How the embedding's and the head's scales are found.

        A small model's head reads a massive channel: to trade its largest weights for a smaller
        mean error doubled an 8-bit embedding's divergence in Hindi and Kannada.
        """
        return "minmax" if self.outer_method == "rtn" else self.fit

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
        methods = (self.method, self.outer_method)
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
        if self.search:
            asked = self.budget.replace(" ", "") or str(self.divergence or "")
            return f"{head}mixed{asked and '-'}{asked}"
        own = "-mixed" if self.formats else ""
        outer = grid_name(self.outer_format)
        tail = "" if outer == "q8_0" else f"-e{short_format(self.outer_format)}"
        return f"{head}{format_name(self.block_format)}{own}{tail}"

    @field_validator("method", "embedding_method")
    @classmethod
    def _is_a_method(cls, name: str) -> str:
        return _known(method_of, name) if name else name

    @field_validator("format", "embedding_format")
    @classmethod
    def _is_a_format(cls, name: str) -> str:
        return _known(format_of, name) if name else name

    @field_validator("menu")
    @classmethod
    def _are_formats(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_known(format_of, name) for name in names)

    @field_validator("formats")
    @classmethod
    def _are_pairs(cls, pairs: tuple[str, ...]) -> tuple[str, ...]:
        for each in pairs:
            if "=" not in each:
                raise ValueError(f"{each!r} is not TENSOR=FORMAT, such as ffn_down=q5_0")
            _known(format_of, each.partition("=")[2])
        return pairs

    @field_validator("sparsity")
    @classmethod
    def _is_a_pattern(cls, text: str) -> str:
        return _known(pattern_of, text)

    @model_validator(mode="after")
    def _can_be_done(self) -> Self:
        try:
            _ = self.method_config, self.block_format, self.outer_format
            _check_together(self)
            if not self.search:  # which names its formats later: `plan` looks at its menu
                check_fit(self, self.block_format, "")
                check_fit(self, self.outer_format, EMBEDDING)
            for name, wanted in self.own_formats.items():
                check_fit(self, wanted, name)
        except BadConfig as error:
            raise ValueError(_in_one_line(error)) from error
        return self


PRUNING = ("magnitude", "wanda", "sparsegpt")


def _check_together(config: CompressConfig) -> None:
    """Check what no field can know of the others.

    Raises:
        BadConfig: names the field that is to be changed.
    """
    if "/" in config.name:
        raise BadConfig("a variant's name holds no '/'", where="name", fix="use '-' in its place")
    if not config.search and (config.budget or config.divergence is not None):
        raise BadConfig(
            "a budget or a divergence is what a search keeps",
            where="budget" if config.budget else "divergence",
            fix="add `search`",
        )
    if config.search and config.formats:
        raise BadConfig(
            "a search chooses the formats",
            where="formats",
            fix="give `formats` or `search`, not both",
        )
    methods = (config.method, config.outer_method)
    if "sparsegpt" in methods and config.order not in (None, "natural"):
        raise BadConfig(  # the method refuses it too, but only at the first matrix
            f"sparsegpt chooses its masks in stored order, not in the order {config.order!r}",
            where="order",
            fix='use order "natural"',
        )


def check_fit(config: CompressConfig, format: Format, tensor: str) -> None:
    """Check that the scales of a tensor (a name or a kind; "": the blocks') can be found as asked.

    Raises:
        BadConfig: HQQ of a k-quant.
    """
    outer = tensor.removesuffix(".weight") in (EMBEDDING, HEAD)
    method = config.outer_method if outer else config.method
    fit = config.outer_fit if outer else config.fit
    if fit == "hqq" and format.is_k and method != "imatrix":  # which searches by itself
        raise BadConfig(
            f"hqq finds no scales for {format.name}: its groups share a super-block",
            where="fit",
            fix="use fit mse, or a format without super-blocks such as q4_1",
        )


def _known(find: Callable[[str], object], name: str) -> str:
    """Return a name that `find` knows.

    Raises:
        ValueError: it does not; for pydantic, which adds the key.
    """
    try:
        find(name)
    except BadConfig as error:
        raise ValueError(_in_one_line(error)) from error
    return name


def _in_one_line(error: BadConfig) -> str:
    return "; ".join(part for part in (error.what, error.fix) if part)
