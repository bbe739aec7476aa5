"""The gate as the driver uses it: stills are read beside the run, in the grid's order, a few at a time.

Invariants
- What is held is what is open; a still that no shot needs any more is forgotten, but for 64 bits of what it was.
- A still that is looked at again is refused where it is another one by then: no shot mixes takes of two pictures.
- A still that cannot be reached is tried again, then refused as unreachable, so that one dead host does not end the
  night; many of them in a row are an outage, which does: nothing is known of those stills.
"""

import threading
from array import array
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

from farm.errors import BrokenFarm, InputError, StoreError
from farm.ids import sha256_hex
from farm.values import Gate as Verdict
from farm.values import Still, StillReport

UNREACHABLE = "still_unreachable"
_THREADS = 4  # reading waits for the store, decoding for a core: a few of each
_PAUSES_S = (1.0, 5.0, 20.0)  # between looks at a still that cannot be reached
_OUTAGE = 32  # stills in a row that cannot be reached; more than can pile up at the gate where only some hosts are dead


class Gate:
    """`stills` streams the catalog in the grid's order, from its start each time; `look` reads, hashes and decodes
    one still."""

    def __init__(
        self,
        stills: Callable[[], Iterator[Still]],
        look: Callable[[Still], StillReport],
        *,
        pauses_s: Sequence[float] = _PAUSES_S,
    ) -> None:
        self._stills = stills
        self._rows = enumerate(stills())
        self._at = -1  # the last still that was asked for
        self._prints = array("Q")  # still -> what it was, 0: not seen yet
        self._look = look
        self._pauses_s = pauses_s
        self._closing = threading.Event()
        self._unreached = 0  # in a row
        self._threads = ThreadPoolExecutor(max_workers=_THREADS, thread_name_prefix="farm-gate")
        self._looking: dict[Future[StillReport], int] = {}
        self._seen: dict[int, StillReport] = {}

    @property
    def busy(self) -> bool:
        return bool(self._looking)

    def open(self, still: int) -> None:
        """Begins to look at a still; going back begins the catalog again. Raises BrokenFarm where it broke off."""
        if still <= self._at:
            self._rows = enumerate(self._stills())
        self._at = still
        try:
            for number, row in self._rows:
                if number == still:
                    self._looking[self._threads.submit(self._patiently, row)] = still
                    return
        except InputError as e:
            raise BrokenFarm(str(e)) from e  # it was checked before; now the run has begun
        raise BrokenFarm(f"the catalog ended before still {still}: it became shorter while it was read")

    def poll(self) -> list[tuple[int, StillReport]]:
        """The stills that were seen since the last call. Raises StoreError in an outage, and BrokenFarm."""
        done = [future for future in self._looking if future.done()]
        looks = sorted((self._looking.pop(future), future.result()) for future in done) if done else []
        reports = [(number, self._compared(number, report)) for number, report in looks]
        for _, report in reports:
            self._unreached = self._unreached + 1 if report.kind == UNREACHABLE else 0
            if self._unreached >= _OUTAGE:
                raise StoreError(f"{_OUTAGE} stills in a row: {report.reason}", kind="unreachable")
        self._seen.update(reports)
        return reports

    def report(self, still: int) -> StillReport:
        return self._seen[still]

    def close_still(self, still: int) -> None:
        self._seen.pop(still, None)

    def close(self) -> None:
        self._closing.set()
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _compared(self, number: int, report: StillReport) -> StillReport:
        """Refuses what is not the still that it was in an earlier pass."""
        if report.verdict is Verdict.REFUSE:
            return report
        self._prints.extend([0] * (number + 1 - len(self._prints)))
        is_now = int(sha256_hex(f"{report.still.id}\n{report.sha256}".encode())[:16], 16)
        was, self._prints[number] = self._prints[number], is_now
        if was in (0, is_now):
            return report
        self._prints[number] = was
        reason = f"{report.still.where}: changed while takes of it were rendered; give it a new id"
        return replace(report, verdict=Verdict.REFUSE, reason=reason, kind="still_changed")

    def _patiently(self, still: Still) -> StillReport:
        for pause_s in self._pauses_s:
            report = seen(still, self._look)
            if report.kind != UNREACHABLE or self._closing.wait(pause_s):
                return report
        return seen(still, self._look)


def seen(still: Still, look: Callable[[Still], StillReport]) -> StillReport:
    """What `look` says of a still; one that cannot be reached is refused as that. Raises BrokenFarm."""
    try:
        return look(still)
    except StoreError as e:
        return StillReport(still, Verdict.REFUSE, None, None, None, None, reason=str(e), kind=UNREACHABLE)
    except InputError as e:
        raise BrokenFarm(f"{still.where}: {e}") from e
