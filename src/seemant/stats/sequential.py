"""How far a signal may fall before the alarm rings, when it is looked at again and again.

One run looks K times at m signals. A bound of two standard errors, which is right for one look,
rings falsely in a quarter to four fifths of silent runs. Two rules hold the chance of *any* false
ring in a run to alpha (the tests simulate them, for 48 families and K = 20):

    once   one look with p <= alpha / (m K): Bonferroni, which holds however looks are correlated.
           Fastest on a large fall.
    twice  two looks in a row with p <= alpha / (4 m): finds small slow falls more often. The 4 is
           not a theorem: simulated, it keeps below alpha at every correlation that was tried.

p is one-sided: that a signal which is no worse than `tolerance` below the base's would look as low
as this (`train.alarm.paired`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from seemant.stats.student_t import t_bound

Rule = Literal["once", "twice"]
ALPHA = 0.05  # chance of any false ring in a whole run
_TWICE = 4.0  # divides alpha / m for two looks in a row: simulated, see above


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The rule of a run, fixed before its first step.

    checks: K, looks in the whole run. signals: m, those that can ring.
    """

    checks: int
    signals: int
    rule: Rule = "once"
    alpha: float = ALPHA

    @property
    def level(self) -> float:
        """Largest p of a look that counts against the run."""
        if self.rule == "once":
            return self.alpha / (self.signals * self.checks)
        return self.alpha / (_TWICE * self.signals)

    @property
    def in_a_row(self) -> int:
        """How many looks in a row it takes."""
        return 1 if self.rule == "once" else 2

    def t(self, n_families: int) -> float:
        """Return the bound as a t value: a look counts when t is below this. It is negative."""
        return -t_bound(self.level, n_families - 1)

    def spent(self, looks: int) -> float:
        """Return how much of alpha has been used after so many looks.

        Evenly: the rule `twice` has no spending of its own, and is shown the same way.
        """
        return self.alpha * min(looks, self.checks) / self.checks

    def crossed(self, p_values: Sequence[float]) -> bool:
        """Return whether the newest looks at one signal cross. p_values: oldest first."""
        newest = p_values[-self.in_a_row :]
        return len(newest) == self.in_a_row and all(p <= self.level for p in newest)
