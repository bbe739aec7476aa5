"""The models that one worker holds: as many as its device bears, the one used longest ago is let go first.

Invariant: a model that is handed out is resident until the next one is asked for. What a model weighs is known before
it is loaded or it gets the device to itself.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from farm.errors import MemoryFull
from farm.render.backend import Backend
from farm.render.families import backend, weights_bytes
from farm.values import Model

# Of a device's memory, what stays free for the activations of the model that renders: the VAE of a 720p clip of five
# seconds asks for several times the pixels of all its frames in half precision, some 20 GB of an 80 GB card.
_HEADROOM = 0.25


@dataclass(frozen=True, slots=True)
class Room:
    """Bytes of the device that models are loaded to."""

    free_bytes: int
    total_bytes: int


def device_room(model: Model) -> Room:
    """What the model's device has now: the first GPU that this process sees, else the CPU's memory."""
    from farm.render import machine  # torch: a second, and a worker with one model never asks

    if dict(model.hosting).get("device") != "cpu" and (gpus := machine.gpus()):
        return Room(gpus[0].free_bytes, gpus[0].total_bytes)
    return Room(machine.memory_bytes(), machine.total_bytes())


class Residents:
    """`prompts`: distinct motions of the job, after which encoders may go; `room`: what the device has now, None where
    that cannot be known."""

    def __init__(
        self,
        *,
        prompts: int,
        room: Callable[[Model], Room | None] = device_room,
        make: Callable[[Model], Backend] = backend,
        weighs: Callable[[Model], int | None] = weights_bytes,
    ) -> None:
        self._prompts = prompts
        self._room = room
        self._make = make
        self._weighs = weighs
        self._held: OrderedDict[str, Backend] = OrderedDict()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._held)

    def known(self, name: str) -> Backend | None:
        """A model that is held, without counting that as use."""
        return self._held.get(name)

    def get(self, model: Model) -> Backend:
        """The model, loaded if it is not held. Raises InputError and MemoryFull as its backend's `load` does."""
        if model.name in self._held:
            self._held.move_to_end(model.name)
            return self._held[model.name]
        while self._held and not self._fits_beside(model):
            self._let_go()
        fresh = self._loaded(model)
        fresh.relieve = partial(self.relieve, keep=model.name)
        fresh.expect(self._prompts)
        self._held[model.name] = fresh
        return fresh

    def relieve(self, *, keep: str | None = None) -> bool:
        """Lets go of all models but `keep`; whether there was one."""
        others = [name for name in self._held if name != keep]
        for name in others:
            self._held.pop(name).close()
        return bool(others)

    def _loaded(self, model: Model) -> Backend:
        """Once more, with the device to itself, where it did not fit beside the others."""
        first = self._make(model)
        try:
            first.load()
            return first
        except MemoryFull:
            if not self._held:
                first.close()
                raise
        # Only here is what the first try held free: an exception that is being handled keeps its frames.
        first.close()
        self.relieve()
        again = self._make(model)
        again.load()
        return again

    def _fits_beside(self, model: Model) -> bool:
        weight, room = self._weighs(model), self._room(model)
        if weight is None or room is None:
            return False
        return weight + _HEADROOM * room.total_bytes <= room.free_bytes

    def _let_go(self) -> None:
        _, oldest = self._held.popitem(last=False)
        oldest.close()
