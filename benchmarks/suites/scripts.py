"""Texts of ten scripts, code, emoji, mixtures and control text, the same ones each time."""

import json
import random
import unicodedata
from collections.abc import Sequence

from seemant.core.paths import data_dir

# Letters of each script; the Indic ones with their signs.
SCRIPTS = {
    "English": ((0x61, 0x7A),),
    "Hindi": ((0x904, 0x939), (0x93E, 0x94D), (0x966, 0x96F)),
    "Kannada": ((0xC85, 0xCB9), (0xCBE, 0xCCD), (0xCE6, 0xCEF)),
    "Tamil": ((0xB85, 0xBB9), (0xBBE, 0xBCD)),
    "Arabic": ((0x620, 0x64A), (0x64B, 0x652), (0x660, 0x669)),
    "Russian": ((0x410, 0x44F),),
    "Thai": ((0xE01, 0xE3A), (0xE40, 0xE4E)),
    "Chinese": ((0x4E00, 0x9FA5),),
    "Korean": ((0xAC00, 0xD7A3),),
    "Japanese": ((0x3041, 0x3096), (0x30A1, 0x30FA), (0x4E00, 0x5000)),
}
BETWEEN = (
    " ",
    " ",
    " ",
    "  ",
    "\n",
    "\n\n",
    "\t",
    ", ",
    ". ",
    "-",
    "'s ",
    "। ",
    "，",
    " (",
    ") ",
    "/",
)
NUMBERS = ("7", "42", "2024", "1,00,000", "3.14", "१२३४", "೧೨", "٣٤")
SIGNS = (
    "🙂",
    "👩🏽‍💻",
    "🇮🇳",
    "→",
    "₹",
    "…",
    "!!",
    "?",
    "\u00a0",
    "\u200d",
    "≤",
    "x_1",
    "camelCase",
)
CODE = (
    "def f(x):\n    return x[1:]\n",
    "if (a && b) { c->d(); }\n",
    "\t\tfor i in range(10):\n",
    "#!\n",
)
FILES = ("hi_wiki_heldout.txt", "kn_wiki_heldout.txt", "en_wiki_retention.txt")


def script_texts(control: Sequence[str], n: int = 500) -> list[str]:
    """Return `n` texts, letters composed (NFC); `control`: tokens to spell out in some of them.

    The shared corpus and code are part of it where $SEEMANT_DATA names them.
    """
    rng = random.Random(14)
    texts = _shared()[: n // 5]
    names = list(SCRIPTS)
    while len(texts) < n:
        kind = len(texts) % 12
        scripts = [names[kind]] if kind < 10 else rng.sample(names, 3)
        pieces = []
        for _ in range(rng.randint(3, 30)):
            pieces.append(_word(rng, rng.choice(scripts)))
            draw = rng.random()
            if draw < 0.1:
                pieces.append(rng.choice((*NUMBERS, *SIGNS)))
            elif draw < 0.13:
                pieces.append(rng.choice(CODE))
            elif draw < 0.16:
                pieces.append(rng.choice(control))
            pieces.append(rng.choice(BETWEEN))
        texts.append("".join(pieces))
    return [unicodedata.normalize("NFC", text) for text in texts]


def _word(rng: random.Random, script: str) -> str:
    ranges = SCRIPTS[script]
    word = "".join(chr(rng.randint(*rng.choice(ranges))) for _ in range(rng.randint(1, 8)))
    return word.title() if rng.random() < 0.2 else word


def _shared() -> list[str]:
    if (data := data_dir()) is None:
        return []
    lines = [
        line
        for name in FILES
        for line in (data / "corpus" / name).read_text(encoding="utf-8").splitlines()[:25]
    ]
    code = (data / "code" / "mbpp.jsonl").read_text(encoding="utf-8").splitlines()[:25]
    return lines + [json.loads(line)["code"] for line in code]
