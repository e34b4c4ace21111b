"""What stands behind a model's thinking: thinking itself is no answer."""

import regex

_PAIRS = (
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("<seed:think>", "</seed:think>"),
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<unused94>", "<unused95>"),
)
_OPEN = regex.compile("|".join(regex.escape(pair[0]) for pair in _PAIRS), regex.IGNORECASE)
_CLOSE = regex.compile("|".join(regex.escape(pair[1]) for pair in _PAIRS), regex.IGNORECASE)
# gpt-oss: channels with their marks, or with the marks taken out of the text.
_CHANNEL = regex.compile(r"<\|channel\|>\s*(\w+)[^<]*<\|message\|>")
_CHANNEL_END = regex.compile(r"<\|(?:end|return|call|start)\|>")
_BARE_CHANNELS = regex.compile(r"\s*analysis.*?assistantfinal", regex.DOTALL)


def behind_thinking(text: str) -> str | None:
    """Return the text without the thinking before it; None where there is nothing but thinking.

    A closing mark without an opening one ends the thinking too: some templates write the opening
    one into the prompt. Marks inside an answer stay as they are.
    """
    if _CHANNEL.search(text):
        return _final_channel(text)
    if (found := _BARE_CHANNELS.match(text)) is not None:
        return text[found.end() :]
    while (opened := _OPEN.match(text.lstrip())) is not None or _begins_inside(text):
        close = _closing(text, nested=opened is not None)
        if close is None:
            return None
        text = text[close:]
    return text if text.strip() else None


def _closing(text: str, *, nested: bool) -> int | None:
    """Return where the thinking that leads a text ends, counting marks inside it."""
    depth = 0 if nested else 1
    marks = [(each.start(), each.end(), 1) for each in _OPEN.finditer(text)]
    marks += [(each.start(), each.end(), -1) for each in _CLOSE.finditer(text)]
    last = None
    for _, end, step in sorted(marks):
        depth += step
        if step < 0:
            last = end
            if depth <= 0:
                return end
    return last  # an opening mark that was only spoken of


def _begins_inside(text: str) -> bool:
    """Return whether a closing mark comes before any opening one and before an answer's JSON."""
    close = _CLOSE.search(text)
    if close is None:
        return False
    opened = _OPEN.search(text, 0, close.start())
    # Inside the strings of an answer's JSON a mark is a word like any other.
    return opened is None and not text.lstrip().startswith(("{", "[{", "```"))


def _final_channel(text: str) -> str | None:
    channels = list(_CHANNEL.finditer(text))
    for found in reversed(channels):
        if found[1] == "final":
            return _CHANNEL_END.split(text[found.end() :])[0]
    return None
