"""Calibration and held-out text of the compression claims, by language."""

from pathlib import Path

import numpy as np

from seemant.core.jsonl import write_records
from seemant.core.paths import data_dir
from seemant.core.records import Lang, Paragraph

Lines = dict[Lang, tuple[list[str], list[str]]]
"""Language -> lines to calibrate on, lines that are held out."""

_FILES: dict[Lang, tuple[str, str]] = {
    "hi": ("hi_wiki_train.txt", "hi_wiki_heldout.txt"),
    "kn": ("kn_wiki_train.txt", "kn_wiki_heldout.txt"),
    "en": ("en_wiki_retention.txt", "en_wiki_retention.txt"),  # lines 1-500, and 501-1,500
}


def real_text(languages: tuple[Lang, ...] = ("hi", "kn", "en")) -> Lines:
    """Return calibration and held-out lines of the languages."""
    folder = data_dir()
    if folder is None:
        raise SystemExit("no data folder: set SEEMANT_DATA")
    found: Lines = {}
    for lang in languages:
        both = [
            (folder / "corpus" / name).read_text(encoding="utf-8").splitlines()
            for name in _FILES[lang]
        ]
        found[lang] = (both[0], both[1]) if lang != "en" else (both[0][:500], both[1][500:1500])
    return found


def toy_text() -> Lines:
    """Return enough of nothing for a try: words of each script in an order drawn from a seed."""
    draw = np.random.default_rng(0)
    words: dict[Lang, str] = {"hi": "नदी बहती धूप", "kn": "ನದಿ ಮಳೆ ಬಿಸಿಲು", "en": "the cat runs"}
    made = {
        lang: [" ".join(draw.choice(text.split(), 12)) for _ in range(40)]
        for lang, text in words.items()
    }
    return {lang: (lines[:30], lines[30:]) for lang, lines in made.items()}


def write_calibration(text: Lines, to: Path) -> Path:
    """Write the calibration lines as records."""
    records = [
        Paragraph(id=f"{lang}-{number}", lang=lang, subject="wiki", text=line)
        for lang, (lines, _) in text.items()
        for number, line in enumerate(lines)
        if line.strip()
    ]
    write_records(to, records)
    return to
