"""Which takes are worth rendering: accepted shots per GPU-hour of both `takes.policy` and of four takes each.

    python tests/bench/bench_takes.py [--split check] [--seeds 12]
    python tests/bench/bench_takes.py --gather      # scores the small development set anew, into take_scores.json

The ledger itself plays whole nights in virtual time: eight workers, takes of a minute, 40 stills × 12 motions. What a
take scores, and whether it is accepted, is drawn from what the real scorer said of takes of the development set
(take_scores.json): undamaged and legitimately hard ones, or spoilt ones by severity. How often a take comes out
damaged is no measurement: it is what the worlds below say, each shot with a chance of its own from its motion, its
still and itself, and worse damage where the chance is small.

Each night is played once without a budget; what a budget would have bought is read off on the way. Budgets are parts
of what four takes of every shot cost. Ratios are to four takes of every shot with the same seed, medians with 90%
intervals over seeds.
"""

import argparse
import heapq
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from farm.dispatch.board import Board
from farm.dispatch.events import (
    Event,
    Finish,
    OpenStill,
    Render,
    StartWorker,
    StillOpened,
    TakeSettled,
    Tick,
    WorkerReady,
)
from farm.dispatch.ledger import Ledger, Limits
from farm.dispatch.takes import TakesRule
from farm.values import Status

SCORES = Path(__file__).parent / "take_scores.json"
STILLS, MOTIONS, TAKES_MAX, WORKERS, TAKE_S = 40, 12, 4, 8, 60.0
BUDGETS = (0.15, 0.25, 0.35, 0.5)
POLICIES = {
    "four takes": TakesRule(4, 4),
    "ladder": TakesRule(2, 4),
    "worth": TakesRule(2, 4, "worth"),
    "ladder, min 1": TakesRule(1, 4),
    "worth, min 1": TakesRule(1, 4, "worth"),
}


@dataclass(frozen=True, slots=True)
class World:
    """Log-odds that a take is undamaged: their mean, how they spread, and the share of motions that never work."""

    says: str
    mean: float
    motion: float
    still: float
    shot: float
    hopeless: float = 0.0


WORLDS = {
    "alike": World("every shot has the same chance", 0.0, 0.0, 0.0, 0.0),
    "easy": World("most takes are fine", 1.5, 0.7, 0.7, 0.5),
    "mixed": World("motions, stills and shots differ", 0.0, 1.5, 1.0, 0.7),
    "hard": World("most takes are not", -1.5, 1.0, 1.0, 0.7),
    "hopeless": World("as mixed, and a third of the motions never works", 0.5, 1.0, 1.0, 0.7, 1 / 3),
}


class Drawn:
    """The takes of one night: (shots, takes) scores and verdicts, the same for every policy."""

    def __init__(self, world: World, split: str, seed: int) -> None:
        rng = np.random.default_rng(seed)
        odds = world.mean + np.zeros((STILLS, MOTIONS))
        odds += world.motion * rng.standard_normal(MOTIONS) + world.still * rng.standard_normal((STILLS, 1))
        odds += world.shot * rng.standard_normal((STILLS, MOTIONS))
        odds[:, rng.permutation(MOTIONS)[: round(world.hopeless * MOTIONS)]] = -6.0
        fine = rng.random((STILLS * MOTIONS, TAKES_MAX)) < 1 / (1 + np.exp(-odds.reshape(-1, 1)))
        # The worse a shot's odds, the worse its damage: severity 1 to 3 by a logistic draw around them.
        pull = odds.reshape(-1, 1) + rng.logistic(size=fine.shape)
        severity = np.where(fine, 0, np.where(pull > 0, 1, np.where(pull > -1.5, 2, 3)))
        known = json.loads(SCORES.read_text())["splits"][split]
        self.score, self.kept = np.zeros(fine.shape), np.zeros(fine.shape, dtype=bool)
        for level in range(4):
            pool = known[str(level)]
            cells = np.nonzero(severity == level)
            chosen = rng.integers(len(pool), size=len(cells[0]))
            self.score[cells] = [pool[one][0] for one in chosen]
            self.kept[cells] = [bool(pool[one][1]) for one in chosen]


def night(
    rule: TakesRule, drawn: Drawn, hours: float | None = None
) -> tuple[list[tuple[float, int, int]], Board]:
    """(GPU-hours, takes, shots accepted) as they grow, and the board in the end; `hours` is the night's budget.

    Rendering alone is counted, loads and idle time are not.
    """
    board = Board(STILLS * MOTIONS, MOTIONS)
    ledger = Ledger(board, MOTIONS, rule, Limits(workers=WORKERS, hours=hours), models=("m",))
    curve = [(0.0, 0, 0)]
    at_s, count = 0.0, 0
    free_s: dict[str, float] = {}
    coming: list[tuple[float, int, Event]] = [(0.0, 0, Tick())]
    while coming:
        at_s, _, event = heapq.heappop(coming)
        for told in ledger.handle(event, at_s):
            count += 1
            match told:
                case OpenStill(still):
                    heapq.heappush(coming, (at_s, count, StillOpened(still)))
                case StartWorker(worker, _):
                    free_s[worker] = at_s
                    heapq.heappush(coming, (at_s, count, WorkerReady(worker, "n", "GPU", 0.0, None, ("m",))))
                case Render(lease):
                    free_s[lease.worker] = max(free_s[lease.worker], at_s) + TAKE_S
                    status = Status.KEPT if drawn.kept[lease.shot, lease.take] else Status.REJECTED
                    score = float(drawn.score[lease.shot, lease.take])
                    settled = TakeSettled(lease, status, TAKE_S, ("m",), score=score)
                    heapq.heappush(coming, (free_s[lease.worker], count, settled))
                case Finish("done" | "budget"):
                    coming.clear()
        if isinstance(event, TakeSettled):
            takes = board.takes_settled
            curve.append((takes * TAKE_S / 3600, takes, board.shots_accepted))
        if ledger.finished:
            return curve, board
    raise AssertionError("the night never ended")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--split", choices=("calibrate", "check"), default="check")
    parser.add_argument("--seeds", type=int, default=12)
    parser.add_argument("--gather", action="store_true", help="write take_scores.json")
    asked = parser.parse_args()
    if asked.gather:
        gather()
        return
    whole_h = STILLS * MOTIONS * TAKES_MAX * TAKE_S / 3600
    print(f"{STILLS * MOTIONS} shots, scores of split {asked.split}, {asked.seeds} seeds")
    heads = [*(f"for {budget:.0%}" for budget in BUDGETS), "to the end", "an hour, all in"]
    print(f"{'':<15}" + "".join(f"{head:>17}" for head in heads) + f"{'takes':>7}")
    for name, world in WORLDS.items():
        print(f"{name}: {world.says}")
        drawn = [Drawn(world, asked.split, seed) for seed in range(asked.seeds)]
        fixed: list[NDArray[np.float64]] = []
        for policy, rule in POLICIES.items():
            own = [_figures(night(rule, one)[0], whole_h) for one in drawn]
            fixed = fixed or own
            cells = [
                _cell(*of, plain=own is fixed)
                for of in zip(np.transpose(own), np.transpose(fixed), strict=True)
            ]
            takes = np.median([one[-2] / one[-1] for one in own]) * 3600 / TAKE_S
            print(f"  {policy:<13}" + "".join(f"{cell:>17}" for cell in cells) + f"{takes:>7.0f}")


def _figures(curve: list[tuple[float, int, int]], whole_h: float) -> NDArray[np.float64]:
    """Accepted shots for each budget, in the end, and for each GPU-hour of the whole night."""
    for_budgets = [
        max(kept for spent, _, kept in curve if spent <= part * whole_h + 1e-9) for part in BUDGETS
    ]
    return np.array([*for_budgets, curve[-1][2], curve[-1][2] / curve[-1][0]])


def _cell(own: NDArray[np.float64], fixed: NDArray[np.float64], *, plain: bool) -> str:
    if plain:
        return f"{np.median(own):.0f}"
    low, middle, high = np.quantile(own / fixed, (0.05, 0.5, 0.95))
    return f"{middle:.2f} [{low:.2f} {high:.2f}]"


def gather() -> None:
    """Scores and verdicts by split and severity: 0 for undamaged takes and legitimate hard ones, else for spoilt
    ones, in which no window of a clip's length is nearly clean."""
    import devset
    from scorer_figures import judged
    from scorer_metrics import SPOILT_SPAN

    entries = [entry for entry in devset.entries(quick=True) if devset.available(entry)]
    rows = [row for row in judged(entries, jobs=1) if not row["severity"] or row["least_bad"] > SPOILT_SPAN]
    splits: dict[str, dict[str, list[tuple[float, int]]]] = {}
    for row in sorted(rows, key=lambda row: (row["split"], row["severity"], row["score"])):
        of = splits.setdefault(row["split"], {}).setdefault(str(row["severity"]), [])
        of.append((round(row["score"], 4), int(row["accepted"])))
    whole = {"made_by": "bench_takes.py --gather", "takes": len(rows), "splits": splits}
    SCORES.write_text(json.dumps(whole) + "\n")


if __name__ == "__main__":
    main()
