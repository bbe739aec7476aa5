"""Learned scorers from a folder of weights: a network's numbers join the composite as one dimension more.

Invariant: nothing is skipped. A folder that cannot be used is an InputError before anything is rendered; a take of
which the network makes no number is a TakeError. On one CPU thread, without the optimiser that learns from its first
calls: the same frames have the same figures, whatever came before.

No pickle is read: torch.load is pickle, and torch.export.load of torch 2.13 ran code from a crafted archive in two
ways. What is left is TorchScript, which is a program, but one for its own interpreter, and safetensors, which is
numbers. (torch calls TorchScript deprecated, and names torch.export as its successor.)
"""

import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from farm.errors import InputError, TakeError
from farm.score.dimensions import Dimension
from farm.score.learned_card import Card, read_card
from farm.values import Curve, Frames, Pixels

if TYPE_CHECKING:  # a plan imports this module for check(), and starts in a fraction of torch's 1.8 s
    import torch

    Network: TypeAlias = Callable[..., torch.Tensor]
    Layers: TypeAlias = list[tuple[torch.Tensor, torch.Tensor]]

Raw: TypeAlias = NDArray[np.float64]  # (1,) or (N,): a network's own numbers

_WORST = 1e3
"""Figures end here, in limits: composite.goodness makes no difference beyond, and float32 has an end, too."""

_TRIAL_PX = (320, 180)
_LAYER = re.compile(r"(0|[1-9][0-9]{0,3})\.(weight|bias)")


def check(folder: Path) -> Dimension:
    """The dimension that the learned scorer in `folder` judges, without loading it.

    Raises InputError for a folder, a card or files that cannot be used.
    """
    return read_card(folder).dimension


class LearnedCritic:
    """A Critic whose figures are a network's numbers; learned_card.py says what a folder holds."""

    def __init__(self, folder: Path) -> None:
        """Loads the network and tries it. Raises InputError for what cannot be used, in one line."""
        card = read_card(folder)
        self.dimension = card.dimension
        self._card = card
        self._network = _loaded(folder, card)
        self._try(folder / card.weights)

    def figures(self, frames: Frames, fps: Fraction, still: Pixels | None, character: Pixels | None) -> Curve:
        """(T,) figures: 0 at the card's `good` and better, 1 at its `limit`, in proportion beyond.

        Between the frames that the network saw, interpolated. Without a still the first frame stands in for it.
        Raises TakeError (score_learned_failed, score_learned_shape, score_learned_nan).
        """
        # Of a shorter take some frames are seen twice: a network may take one number of frames only.
        seen = np.linspace(0, len(frames) - 1, self._card.frames).round().astype(int)
        raw = self._judged(frames[seen], frames[0] if still is None else still)
        if self._card.input == "clip":
            raw, seen = raw[[0, 0]], seen[[0, -1]]
        with np.errstate(over="ignore"):
            bad = (self._card.good - raw) / (self._card.good - self._card.limit)
        return np.interp(np.arange(len(frames)), seen, np.clip(bad, 0, _WORST)).astype(np.float32)

    def _judged(self, frames: Frames, still: Pixels) -> Raw:
        """The network's numbers, one for each frame or one for all."""
        import torch

        inputs = [self._input(frames)]
        if self._card.input == "pair":
            inputs.append(np.repeat(self._input(still[None]), len(frames), axis=0))
        try:
            with _repeatable():
                found = self._network(*(torch.from_numpy(one) for one in inputs))
        except _torch_errors() as e:
            told = _last_line(e)
            raise TakeError(
                f"{self._card.name}: the network failed: {told}", kind="score_learned_failed"
            ) from e
        return self._numbers(found, 1 if self._card.input == "clip" else len(frames))

    def _numbers(self, found: object, count: int) -> Raw:
        import torch

        if not isinstance(found, torch.Tensor) or found.is_complex() or found.numel() != count:
            got = (
                f"a tensor of {found.dtype} {tuple(found.shape)}"
                if isinstance(found, torch.Tensor)
                else f"a {type(found).__name__}"
            )
            wanted = "1 number" if self._card.input == "clip" else f"{count} numbers, one for each frame"
            raise TakeError(
                f"{self._card.name}: the network gave {got}; expected {wanted}", kind="score_learned_shape"
            )
        raw = np.asarray(found.to(torch.float64).reshape(-1).numpy(), np.float64)
        if not np.isfinite(raw).all():
            raise TakeError(
                f"{self._card.name}: the network gave {raw[~np.isfinite(raw)][0]}, which is no number",
                kind="score_learned_nan",
            )
        return raw

    def _input(self, pictures: Frames) -> NDArray[np.float32]:
        """(N, 3, H, W) of pictures (N, H, W, 3), as the card says."""
        import cv2

        height_px, width_px = pictures.shape[1:3]
        scaled, (width, height) = self._card.cover_px(width_px, height_px)
        smaller = scaled[0] < width_px
        method = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
        left, top = (scaled[0] - width) // 2, (scaled[1] - height) // 2
        kept = [
            np.asarray(cv2.resize(picture, scaled, interpolation=method))[
                top : top + height, left : left + width
            ]
            for picture in pictures
        ]
        values = np.stack(kept).astype(np.float32) / 255
        mean, std = np.asarray(self._card.mean, np.float32), np.asarray(self._card.std, np.float32)
        values = (values - mean) / std
        return np.ascontiguousarray(values.transpose(0, 3, 1, 2))

    def _try(self, where: Path) -> None:
        """Judges a small take twice, so that what is wrong with a network is known before a take is rendered."""
        width_px, height_px = _TRIAL_PX
        slope = np.linspace(0, 255, width_px + self._card.frames).astype(np.uint8)
        rows = np.stack([slope[i : i + width_px] for i in range(self._card.frames)])
        take = np.broadcast_to(rows[:, None, :, None], (len(rows), height_px, width_px, 3))
        try:
            first, again = (self._judged(take, take[0]) for _ in range(2))
        except TakeError as e:
            raise InputError(f"{where}: on a trial take of {width_px}x{height_px} px: {e}") from e
        if not np.array_equal(first, again):
            raise InputError(
                f"{where}: gives other numbers for the same frames; a scorer gives the same ones"
            )


@contextmanager
def _repeatable() -> Iterator[None]:
    import torch

    # Threads that are there already keep their own count, and a take is not judged in the thread that loaded.
    torch.set_num_threads(1)
    with torch.inference_mode(), torch.jit.optimized_execution(False):  # type: ignore[attr-defined]
        yield


def _loaded(folder: Path, card: Card) -> "Network":
    if card.backbone is None:
        return _torchscript(folder / card.weights)
    backbone, layers = _torchscript(folder / card.backbone), _layers(folder / card.weights)

    def network(*inputs: "torch.Tensor") -> "torch.Tensor":
        from torch.nn.functional import linear, relu

        values = backbone(*inputs)
        for weight, bias in layers[:-1]:
            values = relu(linear(values, weight, bias))
        return linear(values, *layers[-1])

    return network


def _torchscript(path: Path) -> "Network":
    import torch

    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "`torch.jit.load` is deprecated", DeprecationWarning)
            module: torch.jit.ScriptModule = torch.jit.load(path, map_location="cpu")
    except _torch_errors() as e:
        told = _last_line(e).split(". This is an internal")[0]
        raise InputError(
            f"{path}: is no TorchScript, which torch.jit.save writes (torch.save does not): {told}"
        ) from e
    return module.eval()


def _layers(path: Path) -> "Layers":
    """The (weight, bias) of a head's linear layers, in order, from a file of tensors 0.weight, 0.bias, 2.weight ..."""
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as e:
        raise InputError(f"{path}: is no safetensors file: {_last_line(e)}") from e
    for name, tensor in tensors.items():
        if not _LAYER.fullmatch(name):
            raise InputError(
                f"{path}: {name!r} is no tensor of a head; allowed: 0.weight, 0.bias, 2.weight, ..."
            )
        if not tensor.is_floating_point() or not torch.isfinite(tensor).all():
            raise InputError(f"{path}: {name}: expected finite floating-point numbers")
    indices = sorted({int(name.split(".")[0]) for name in tensors})
    layers, width = [], None
    for i in indices:
        weight, bias = tensors.get(f"{i}.weight"), tensors.get(f"{i}.bias")
        if weight is None or bias is None:
            raise InputError(f"{path}: layer {i} lacks its {'weight' if weight is None else 'bias'}")
        if weight.ndim != 2 or bias.shape != weight.shape[:1] or width not in (None, weight.shape[1]):
            raise InputError(
                f"{path}: layer {i}: a weight {tuple(weight.shape)} with a bias {tuple(bias.shape)} "
                f"does not follow {'a backbone' if width is None else f'a layer that gives {width} numbers'}"
            )
        width = weight.shape[0]
        layers.append((weight.float(), bias.float()))
    if width != 1:
        raise InputError(f"{path}: gives {width or 'no'} numbers; the last layer of a head gives 1")
    return layers


def _torch_errors() -> tuple[type[Exception], ...]:
    """What torch raises where it loads a damaged file, or runs a network on what that does not take."""
    import torch

    # TorchScript's own error is no RuntimeError; those of torch's C++ come as their likes in Python.
    return torch.jit.Error, RuntimeError, ValueError, TypeError, IndexError


def _last_line(e: BaseException) -> str:
    """The last line of what torch says is the error itself; those before are its stack."""
    lines = [line.strip() for line in str(e).splitlines() if line.strip()]
    return lines[-1][:200] if lines else type(e).__name__
