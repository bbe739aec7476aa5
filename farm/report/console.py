"""The terminal, or whatever stands in its place.

Invariant: who looks on changes nothing: when nobody reads any more, the run goes on in silence.
"""

import os
from pathlib import Path

from rich.console import Console


class Terminal(Console):
    """A console whose reader may leave (`farm run | head`); rich's own ends the process then."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        # What is still buffered must not fail again when the process ends.
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), self.file.fileno())
