r"""The word cuts of byte-pair tokenizers, by their names in GGUF files (`tokenizer.ggml.pre`).

Facts of llama.cpp: which names there are, which expressions each stands for and in which order
they are applied (`llm_tokenizer_bpe` and `unicode_regex_split` of src/llama-vocab.cpp and
src/unicode.cpp), written for the `tokenizers` library. Where llama.cpp's engine reads an
expression otherwise than its publisher wrote it, ours says what llama.cpp does: it knows letters,
but neither their case beyond ASCII nor \p{Lu} and its kin.
"""

from seemant.core.errors import BadFile, nearest
from seemant.models.pretokenize import Cut

_ENDINGS = "'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]"
_SPACES = r"|\s*[\r\n]+|\s+(?!\S)|\s+"
_SIGNS = r"| ?[^\s\p{L}\p{N}]+[\r\n]*"

_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_WORDS = r"[^\r\n\p{L}\p{N}]?\p{L}+"
_QWEN2 = _ENDINGS + "|" + _WORDS + r"|\p{N}" + _SIGNS + _SPACES
_LLAMA3 = _ENDINGS + "|" + _WORDS + r"|\p{N}{1,3}" + _SIGNS + _SPACES
# The cut that keeps combining marks (vowel signs, viramas) with their letters; the others take
# क्या apart at its virama and its vowel sign.
_QWEN35 = (
    _ENDINGS + r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*" + _SPACES
)
_CJK = "[一-龥぀-ゟ゠-ヿ]+"
_DEEPSEEK3 = (
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"
    r"| ?[\p{P}\p{S}]+[\r\n]*"
) + _SPACES
# Letters, of which those outside ASCII count as capital and small at once.
_CAPITALS, _SMALL = r"(?:(?=\p{L})[^a-z])", r"(?:(?=\p{L})[^A-Z])"
_CAPITALS_M, _SMALL_M = r"(?:(?=[\p{L}\p{M}])[^a-z])", r"(?:(?=[\p{L}\p{M}])[^A-Z])"
_LEAD = r"[^\r\n\p{L}\p{N}]?"
_SLASHED = r"| ?[^\s\p{L}\p{N}]+[\r\n/]*" + _SPACES


def _cased(capitals: str, small: str, endings: str) -> str:
    end = f"(?:{endings})?" if endings else ""
    return f"{_LEAD}{capitals}*{small}+{end}|{_LEAD}{capitals}+{small}*{end}"


_TEKKEN = _cased(_CAPITALS, _SMALL, "") + r"|\p{N}" + _SLASHED
_GPT4O = _cased(_CAPITALS, _SMALL, _ENDINGS) + r"|\p{N}{1,3}" + _SLASHED
_GRANITE_97M = _cased(_CAPITALS_M, _SMALL_M, _ENDINGS) + r"|\p{N}{1,3}" + _SLASHED
# \p{Lu} and its kin are letters to llama.cpp: no case at all.
_MARKED = _LEAD + r"[\p{L}\p{M}]+(?:" + _ENDINGS + ")?"
_TINY_AYA = _MARKED + r"|\p{N}{1,3}" + _SLASHED
_YOUTU = _MARKED + r"|\p{N}" + _SLASHED
# What stands before a number goes with its first group.
_DIGITS_FROM_THE_RIGHT = r"\P{N}*\p{N}{1,3}(?=(?:\p{N}{3})*(?!\p{N}))"
_AFMOE_ASIAN = "[一-鿿㐀-䶿豈-﫿぀-ゟ゠-ヿ･-ﾟ⼀-⿟เ-๿຀-໿ក-៿က-႟ꩠ-ꩿꧠ-꧿가-힯ᄀ-ᇿ]+"
_HAN = (
    r"\x{4E00}-\x{9FFF}\x{3400}-\x{4DBF}\x{20000}-\x{2A6DF}\x{2A700}-\x{2EBEF}"
    r"\x{F900}-\x{FAFF}\x{2F800}-\x{2FA1F}"
)
_KIMI = rf"[{_HAN}]+|{_LEAD}[\p{{L}}&&[^{_HAN}]]+(?:{_ENDINGS})?|\p{{N}}{{1,3}}" + _SIGNS + _SPACES
_BLOOM = " ?[^(\\s|.,!?…。，、।۔،)]+"
# DeepSeek's "letters with case" and signs, code point by code point: composed and compatibility
# forms differ here.
_DEEPSEEK_LETTERS = (
    "A-Za-z\u00b5\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u01ba\u01bc-\u01bf\u01c4-\u0293\u0295-\u02af"
    "\u0370-\u0373\u0376\u0377\u037b-\u037d\u037f\u0386\u0388-\u038a\u038c\u038e-\u03a1\u03a3-"
    "\u03f5\u03f7-\u0481\u048a-\u052f\u0531-\u0556\u10a0-\u10c5\u13a0-\u13f5\u13f8-\u13fd\u1c90"
    "-\u1cba\u1cbd-\u1cbf\u1d00-\u1d2b\u1d6b-\u1d77\u1d79-\u1d9a\u1e00-\u1f15\u1f18-\u1f1d"
    "\u1f20-\u1f45\u1f48-\u1f4d\u1f50-\u1f57\u1f59\u1f5b\u1f5d\u1f5f-\u1f7d\u1f80-\u1fb4\u1fb6-"
    "\u1fbc\u1fbe\u1fc2-\u1fc4\u1fc6-\u1fcc\u1fd0-\u1fd3\u1fd6-\u1fdb\u1fe0-\u1fec\u1ff2-\u1ff4"
    "\u1ff6-\u1ffc\u2102\u2107\u210a-\u2113\u2115\u2119-\u211d\u2124\u2126\u2128\u212a-\u212d"
    "\u212f-\u2134\u2139\u213c-\u213f\u2145-\u2149\u214e\u2183\u2184\u2c00-\u2c7b\u2c7e-\u2ce4"
    "\u2ceb-\u2cee\u2cf2\u2cf3\ua640-\ua66d\ua680-\ua69b\ua722-\ua76f\ua771-\ua787\ua78b-\ua78e"
    "\uab70-\uabbf\ufb00-\ufb06\ufb13-\ufb17\uff21-\uff3a\uff41-\uff5a\U00010400-\U0001044f"
    "\U000104b0-\U000104d3\U000104d8-\U000104fb\U00010c80-\U00010cb2\U00010cc0-\U00010cf2"
    "\U000118a0-\U000118df\U0001e900-\U0001e943"
)
# White space beyond ASCII is in none of these ranges: llama.cpp puts another letter in its place.
_DEEPSEEK_SIGNS = "!-/:-~\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f\u3001-\u3002"
_DEEPSEEK_ASIAN = "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff&&[^\\s]]+"
_YOUTU_ASIAN = (
    "[\uac00-\ud7a3\u3131-\u318e]+"
    "|[\uff01\u2026\u201c\u201d\u2018\u2019\u2014\uff1a\uff1b\uff0c\u3001-\u303f\ufe30-\ufe4f]+"
    "|[\u3105-\u312f]+|" + _CJK
)


_DIGITS = r"\p{N}"
_LLAMA = Cut((_LLAMA3,), whole_words_first=True, adds_bos=True)
_ONE_DIGIT = Cut((_DIGITS, _GPT2))
_NEWLINES = Cut((r"[^\n]+|\n+",), spaces_as_letters=True)
_PLAIN = Cut((_GPT2,))
_QWEN = Cut((_QWEN2,))
_V3 = Cut((r"\p{N}{1,3}", _CJK, _DEEPSEEK3))
_GLM = Cut((_LLAMA3,), whole_words_first=True)
_BAILING = Cut(
    (
        r"'(?:[sSdDmMtT]|[lL][lL]|[vV][eE]|[rR][eE])|"
        + _WORDS
        + r"|\p{N}"
        + _SIGNS
        + r"|\s*[\r\n]|\s+(?!\S)|\s+",
    )
)
_O200K = Cut((_GPT4O,))
_AYA = Cut((_DIGITS_FROM_THE_RIGHT, _TINY_AYA))

# In each group of equal cuts the first name is the one that is written.
CUTS: dict[str, Cut] = {
    "gpt-2": _PLAIN,
    "qwen2": _QWEN,
    "llama-bpe": _LLAMA,
    "smollm": _ONE_DIGIT,
    "deepseek-v3": _V3,
    "qwen35": Cut((_QWEN35,)),
    "chatglm-bpe": Cut((_LLAMA3,)),
    "glm4": _GLM,
    "deepseek-llm": Cut(
        (
            "[\r\n]",
            rf"\s?[{_DEEPSEEK_LETTERS}]+",
            rf"\s?[{_DEEPSEEK_SIGNS}]+",
            r"\s+$",
            _DEEPSEEK_ASIAN,
            r"\p{N}+",
        )
    ),
    "deepseek-coder": Cut(("[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", _DEEPSEEK_ASIAN, _DIGITS)),
    "falcon": Cut((r"[\p{P}\$\+<=>\^~\|`]+", _GPT2, "[0-9][0-9][0-9]")),
    "default": Cut((r"[\p{P}\$\+<=>\^~\|]+", _GPT2, r"\p{N}+", "[0-9][0-9][0-9]")),
    "bloom": Cut((_BLOOM,)),
    "viking": Cut((_BLOOM, _DIGITS)),
    "tekken": Cut((_TEKKEN,), whole_words_first=True, adds_bos=True),
    "gpt-4o": _O200K,
    "granite-embed-multi-97m": Cut((_GRANITE_97M,), whole_words_first=True),
    "tiny_aya": _AYA,
    "youtu": Cut((_YOUTU_ASIAN, _YOUTU), whole_words_first=True),
    "superbpe": Cut((r"\p{N}+", r"(?=([0-9]{3})+(?![0-9]))")),
    "bailingmoe": _BAILING,
    "seed-coder": Cut((_ENDINGS + "|" + _WORDS + r"|\p{N}| ?[^\s\p{L}\p{N}\r\n]+" + _SPACES,)),
    "kimi-k2": Cut((_KIMI,)),
    "afmoe": Cut((_DIGITS_FROM_THE_RIGHT, _AFMOE_ASIAN, _DEEPSEEK3)),
    "exaone-moe": Cut(
        (
            _ENDINGS
            + rf"|{_LEAD}(?:\p{{L}}\p{{M}}*(?: \p{{L}}\p{{M}}*)*)+"
            + r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+",
        )
    ),
    "jais-2": Cut(
        (
            _ENDINGS
            + "|"
            + _WORDS
            + r"|\p{N}{1,3}"
            + _SIGNS
            + r"|\s*[\r\n]+|\s{512}(?!\S)|\s{256}(?!\S)|\s{128}(?!\S)|\s{64}(?!\S)|\s{32}(?!\S)"
            r"|\s{16}(?!\S)|\s{8}(?!\S)|\s{4}(?!\S)|\s{1,2}(?!\S)|\s",
        )
    ),
    "minicpm5": Cut(
        (r"\p{N}{1,3}", _ENDINGS + "|" + _WORDS + r"|\p{N}+" + _SIGNS + _SPACES),
        whole_words_first=True,
    ),
    "chameleon": Cut(
        (
            "<sentinel:[0-9]+>",
            "(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z",
            "([\\t\\n]|    |  )",
            _DIGITS,
            r"[\p{P}!-/:-@\[-`{-~]",
            _GPT2,
        ),
        adds_bos=True,
    ),
    "ufakzeka": Cut((_WORDS + r"|\p{N}" + _SIGNS + _SPACES,)),
    "spark2_5": Cut(
        (
            r"\p{N}{1,3}",
            _CJK,
            _DEEPSEEK3.replace(r"[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+", r"[\p{P}\p{S}]+|[\r\n]"),
            _DIGITS,
        )
    ),
    "laguna": Cut((r"[^\n]+|\n+", _QWEN2)),
    "gemma4": _NEWLINES,
    "sarvam-moe": _NEWLINES,
    # Other names of the same cuts.
    **dict.fromkeys(("llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0"), _LLAMA),
    **dict.fromkeys(("lfm2", "jina-v5-nano"), _LLAMA),
    **dict.fromkeys(("dbrx", "smaug-bpe"), Cut((_LLAMA3,))),
    **dict.fromkeys(("glm5",), _GLM),
    **dict.fromkeys(("hunyuan-dense", "joyai-llm", "hy_v4"), _V3),
    **dict.fromkeys(("starcoder", "refact", "command-r", "codeshell", "exaone"), _ONE_DIGIT),
    **dict.fromkeys(("minerva-7b", "mellum2"), _ONE_DIGIT),
    **dict.fromkeys(("mpt", "olmo", "jais", "trillion", "granite-docling", "exaone4"), _PLAIN),
    **dict.fromkeys(("phi-2", "jina-es", "jina-de", "gigachat", "jina-v2-es"), _PLAIN),
    **dict.fromkeys(("jina-v2-de", "jina-v1-en", "jina-v2-code", "roberta-bpe"), _PLAIN),
    **dict.fromkeys(("a.x-4.0", "mellum", "modern-bert"), _PLAIN),
    **dict.fromkeys(("deepseek-r1-qwen", "kormo", "f2llmv2", "megrez", "stablelm2"), _QWEN),
    **dict.fromkeys(("hunyuan", "grok-2", "solar-open"), _QWEN),
    **dict.fromkeys(("poro-chat", "gpt3-finnish"), Cut((_BLOOM,))),
    **dict.fromkeys(("llama4", "kanana2", "talkie", "minimax-m2"), _O200K),
    **dict.fromkeys(("cohere2moe",), _AYA),
    **dict.fromkeys(("bailingmoe2", "llada-moe"), _BAILING),
    **dict.fromkeys(("granite-embed-multi-311m",), _NEWLINES),
}


def cut_of(name: str) -> Cut:
    """Return the cut that `tokenizer.ggml.pre` names.

    Raises:
        BadFile: a name that is not known here: a wrong cut gives other ids without an error.
    """
    if name not in CUTS:
        raise BadFile(
            f"unknown pre-tokenizer {name!r}",
            where="tokenizer.ggml.pre",
            fix=f"{nearest(name, CUTS)}; convert the model again with a current llama.cpp",
        )
    return CUTS[name]
