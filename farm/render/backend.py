"""What renders: one Backend per resident model, made by the table in families.py.

Invariant: a backend sees one task at a time, gets its still already fitted to its own frame size, and gives
back frames of exactly that size and exactly the task's number of frames, or raises TakeError.
"""

from collections.abc import Callable, Mapping
from typing import Protocol, TypeAlias

from farm.values import Frames, Pixels, Task

Beat: TypeAlias = Callable[[int, int], None]
"""Called after each step with (steps done, steps in all); whatever it raises cancels the take."""


class Backend(Protocol):
    accelerator: str  # what it runs on: "CPU", or the GPU's name as the driver gives it
    relieve: Callable[
        [], bool
    ]  # lets go of all else on its device, when memory runs out; whether there was anything

    def check(self) -> None:
        """Raises InputError for what the model's settings ask of this machine in vain; nothing is fetched or loaded."""
        ...

    def load(self) -> None:
        """Makes the model resident. Raises InputError when the model cannot be used here, MemoryFull when this machine
        has not enough memory for it."""
        ...

    def expect(self, prompts: int) -> None:
        """Says how many different prompts there will be: what is needed for new ones only may go after so many."""
        ...

    def frame_size(self, width_px: int, height_px: int) -> tuple[int, int]:
        """(width, height) in pixels of the frames made from a still of this size; even numbers."""
        ...

    def render(self, still: Pixels, task: Task, beat: Beat) -> Frames:
        """The frames (T, H, W, 3) of one take; `still` has the frame size. Raises TakeError.

        A take that is tried again in less memory counts its beats from 1 again.
        """
        ...

    def fingerprint(self) -> Mapping[str, str]:
        """Versions and settings that may change a pixel without changing the task, as they were for the take that was
        rendered last; text only."""
        ...

    def held_bytes(self) -> int:
        """Bytes of weights, and of what is remembered between takes, on the device that it renders on; measured."""
        ...

    def close(self) -> None:
        """Frees the model and whatever it holds on the accelerator, also after a load that failed halfway."""
        ...
