"""The gate as the driver uses it: stills are read beside the run, in the grid's order, a few at a time.

Invariant: what is held is what is open; a still that no shot needs any more is forgotten.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from farm.errors import BrokenFarm
from farm.values import Still, StillReport

_THREADS = 4  # reading waits for the store, decoding for a core: a few of each


class Gate:
    """`stills` streams the catalog in the grid's order; `look` reads, hashes and decodes one still."""

    def __init__(self, stills: Iterator[Still], look: Callable[[Still], StillReport]) -> None:
        self._stills = enumerate(stills)
        self._look = look
        self._threads = ThreadPoolExecutor(max_workers=_THREADS, thread_name_prefix="farm-gate")
        self._looking: dict[Future[StillReport], int] = {}
        self._seen: dict[int, StillReport] = {}

    @property
    def busy(self) -> bool:
        return bool(self._looking)

    def open(self, still: int) -> None:
        """Begins to look at a still; numbers only ever go up."""
        for number, row in self._stills:
            if number == still:
                self._looking[self._threads.submit(self._look, row)] = still
                return
        raise BrokenFarm(f"the catalog ended before still {still}: it became shorter while it was read")

    def poll(self) -> list[tuple[int, StillReport]]:
        """The stills that were seen since the last call."""
        done = [future for future in self._looking if future.done()]
        reports = sorted((self._looking.pop(future), future.result()) for future in done) if done else []
        self._seen.update(reports)
        return reports

    def report(self, still: int) -> StillReport:
        return self._seen[still]

    def close_still(self, still: int) -> None:
        self._seen.pop(still, None)

    def close(self) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)
