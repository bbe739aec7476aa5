"""The pictures of characters, looked at with the stills that show them.

Invariant: a character whose picture cannot be used is said before anything is rendered, as a fault of its stills.
"""

import threading
from dataclasses import replace

from farm.catalog.stills import decode, fetch, probe
from farm.errors import StillError
from farm.values import Gate, Still, StillReport


class StillLook:
    """What the gate sees of a still and, if `characters` are compared, of its character's picture. Any thread may ask.

    Many stills show one character: each picture is looked at once, and again in the next session only.
    """

    def __init__(self, *, characters: bool) -> None:
        self._characters = characters
        self._faults: dict[str, StillError | None] = {}
        self._lock = threading.Lock()

    def __call__(self, still: Still) -> StillReport:
        """Raises StoreError and InputError as probe() does."""
        report = probe(still)
        if not self._characters or still.character_uri is None or report.verdict is Gate.REFUSE:
            return report
        fault = self._fault(still.character_uri)
        if fault is None:
            return report
        # Without the still's sum, as if it could not be read: once the character is mended, its takes are other takes.
        return replace(
            report, verdict=Gate.REFUSE, sha256=None, reason=f"character: {fault}", kind=fault.kind
        )

    def _fault(self, uri: str) -> StillError | None:
        with self._lock:  # two looks at once would fetch it twice
            if uri not in self._faults:
                try:
                    decode(fetch(uri))
                    self._faults[uri] = None
                except StillError as e:
                    self._faults[uri] = e
            return self._faults[uri]
