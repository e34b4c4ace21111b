from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2

from seemant.core.sources import Source, open_source
from seemant.corpus import blocks
from seemant.corpus.blocks import Draw, count_lines, draw_lines, find_line
from seemant.corpus.rules import Line, Rules, SetAside, judge

SMALL_BLOCK = 64


def accept(source: Source, offset: int, raw: bytes) -> Line | SetAside | None:
    return judge(source, offset, raw, Rules())


def skewed(n: int, seed: int = 0) -> list[str]:
    """Lines of 4 to 400 characters, so that byte offsets favour some a hundredfold."""
    random = Random(seed)
    return [f"l{i} x" + "x" * int(random.lognormvariate(2.5, 1.2)) for i in range(n)]


def draw(paths: Sequence[Path], n: int, seed: int, **kind: int) -> Draw:
    sources = [open_source(path) for path in paths]
    drawn = draw_lines(
        sources,
        n,
        accept,
        Random(seed),
        block_bytes=SMALL_BLOCK,
        max_share=1.0,
        max_passes=1000.0,
        **kind,
    )
    assert drawn is not None
    return drawn


def p_uniform(counts: Counter[str], population: Sequence[str], n: int, runs: int) -> float:
    """Chi-square of how often each line came up; scaled, as a run draws without replacement."""
    expected = n * runs / len(population)
    statistic = sum((counts[line] - expected) ** 2 / expected for line in population)
    scale = (len(population) - 1) / (len(population) - n)
    return float(chi2.sf(statistic * scale, len(population) - 1))


@given(st.text(alphabet="a\n\r é", max_size=60), st.integers(1, 9))
def test_every_line_owns_exactly_one_cell(text: str, block_bytes: int) -> None:
    data = text.encode()
    found = []
    for index in range(-(-len(data) // block_bytes)):
        block = data[index * block_bytes : (index + 1) * block_bytes]
        first, last = index == 0, (index + 1) * block_bytes >= len(data)
        for slot in range(count_lines(block, first=first, last=last)):
            found.append(index * block_bytes + find_line(block, slot, first=first))
    starts = [0] + [i + 1 for i, byte in enumerate(data) if byte == 10]
    assert found == [start for start in starts if start < len(data)]


@given(
    st.lists(st.text(alphabet="abक ", min_size=0, max_size=12), min_size=1, max_size=30),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
    st.integers(0, 3),
)
def test_all_lines_can_be_drawn_whole(
    tmp_path_factory: pytest.TempPathFactory,
    lines: list[str],
    ending: str,
    ended: bool,
    seed: int,
) -> None:
    path = tmp_path_factory.mktemp("c") / "lines.txt"
    numbered = [f"a{i}{line}".strip() if line.strip() else line for i, line in enumerate(lines)]
    path.write_bytes((ending.join(numbered) + (ending if ended else "")).encode())
    members = {line for line in numbered if line.strip()}
    for n in {1, len(members)} - {0}:
        sources = [open_source(path)]
        drawn = draw_lines(sources, n, accept, Random(seed), block_bytes=7, max_share=1.0)
        if drawn is not None:  # None: a scan would be cheaper
            assert len(drawn.lines) == n
            assert {line.text for line in drawn.lines} <= members


def test_lines_of_a_skewed_file_are_equally_likely(tmp_path: Path) -> None:
    lines = skewed(200)
    (tmp_path / "a.txt").write_text("\n".join(lines) + "\n")
    counts: Counter[str] = Counter()
    for seed in range(1500):
        drawn = draw([tmp_path / "a.txt"], 6, seed)
        texts = [line.text for line in drawn.lines]
        assert len(set(texts)) == 6
        counts.update(texts)
    assert p_uniform(counts, lines, 6, 1500) > 1e-3


def test_byte_offsets_fail_the_same_test(tmp_path: Path) -> None:
    lines = skewed(200)
    data = "\n".join(lines) + "\n"
    random, counts = Random(0), Counter[str]()
    for _ in range(9000):
        at = random.randrange(len(data))
        start = data.rfind("\n", 0, at) + 1
        counts[data[start : data.index("\n", at)]] += 1
    assert p_uniform(counts, lines, 1, 9000) < 1e-9


def test_files_of_different_kinds_are_one_population(tmp_path: Path) -> None:
    short, long = skewed(120, 1), [f"long{i} " + "y" * 150 for i in range(80)]
    (tmp_path / "short.txt").write_text("\n".join(short))
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "long.txt").write_bytes(("\r\n".join(long) + "\r\n\r\n").encode())
    paths = [tmp_path / name for name in ("short.txt", "empty.txt", "long.txt")]
    counts: Counter[str] = Counter()
    for seed in range(1200):
        drawn = draw(paths, 5, seed)
        counts.update(line.text for line in drawn.lines)
        assert len(drawn.bounds) == 3
    assert p_uniform(counts, short + long, 5, 1200) > 1e-3


def test_an_exceeded_bound_starts_again_and_stays_uniform(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [f"long{i:03d} " + "y" * 25 for i in range(100)] + [f"s{i}" for i in range(60)]
    (tmp_path / "a.txt").write_text("\n".join(lines) + "\n")
    monkeypatch.setattr(blocks, "PILOT_BLOCKS_A_FILE", 2)
    data = (tmp_path / "a.txt").read_bytes()
    per_block = [data[at : at + SMALL_BLOCK].count(b"\n") for at in range(0, len(data), 64)]
    counts, restarted, true_bounds = Counter[str](), 0, 0
    for seed in range(3000):
        drawn = draw([tmp_path / "a.txt"], 3, seed, pilot_blocks=2)
        restarted += drawn.n_restarts > 0
        if drawn.bounds[0] >= max(per_block):  # the theorem's condition
            true_bounds += 1
            counts.update(line.text for line in drawn.lines)
    assert restarted > 300
    assert true_bounds > 900
    assert p_uniform(counts, lines, 3, true_bounds) > 1e-3


def test_a_sample_is_the_same_for_the_same_seed_only(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("\n".join(skewed(300)))
    one, same, other = (draw([tmp_path / "a.txt"], 20, seed) for seed in (1, 1, 2))
    assert [line.offset for line in one.lines] == [line.offset for line in same.lines]
    assert [line.offset for line in one.lines] != [line.offset for line in other.lines]
    assert [line.offset for line in one.lines] != sorted(line.offset for line in one.lines)


def test_lines_that_span_many_blocks_come_whole_at_their_offset(tmp_path: Path) -> None:
    lines = [f"{i} " + "क" * (40 * i) for i in range(40)]
    (tmp_path / "a.txt").write_text("\n".join(lines))
    data = (tmp_path / "a.txt").read_bytes()
    drawn = draw([tmp_path / "a.txt"], 10, 3)
    for line in drawn.lines:
        assert line.text in lines
        assert data[line.offset :].startswith(line.text.encode())
        assert line.offset == 0 or data[line.offset - 1] == 10


def test_set_aside_lines_are_replaced_by_others(tmp_path: Path) -> None:
    good = [f"good {i} ".encode() + b"x" * (i % 37) for i in range(150)]
    mixed = [line for pair in zip(good, [b"bad \xff\xfe"] * 150, strict=True) for line in pair]
    (tmp_path / "a.txt").write_bytes(b"\n".join(mixed))
    counts: Counter[str] = Counter()
    for seed in range(600):
        drawn = draw([tmp_path / "a.txt"], 6, seed)
        assert len(drawn.lines) == 6
        assert all(line.reason == "not UTF-8" for line in drawn.aside)
        assert len({line.offset for line in drawn.aside}) == len(drawn.aside)
        counts.update(line.text for line in drawn.lines)
    assert p_uniform(counts, [line.decode().strip() for line in good], 6, 600) > 1e-3


def test_a_large_share_of_the_lines_is_left_to_a_scan(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("\n".join(skewed(300)))
    sources = [open_source(tmp_path / "a.txt")]
    assert draw_lines(sources, 60, accept, Random(0), block_bytes=SMALL_BLOCK) is None
    assert draw_lines(sources, 5, accept, Random(0), block_bytes=SMALL_BLOCK) is not None


def test_no_more_blocks_are_read_than_a_scan_would_read(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\n".join([b"\xff" * 30] * 500 + [b"the only good line"]))
    sources = [open_source(tmp_path / "a.txt")]
    assert draw_lines(sources, 2, accept, Random(0), block_bytes=SMALL_BLOCK) is None
