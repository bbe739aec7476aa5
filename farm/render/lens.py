"""From a camera pose to sampling positions: which point of the still each point of a frame shows.

Invariant: for depths in 0..1 and poses of one path, every position lies in -1..1 (the bound is `CameraPath.crop`'s).
"""

import torch
from torch import Tensor
from torch.nn import functional

from farm.render.choreography import DOLLY_PARALLAX, PARALLAX, PIVOT, CameraPath, Pose


def unit_grid(height: int, width: int, device: torch.device) -> Tensor:
    """(1, height, width, 2): the identity of grid_sample with align_corners, (x, y) in -1..1."""
    y, x = torch.meshgrid(
        torch.linspace(-1, 1, height, device=device),
        torch.linspace(-1, 1, width, device=device),
        indexing="ij",
    )
    return torch.stack((x, y), dim=-1)[None].contiguous()


def sample(image: Tensor, grid: Tensor) -> Tensor:
    """`image` (1, C, h, w) at `grid` (1, H, W, 2), bilinear, as (1, C, H, W)."""
    return functional.grid_sample(image, grid, mode="bilinear", padding_mode="border", align_corners=True)


class Lens:
    """One camera path over one still's pseudo depth `near` (1, 1, h, w)."""

    def __init__(self, path: CameraPath, near: Tensor) -> None:
        self._path = path
        self._near = near
        self._plane = unit_grid(near.shape[2], near.shape[3], near.device)

    def look(self, progress: float) -> Tensor:
        """(1, h, w, 2): the positions in the still that a frame shows at `progress` 0..1 of the take."""
        pose = self._path.pose(progress)
        if pose == Pose(0, 0, 0, 0, 0) and self._path.crop == 1:
            return self._plane
        # Depth belongs to the still, so it is looked up where a flat picture would be sampled: one step of the
        # fixed point, exact enough as depth changes slowly.
        flat = self._project(pose, torch.full_like(self._near, 0.5))
        return self._project(pose, sample(self._near, flat))

    def _project(self, pose: Pose, near: Tensor) -> Tensor:
        depth = near[0, 0, ..., None]
        aim = torch.tensor(self._path.aim, device=near.device)
        seen = aim + (self._plane - aim) / (1 + pose.dolly * (1 + DOLLY_PARALLAX * (depth - 0.5)))
        seen = seen * self._path.crop / (1 - pose.yaw * seen[..., :1])
        shift = torch.tensor((pose.shift_x, pose.shift_y), device=near.device)
        slide = torch.tensor((pose.slide, 0.0), device=near.device)
        return seen + shift * (1 + PARALLAX * (depth - 0.5)) + slide * (depth - PIVOT)
