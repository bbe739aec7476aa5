"""How many takes a shot still deserves. Pure.

The ladder: `min` takes first; after them one at a time, only while the shot has no accepted take, up to `max`.
One at a time, because each further take may be the one that makes the next unnecessary.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TakesRule:
    min: int
    max: int


def due(rule: TakesRule, settled: int, accepted: bool) -> list[int]:
    """The takes to issue next for a shot of which nothing is out; empty: the shot is closed.

    `settled` is a mask with bit k set when take k is settled.
    """
    first = [take for take in range(rule.min) if not settled >> take & 1]
    if first or accepted:
        return first
    return next(([take] for take in range(rule.min, rule.max) if not settled >> take & 1), [])
