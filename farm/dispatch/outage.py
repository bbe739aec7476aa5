"""A store that does not answer: when nothing is given out, when it is asked again, when workers may go. Pure.

Invariants: takes that are out go on; what a store refused in between counts as one outage, however many were out. A
kind that no waiting mends ends the run at once.
"""

HOPELESS = frozenset({"denied", "missing_bucket", "disk_full", "expired", "read_only"})
"""Kinds of StoreError that somebody has to mend: every take rendered until then would be lost."""

_FIRST_S = 1.0
_LONGEST_S = 30.0
"""Between two questions. One small read in half a minute is no load for anybody, and half a minute is below what one
take costs."""

RELEASE_AFTER_S = 300.0
"""A worker that waits is paid, and so is one that starts: two to three minutes for a machine and two for a model
(pace.ASSUMED_LOAD_S). Waiting for as long as that costs at most twice what knowing the future would have."""


class Outage:
    """`rounds`: how often in a row a store may answer again and refuse the next take."""

    def __init__(self, rounds: int) -> None:
        self._limit = rounds
        self._rounds = 0
        self._since_s: float | None = None
        self._asked = False
        self._ask_at_s = self._pause_s = 0.0

    @property
    def on(self) -> bool:
        return self._since_s is not None

    def settled(self) -> None:
        """A take reached the store."""
        self._rounds = 0

    def refused(self, kind: str, message: str, at_s: float) -> str | None:
        """Why the run is broken by what the store refused; None: it waits."""
        if kind in HOPELESS:
            return f"the store cannot be used ({kind}): {message}"
        if self.on:
            return None
        if self._rounds >= self._limit:
            return f"the store was back {self._rounds} times in a row and refused the next take: {message}"
        self._pause_s = min(_LONGEST_S, _FIRST_S * 2**self._rounds)
        self._rounds += 1
        self._since_s, self._ask_at_s, self._asked = at_s, at_s + self._pause_s, False
        return None

    def ask_now(self, at_s: float) -> bool:
        """Whether the store is to be asked now; one question at a time."""
        due = self.on and not self._asked and at_s >= self._ask_at_s
        self._asked = self._asked or due
        return due

    def probed(self, answers: bool, at_s: float) -> float | None:
        """What the store said; the seconds that the outage lasted, if this is its end."""
        if self._since_s is None:
            return None
        if answers:
            lasted_s = at_s - self._since_s
            self._since_s = None
            return lasted_s
        self._pause_s = min(_LONGEST_S, 2 * self._pause_s)
        self._ask_at_s, self._asked = at_s + self._pause_s, False
        return None

    def is_long(self, at_s: float) -> bool:
        """Whether workers that wait for its end had better go."""
        return self._since_s is not None and at_s - self._since_s >= RELEASE_AFTER_S
