"""What a run has cost so far, and whether the budget bears another take. Pure.

Workers are paid from the moment they begin to load until they are gone, whether they render or not: that is how
clouds bill. Invariant: a budget is never passed knowingly; the reserve is what it takes to finish all that is out.
"""

from collections.abc import Iterable


class Purse:
    """Money in $, time in seconds since the run's first event."""

    def __init__(
        self, usd: float | None, hours: float | None, spent_usd: float, gpus_per_worker: float
    ) -> None:
        self._usd = usd
        self._limit_s = None if hours is None else hours * 3600
        self._earlier_usd = spent_usd
        self._paid_usd = 0.0
        self._units = gpus_per_worker or 1.0
        self._began_s: float | None = None
        self._at_s = 0.0
        self._hired: dict[str, tuple[float, float]] = {}  # worker -> (since, $ per second)
        self._longest_s: dict[int, float] = {}  # model -> its longest take
        self._loads_s: dict[int, float] = {}  # model -> the longest load of it that a take waited for

    def tick(self, at_s: float) -> None:
        if self._began_s is None:
            self._began_s = at_s
        self._at_s = at_s

    def hire(self, worker: str, price_usd_h: float | None, load_s: float) -> None:
        self._hired[worker] = (self._at_s - load_s, (price_usd_h or 0.0) * self._units / 3600)

    def dismiss(self, worker: str) -> None:
        since_s, usd_s = self._hired.pop(worker, (self._at_s, 0.0))
        self._paid_usd += (self._at_s - since_s) * usd_s

    def learn(self, model: int, take_s: float, load_s: float = 0.0) -> None:
        """What a take of a model kept its worker busy for, and a load before it."""
        self._longest_s[model] = max(self._longest_s.get(model, 0.0), take_s)
        self._loads_s[model] = max(self._loads_s.get(model, 0.0), load_s)

    @property
    def spent_usd(self) -> float:
        running = sum((self._at_s - since_s) * usd_s for since_s, usd_s in self._hired.values())
        return self._earlier_usd + self._paid_usd + running

    def verdict(self, longest_queue: int, models: Iterable[int]) -> str | None:
        """Which limit one more take per worker, behind the longest queue, could pass; None: neither.

        `models` are those of which takes wait or are out. A worker may change its model once before it comes to that.
        """
        open_models = list(models)
        longest_s = max((self._longest_s.get(model, 0.0) for model in open_models), default=0.0)
        load_s = max((self._loads_s.get(model, 0.0) for model in open_models), default=0.0)
        reserve_s = longest_s * (longest_queue + 1) + load_s
        if self._usd is not None:
            usd_s = sum(usd_s for _, usd_s in self._hired.values())
            if self.spent_usd + reserve_s * usd_s > self._usd:
                return f"${self.spent_usd:.2f} spent; one more round of takes could pass ${self._usd:.2f}"
        if self._limit_s is not None and self._elapsed_s + reserve_s > self._limit_s:
            return f"{self._elapsed_s / 3600:.2f} h gone; one more take could pass {self._limit_s / 3600:g} h"
        return None

    @property
    def _elapsed_s(self) -> float:
        return self._at_s - (self._began_s if self._began_s is not None else self._at_s)
