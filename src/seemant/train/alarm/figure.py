"""`behaviour.svg`: the loss and the behaviour over the same steps, one under the other.

The original study had the first panel alone, and it looked healthy. Below it each signal is drawn
as what it has moved from the base, with its 95 % interval over families, a line for what it may
move (`tolerance` and the bound of repeated looks together), and a mark where it has crossed. A ring
is a line through all panels. Every text is escaped; nothing is fetched.
"""

from collections.abc import Sequence
from textwrap import wrap

from seemant.stats.student_t import LEVEL, t_bound
from seemant.train.alarm.ring import Look
from seemant.train.alarm.signals import SIGNALS, Signal
from seemant.train.alarm.svg import Panel, signed, tag, text

_WIDTH, _LEFT, _RIGHT = 860, 64, 128
_LOSS_HEIGHT, _SIGNAL_HEIGHT, _GAP, _TOP = 150, 84, 28, 92
_LETTERS = 110  # of a line: 820 pixels hold that many of 12-pixel letters
_TITLES: dict[Signal, str] = {
    "knowledge": "knowledge: the right answer against a wrong one",
    "context": "context: an answer behind its question against another question",
    "mimicry": "mimicry, turned over: an answer against a headline",
    "language": "language: the answer in the question's language against another",
}
_STYLE = """
.bhv{max-width:100%;height:auto;font:12px system-ui,sans-serif}
.bhv{--ink:#1c1b19;--soft:#6b675f;--line:#d8d3c8;--paper:#fffdf8;
--ring:#b3261e;--a:#2b5fa8;--b:#8a5a00;--c:#2f7d4f;--d:#7a3f8f;--e:#a3476b}
@media(prefers-color-scheme:dark){.bhv{--ink:#ece8df;--soft:#a39d92;--line:#3d3a34;--paper:#1b1a17;
--ring:#ff8a7d;--a:#86b4f2;--b:#e0ab52;--c:#7fcf9f;--d:#cf9be0;--e:#f09dbd}}
.bhv .paper{fill:var(--paper)}.bhv text{fill:var(--ink)}.bhv .soft{fill:var(--soft);font-size:11px}
.bhv .end{text-anchor:end}.bhv .middle{text-anchor:middle}
.bhv .name{font-weight:600;paint-order:stroke;stroke:var(--paper);stroke-width:4px}
.bhv .grid{stroke:var(--line)}.bhv .zero{stroke:var(--soft)}
.bhv .bound{fill:none;stroke:var(--ring);stroke-dasharray:5 4}
.bhv .ring{stroke:var(--ring);stroke-width:2}.bhv .ringtext{fill:var(--ring);font-weight:600}
.bhv .hit{fill:var(--ring);stroke:var(--paper)}.bhv .best{fill:var(--c)}
.bhv .curve{fill:none;stroke-width:2}.bhv .held{stroke:var(--ink);stroke-width:2.5}
.bhv .k0{stroke:var(--a)}.bhv .k1{stroke:var(--b)}.bhv .k2{stroke:var(--c)}.bhv .k3{stroke:var(--d)}
.bhv .k4{stroke:var(--e)}.bhv .t0{fill:var(--a)}.bhv .t1{fill:var(--b)}.bhv .t2{fill:var(--c)}
.bhv .t3{fill:var(--d)}.bhv .t4{fill:var(--e)}
"""


def behaviour_svg(looks: Sequence[Look], title: str = "Loss and behaviour") -> str:
    """Return the figure of a run's looks, oldest first; of none, an image that says so."""
    if not looks:
        return _image(80, title, text("no look at the behaviour yet", 20, 45))
    span = (0.0, float(max(looks[-1].step, 1)))
    parts = [text(title, 20, 22, "name")]
    said = [line for each in _summary(looks) for line in wrap(each, _LETTERS)]
    parts += [text(line, 20, 40 + 16 * number) for number, line in enumerate(said)]
    first = _TOP + 16 * max(0, len(said) - 2)
    top = _loss(parts, looks, span, first)
    for number, signal in enumerate(SIGNALS):
        top = _signal(parts, looks, signal, span, top, number)
    bottom = _Axis(span, top - _GAP + 2)
    parts += bottom.drawn(looks)
    return _image(top + 34, title, *_rings(looks, bottom, first), *parts)


def _loss(parts: list[str], looks: Sequence[Look], span: tuple[float, float], top: int) -> int:
    curves: dict[str, list[tuple[float, float]]] = {}
    for look in looks:
        if look.heldout_loss is not None:
            curves.setdefault("held-out", []).append((look.step, look.heldout_loss))
        for bucket, loss in look.loss_by_bucket.items():
            curves.setdefault(bucket, []).append((look.step, loss))
    shown = [y for points in curves.values() for _, y in points]
    panel = _panel(span, shown or [0.0, 1.0], top, _LOSS_HEIGHT)
    parts += [text("held-out loss, nats a token", _LEFT, top - 7, "name"), *panel.grid()]
    ends: list[tuple[float, str, str]] = []
    for number, (name, points) in enumerate(curves.items()):
        kind = "held" if name == "held-out" else f"k{(number - 1) % 5}"
        parts.append(panel.line(points, f"curve {kind}"))
        label = "" if kind == "held" else f"t{kind[1:]}"
        parts += [panel.dot(x, y, label, f"step {x:g}: {name} {y:.3f}") for x, y in points]
        ends.append((panel.y(points[-1][1]) + 4, name, label))
    for y, name, label in _apart(ends):
        parts.append(text(name, _WIDTH - _RIGHT + 8, y, label))
    return top + _LOSS_HEIGHT + _GAP


def _signal(
    parts: list[str],
    looks: Sequence[Look],
    signal: Signal,
    span: tuple[float, float],
    top: int,
    number: int,
) -> int:
    points = [(look.step, look.signals[signal]) for look in looks]
    half = {x: _half(seen.se, len(seen.by_family)) for x, seen in points}
    bound = [(x, seen.limit) for x, seen in points if seen.limit is not None]
    values = [v for x, s in points for v in (s.drift - half[x], s.drift + half[x])]
    panel = _panel(span, [*values, *(y for _, y in bound), 0.0], top, _SIGNAL_HEIGHT)
    title = f"{_TITLES[signal]}, change in nats a byte"
    parts += [text(title, _LEFT, top - 7, "name"), *panel.grid(3)]
    parts.append(panel.across(0.0, "zero"))
    parts.append(panel.line(bound, "bound"))
    parts.append(panel.line([(x, seen.drift) for x, seen in points], f"curve k{number}"))
    for x, seen in points:
        low, high = seen.drift - half[x], seen.drift + half[x]
        what = (
            f"step {x}: {signed(seen.drift)}, 95 % {signed(low)} to {signed(high)}, p {seen.p:.2g}"
        )
        parts.append(panel.bar(x, low, high, f"k{number}"))
        parts.append(panel.dot(x, seen.drift, "hit" if seen.crossed else f"t{number}", what))
    last = points[-1][1]
    parts.append(text(signed(last.drift), _WIDTH - _RIGHT + 8, panel.y(last.drift) + 4))
    if bound:
        parts.append(text("bound", _WIDTH - _RIGHT + 8, panel.y(bound[-1][1]) + 4, "soft"))
    return top + _SIGNAL_HEIGHT + _GAP


class _Axis:
    """The steps under the last panel, and what happened at them."""

    def __init__(self, span: tuple[float, float], y: int) -> None:
        self.panel = Panel(span, (0, 1), _LEFT, _WIDTH - _RIGHT, y - 2, y)
        self.y = y

    def drawn(self, looks: Sequence[Look]) -> list[str]:
        found = [*self.panel.steps(self.y + 14), text("step", self.panel.left - 44, self.y + 14)]
        best = next((look.best for look in reversed(looks) if look.best is not None), None)
        if best is not None:
            x = self.panel.x(best)
            found.append(tag("path", d=f"M{x} {self.y - 3}l-5 9h10z", class_="best"))
            found.append(text(f"best behaviour: step {best}", x + 9, self.y + 30, "soft"))
        return found


def _rings(looks: Sequence[Look], axis: _Axis, top: int) -> list[str]:
    first = next((look for look in looks if look.verdict == "ring"), None)
    if first is None:
        return []
    x = axis.panel.x(first.step)
    anchor = "end" if x > _WIDTH / 2 else ""
    line = tag("line", x1=x, x2=x, y1=top - 6, y2=axis.y, class_="ring")
    place = x - 6 if anchor else x + 6
    return [line, text(f"ring, step {first.step}", place, top + 6, f"ringtext {anchor}")]


def _panel(span: tuple[float, float], values: Sequence[float], top: int, height: int) -> Panel:
    low, high = min(values), max(values)
    pad = (high - low) * 0.1 or abs(high) * 0.1 or 0.1
    return Panel(span, (low - pad, high + pad), _LEFT, _WIDTH - _RIGHT, top, top + height)


def _half(se: float, n: int) -> float:
    return t_bound(LEVEL, n - 1) * se if n > 1 else 0.0


def _apart(ends: list[tuple[float, str, str]]) -> list[tuple[float, str, str]]:
    """Move labels down until none lies on the one above."""
    placed: list[tuple[float, str, str]] = []
    for y, name, kind in sorted(ends):
        lowest = placed[-1][0] + 14 if placed else y
        placed.append((max(y, lowest), name, kind))
    return placed


def _summary(looks: Sequence[Look]) -> list[str]:
    last = looks[-1]
    first = next((look for look in looks if look.verdict == "ring"), None)
    floor = looks[0].floor
    if first is None:
        said = [f"No ring in {last.number} looks."]
    else:
        said = [f"The alarm rang at step {first.step}: {first.why}."]
    if floor:
        none = "; ".join(f"{signal} in {', '.join(langs)}" for signal, langs in floor.items())
        said.append(f"Cannot fall, as the base has none: {none}.")
    if last.retention is not None:
        said.append(f"KL to the base on neutral text, last look: {last.retention:.3f} nats/token.")
    return said


def _image(height: float, title: str, *parts: str) -> str:
    return tag(
        "svg",
        tag("title", _text=title),
        tag("style", _STYLE),
        tag("rect", width=_WIDTH, height=height, class_="paper"),
        *parts,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {_WIDTH} {height:g}",
        width=_WIDTH,
        height=height,
        role="img",
        aria_label=title,
        class_="bhv",
    )
