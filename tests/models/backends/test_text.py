"""Text that grows token by token."""

from hypothesis import given
from hypothesis import strategies as st

from seemant.models.backends.text import StopFilter, utf8_pieces
from seemant.models.backends.torch_backend import growing_text

WORDS = st.text(alphabet="ab\n:", min_size=0, max_size=4)


def naive_cut(text: str, stop: list[str]) -> tuple[str, bool]:
    found = [text.find(word) for word in stop if word and word in text]
    return (text[: min(found)], True) if found else (text, False)


@given(st.lists(WORDS, max_size=12), st.lists(WORDS, max_size=3))
def test_a_stream_ends_where_the_whole_text_would(pieces: list[str], stop: list[str]) -> None:
    filtered = StopFilter(stop)
    shown, read = "", ""
    for piece in pieces:
        read += piece
        shown += filtered.feed(piece)
        assert naive_cut(read, stop)[0].startswith(shown)  # nothing shown is ever taken back
        if filtered.stopped:
            break
    if not filtered.stopped:
        shown += filtered.flush()
    assert (shown, filtered.stopped) == naive_cut(read, stop)


@given(st.text(max_size=30), st.lists(st.integers(1, 4), min_size=1))
def test_characters_cut_into_bytes_come_out_whole(text: str, sizes: list[int]) -> None:
    data = text.encode()
    cuts, at = [], 0
    while at < len(data):
        size = sizes[len(cuts) % len(sizes)]
        cuts.append(data[at : at + size])
        at += size
    text_of = utf8_pieces(cuts.__getitem__)
    shown = [text_of(index) for index in range(len(cuts))]
    assert "".join(shown) == text
    assert all("\ufffd" not in piece for piece in shown) or "\ufffd" in text


def test_an_unfinished_character_is_left_out() -> None:
    pieces = ["नम".encode(), "स".encode()[:2]]
    text_of = utf8_pieces(pieces.__getitem__)
    assert text_of(0) + text_of(1) == "नम"


@given(st.text(alphabet="नमस्ते abc", max_size=20))
def test_torch_text_grows_to_the_whole_decoded_text(text: str) -> None:
    data = text.encode()
    text_of = growing_text(lambda ids: bytes(ids).decode(errors="replace"))
    assert "".join(text_of(byte) for byte in data) == text
