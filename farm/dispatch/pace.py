"""How long loads and takes of each model last: means of what was measured, assumed until something was. Pure."""

from collections.abc import Sequence

ASSUMED_LOAD_S = 120.0
"""Thirty to forty gigabytes of weights from a network disk at 0.3 GB/s."""

ASSUMED_TAKE_S = 60.0
"""Between the seconds of a distilled model on a data centre GPU and the many minutes of a large one."""


class Pace:
    """Models are numbers here. A take's seconds are those of its worker, rendering and finishing, without a load."""

    def __init__(self, models: int) -> None:
        self._loads = [(0.0, 0)] * models  # seconds in all, how often
        self._takes = [(0.0, 0)] * models

    def loaded(self, model: int, load_s: float) -> None:
        self._loads[model] = _with(self._loads[model], load_s)

    def took(self, model: int, take_s: float) -> None:
        self._takes[model] = _with(self._takes[model], take_s)

    def load_s(self, model: int) -> float:
        return _mean(self._loads, model, ASSUMED_LOAD_S)

    def take_s(self, model: int) -> float:
        return _mean(self._takes, model, ASSUMED_TAKE_S)


def _with(known: tuple[float, int], seconds: float) -> tuple[float, int]:
    return known[0] + seconds, known[1] + 1


def _mean(known: Sequence[tuple[float, int]], model: int, assumed: float) -> float:
    seconds, count = known[model]
    return seconds / count if count else assumed
