"""Small TorchScript networks and the folders that make learned scorers of them.

Invariant: each is a plain function of its input, whose right answer a test can work out by hand.
"""

import warnings
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor, nn


class Brightness(nn.Module):
    """Mean level of each frame, 0..1."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(dim=(1, 2, 3))


class Relief(nn.Module):
    """Mean strength of a Laplacian of each frame, (N, 1): how much detail there is."""

    def __init__(self) -> None:
        super().__init__()
        kernel = torch.tensor([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]])
        self.kernel = nn.Parameter(kernel.reshape(1, 1, 3, 3) * 255)

    def forward(self, x: Tensor) -> Tensor:
        grey = x.mean(dim=1, keepdim=True)
        return nn.functional.conv2d(grey, self.kernel).abs().mean(dim=(1, 2, 3)).unsqueeze(1)


class Clip(nn.Module):
    """One number for a clip of 6 frames: how much it changes from its first frame to its last."""

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[0] != 6:
            raise ValueError("a clip has 6 frames")
        return (x[-1] - x[0]).abs().mean()


class Unlike(nn.Module):
    """Mean difference of each frame from its still."""

    def forward(self, x: Tensor, still: Tensor) -> Tensor:
        return (x - still).abs().mean(dim=(1, 2, 3))


class Features(nn.Module):
    """A backbone: mean and largest level of each frame, (N, 2)."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([x.mean(dim=(1, 2, 3)), x.flatten(1).max(dim=1)[0]], dim=1)


class OneForAll(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean()


class Text(nn.Module):
    def forward(self, x: Tensor) -> str:
        return "good"


class Lottery(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.rand(x.shape[0])


class LightOnly(nn.Module):
    """NaN for frames of black, an exception for white ones."""

    def forward(self, x: Tensor) -> Tensor:
        level = x.mean(dim=(1, 2, 3))
        if bool((level > 0.99).any()):
            raise ValueError("too bright to be judged")
        return level / (level > 0.01).to(torch.float32) * 1.0


CARD: dict[str, Any] = {
    "name": "brightness",
    "says": "too dark",
    "weights": "network.pt",
    "input": "frames",
    "frames": 8,
    "size_px": 32,
    "good": 0.4,
    "limit": 0.1,
}


def save(network: nn.Module, path: Path) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`torch.jit", DeprecationWarning)
        torch.jit.save(torch.jit.script(network), path)


def write_card(folder: Path, **changes: Any) -> Path:
    """CARD with changes; a key of None is left out."""
    card = {key: value for key, value in (CARD | changes).items() if value is not None}
    (folder / "scorer.yaml").write_text(yaml.safe_dump(card))
    return folder


def scorer_folder(folder: Path, network: nn.Module, **changes: Any) -> Path:
    """A folder with a network and its card."""
    folder.mkdir(exist_ok=True)
    save(network, folder / "network.pt")
    return write_card(folder, **changes)
