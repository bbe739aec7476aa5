"""How many takes a shot still deserves, by itself. Pure.

`ladder`: `min` takes first; after them one at a time, only while the shot has no accepted take, up to `max`.
One at a time, because each further take may be the one that makes the next unnecessary.

`worth`: the same bounds, but each take beyond `min` must be worth rendering (worth.py), and all shots get their first
take before any gets a second (passes.py).
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

Policy: TypeAlias = Literal["ladder", "worth"]


@dataclass(frozen=True, slots=True)
class TakesRule:
    """`accept` is the score from which a take is accepted: how near a miss was is measured against it."""

    min: int
    max: int
    policy: Policy = "ladder"
    accept: float = 0.7


def due(rule: TakesRule, settled: int, accepted: bool) -> list[int]:
    """The takes to issue next for a shot of which nothing is out; empty: the shot is closed.

    `settled` is a mask with bit k set when take k is settled.
    """
    first = [take for take in range(rule.min) if not settled >> take & 1]
    if first or accepted:
        return first
    return next(([take] for take in range(rule.min, rule.max) if not settled >> take & 1), [])
