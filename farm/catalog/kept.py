"""The pictures that takes are made of, fetched and decoded once for neighbouring takes.

Invariant: a still is the one that the gate saw, byte for byte, or the take fails. Any thread may ask.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable

from farm.catalog.stills import decode, fetch
from farm.errors import StillError
from farm.ids import sha256_hex
from farm.values import Pixels, Task

_KEPT = 4  # decoded pictures in memory: neighbouring tasks share theirs


class Pictures:
    """`characters`: whether anybody looks at the pictures of whom stills show."""

    def __init__(self, *, characters: bool) -> None:
        self._characters = characters
        self._held: OrderedDict[str, Pixels] = OrderedDict()
        self._lock = threading.Lock()

    def still(self, task: Task) -> Pixels:
        """The still of a task. Raises StillError where it is not what the gate saw, StoreError where nobody answers."""

        def fetched() -> Pixels:
            data = fetch(task.still.uri)
            if sha256_hex(data) != task.still_sha256:
                raise StillError(
                    f"{task.still.where}: changed since the gate saw it; give it a new id",
                    kind="still_changed",
                )
            return decode(data)

        return self._kept(task.still_sha256, fetched)

    def character(self, task: Task) -> Pixels | None:
        """The picture of the character, where the catalog names one and somebody looks at it."""
        uri = task.still.character_uri
        if uri is None or not self._characters:
            return None
        try:
            return self._kept(uri, lambda: decode(fetch(uri)))
        except StillError as e:
            raise StillError(f"{task.still.where}: character: {e}", kind=e.kind) from e

    def _kept(self, key: str, fetched: Callable[[], Pixels]) -> Pixels:
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
                return self._held[key]
        pixels = fetched()
        with self._lock:
            self._held[key] = pixels
            while len(self._held) > _KEPT:
                self._held.popitem(last=False)
        return pixels
