"""What earlier sessions of a run left behind, as the board that the ledger starts from.

Invariant: a row counts for the take whose identity it has. A still that was refused is looked at again, and is a new
one if it was mended; a still whose takes were rendered and that is another picture now is refused, not mixed in.
Stills are numbers here, so the catalog must not change between the count and the run.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from farm.catalog.characters import StillLook
from farm.dispatch.board import Board
from farm.dispatch.gate import seen
from farm.errors import BrokenFarm, InputError
from farm.plan.grid import ShotFinder
from farm.plan.planning import Plan
from farm.store.blobs import Blobs
from farm.store.manifest import Manifest, read_takes
from farm.values import Gate, Status, Still, StillReport

# What is read of every row.
COLUMNS = ("still_id", "motion_id", "model", "seed", "status", "attempt", "still_sha256", "cost_usd", "score")

Look = Callable[[Still], StillReport]


@dataclass(frozen=True, slots=True)
class Recovered:
    """`spent_usd` is what the rendered takes cost; `prints` are 64 bits of the SHA-256 each still had then, or 0."""

    board: Board
    spent_usd: float
    finder: ShotFinder | None
    prints: NDArray[np.uint64]

    def guarded(self, look: Look) -> Look:
        """`look`, but a still of which takes were rendered must still be the same picture."""
        finder = self.finder
        if finder is None:
            return look

        def guarded(still: Still) -> StillReport:
            report = look(still)
            number = finder.still(still.id)
            before = 0 if number is None else int(self.prints[number])
            if report.verdict is Gate.REFUSE or before in (0, fingerprint(report.sha256)):
                return report
            reason = (
                f"{still.where}: changed since takes of it were rendered; give it a new id, or another output"
            )
            return replace(report, verdict=Gate.REFUSE, reason=reason, kind="still_changed")

        return guarded

    def in_order(self, stills: Iterable[Still]) -> Iterator[Still]:
        """The catalog's stills, each the one that its number on the board means. Raises BrokenFarm at another."""
        for number, still in enumerate(stills):
            if self.finder is not None and self.finder.still(still.id) != number:
                raise BrokenFarm(f"{still.where}: the catalog changed while the run began")
            yield still


def recover(plan: Plan, manifest: Manifest, blobs: Blobs) -> Recovered:
    """Gathers the outcomes that are in the store, and marks on a board what they settle.

    Raises InputError for an outcome that the manifest's columns cannot hold, and as `Manifest.recover` does.
    """
    try:
        manifest.recover()
    except ValueError as e:
        raise InputError(
            f"{blobs.url}/{e}: the catalog's columns are not those that takes of this run were rendered with; set "
            "them back, or give another output"
        ) from e
    board = Board(plan.grid.shots, plan.grid.shots_per_still, len(plan.grid.models))
    finder: ShotFinder | None = None
    prints = np.zeros(0, dtype=np.uint64)
    spent_usd = 0.0
    refused: list[tuple[int, int, str]] = []  # (shot, take, SHA-256 of the still)
    for batch in read_takes(blobs, COLUMNS):
        if finder is None:
            finder = ShotFinder(plan.grid, (still.id for still in plan.catalog.stills()))
            prints = np.zeros(plan.grid.stills, dtype=np.uint64)
        for row in batch.to_pylist():
            spent_usd += row["cost_usd"] or 0.0
            found = finder.find(row["still_id"], row["motion_id"], row["model"], row["seed"])
            if found is None:
                continue
            shot, take = found
            if row["attempt"] == 0:
                refused.append((shot, take, row["still_sha256"]))
                continue
            board.settle(shot, take, Status(row["status"]), row["score"])
            prints[plan.grid.still_of(shot)] = fingerprint(row["still_sha256"])
    known = Recovered(board, spent_usd, finder, prints)
    if refused:
        _settle_refused(plan, known, refused)
    return known


def fingerprint(sha256: str | None) -> int:
    return int(sha256[:16], 16) if sha256 else 0


def _settle_refused(plan: Plan, known: Recovered, refused: Iterable[tuple[int, int, str]]) -> None:
    """Refused takes stay settled while their still is the same broken file."""
    wanted: dict[int, list[tuple[int, int, str]]] = {}
    for shot, take, sha256 in refused:
        wanted.setdefault(plan.grid.still_of(shot), []).append((shot, take, sha256))
    look = known.guarded(StillLook(characters=plan.scoring.faces))
    stills = enumerate(known.in_order(plan.catalog.stills()))
    asked = ((number, still) for number, still in stills if number in wanted)
    with ThreadPoolExecutor(max_workers=4) as threads:
        for number, report in threads.map(lambda one: (one[0], seen(one[1], look)), asked):
            for shot, take, sha256 in wanted[number]:
                if (report.sha256 or "") == sha256 and report.verdict is Gate.REFUSE:
                    known.board.settle(shot, take, Status.FAILED, hopeless=True)
