"""Text encoders that are not there while a take is denoised: in the CPU's memory, or nowhere until they are needed.

Invariant: what an absent encoder says is what it would have said at home, bit for bit: the same weights run on the
same device on the same tokens. A pipeline sees a module with the dtype, device and configuration that it asks for.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

# Their text encoder reads the still with the prompt: nothing that it says could be found again for another still.
# (HunyuanVideo-I2V gives Llava the image; Kandinsky 5 and HunyuanVideo 1.5 have such encoders too, but give them text.)
READS_THE_STILL = frozenset({"HunyuanVideoImageToVideoPipeline"})


class Away(nn.Module):
    """Stands in for one text encoder. `load` gives it anew from the checkpoint, in the CPU's memory."""

    def __init__(self, encoder: nn.Module, load: Callable[[], nn.Module], device: str) -> None:
        super().__init__()
        self.config = encoder.config
        # Hooks ask for a first parameter, and move it: where it is, the encoder is to run.
        dtype = next(p.dtype for p in encoder.parameters() if p.dtype.is_floating_point)
        self._anchor = nn.Parameter(torch.empty(0, dtype=dtype, device=device), requires_grad=False)
        self._load = load
        # In a tuple, or torch would make it a part of this module.
        self._home: tuple[nn.Module, ...] = (encoder,)

    @property
    def dtype(self) -> torch.dtype:
        return self._anchor.dtype

    @property
    def device(self) -> torch.device:
        return self._anchor.device

    @property
    def encoder(self) -> nn.Module | None:
        """The real one, as long as there is one in memory."""
        return self._home[0] if self._home else None

    def forward(self, *args: Any, **named: Any) -> Any:
        """One visit to the device: nothing of the weights stays there, and none has to be copied back."""
        encoder = self._home[0] if self._home else self._load()
        with _returning(encoder):
            encoder.to(self.device)
            return encoder(*args, **named)

    def drop(self) -> None:
        """Lets the weights go; from now on they are read from the checkpoint for each visit."""
        self._home = ()

    def stay(self) -> None:
        """Has the weights in the CPU's memory again, for visits to come."""
        self._home = self._home or (self._load(),)


@contextmanager
def _returning(encoder: nn.Module) -> Iterator[None]:
    """After it, a module has the very tensors that it had before.

    torch moves what a parameter holds or, between kinds of device that cannot share one, puts another in its place.
    """
    places = [(module, dict(module._parameters), dict(module._buffers)) for module in encoder.modules()]
    contents = [(parameter, parameter.data) for parameter in encoder.parameters()]
    try:
        yield
    finally:
        for module, parameters, buffers in places:
            module._parameters.update(parameters)
            module._buffers.update(buffers)
        for parameter, data in contents:
            parameter.data = data


def send_away(
    pipe: Any, load: Callable[[str, type[nn.Module]], nn.Module], device: str
) -> Mapping[str, Away]:
    """Puts a stand-in for every text encoder of a pipeline; `load(name, class)` loads one anew."""
    gone = {}
    for name, encoder in pipe.components.items():
        if name.startswith("text_encoder") and encoder is not None:
            gone[name] = Away(encoder, _again(load, name, type(encoder)), device)
            setattr(pipe, name, gone[name])
    return gone


def _again(
    load: Callable[[str, type[nn.Module]], nn.Module], name: str, kind: type[nn.Module]
) -> Callable[[], nn.Module]:
    return lambda: load(name, kind)
