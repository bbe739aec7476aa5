"""VBench-I2V's dimensions, re-implemented without downloads: what our scorer has to beat.

Formulas, thresholds and weights are those of VBench (Huang et al., CVPR 2024, arXiv:2311.17982) and of its I2V suite
(vbench2_beta_i2v and scripts/cal_i2v_final_score.py of github.com/Vchitect/VBench). The networks are not there:

| VBench                       | here                                                        |
|------------------------------|-------------------------------------------------------------|
| DINO ViT-B/16 features       | histograms of oriented gradients on a 7 x 7 grid            |
| CLIP, DreamSim features      | Lab colour and orientations on a 4 x 4 grid                 |
| AMT-S frame interpolation    | both neighbours warped half way along DIS flow, averaged    |
| RAFT flow                    | DIS flow                                                    |
| MUSIQ (SPAQ) image quality   | sharpness x noise x exposure of a frame                     |
| LAION aesthetic predictor    | left out, and its weight with it                            |
| CoTracker camera motion      | left out: it is no part of the total                        |

So a figure here is not VBench's own. What carries over is what each dimension rewards: likeness to the frame before,
to the first frame and to the still, and small differences between frames. Features are centred, so that unrelated
pictures have a cosine near 0, as with the networks whose measured minima normalise the dimensions. Frames are made
smaller, to SHORT_PX, before any flow.

Invariant: deterministic; every dimension is 0..1, 1 is good.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from farm.values import Frames, Pixels

SHORT_PX = 256  # short edge at which flows are taken; VBench states its threshold of movement for this one
FEATURE_PX = 224  # what DINO and CLIP are fed

# scripts/constant.py: (minimum, maximum, weight) of each dimension; a total is the mean of two groups' weighted means.
I2V = {"i2v_subject": (0.1462, 1.0, 1.0), "i2v_background": (0.2615, 1.0, 1.0)}
QUALITY = {
    "subject_consistency": (0.1462, 1.0, 1.0),
    "background_consistency": (0.2615, 1.0, 1.0),
    "temporal_flickering": (0.6293, 1.0, 1.0),
    "motion_smoothness": (0.7060, 0.9975, 1.0),
    "dynamic_degree": (0.0, 1.0, 0.5),
    "imaging_quality": (0.0, 1.0, 1.0),
}
DIMENSIONS = (*I2V, *QUALITY)

_CELLS = 28  # across; a multiple of both grids of features
_ROWS, _COLUMNS = np.mgrid[:FEATURE_PX, :FEATURE_PX] * _CELLS // FEATURE_PX
_CELL_OF = ((_ROWS * _CELLS + _COLUMNS) * 9).astype(np.int32)  # of each pixel, where its 9 orientations begin

Feature = NDArray[np.float32]  # (n,), of length 1
Plane = NDArray[np.uint8]  # (h, w)


def dimensions(frames: Frames, fps: Fraction, still: Pixels) -> dict[str, float]:
    """All of DIMENSIONS for a take of at least three frames (T, H, W, 3), and its still."""
    small = [_short(frame) for frame in frames]
    planes = [np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), np.uint8) for frame in small]
    reference = _short(still)
    subjects, backgrounds = zip(*(features(frame) for frame in small), strict=True)
    subject, background = features(reference)
    return {
        "i2v_subject": to_still(subjects, subject, (0.5, 0.5, 0.0)),
        "i2v_background": to_still(backgrounds, background, (0.4, 0.3, 0.3)),
        "subject_consistency": consistency(subjects),
        "background_consistency": consistency(backgrounds),
        "temporal_flickering": flickering(frames),
        "motion_smoothness": smoothness(planes),
        "dynamic_degree": dynamic_degree(planes, fps),
        "imaging_quality": float(np.mean([imaging(plane) for plane in planes])),
    }


def total(found: Mapping[str, float]) -> float:
    """VBench-I2V's total score: each dimension normalised by its published minimum and maximum, and weighted.

    Its aesthetic quality, weight 1 of 6.5 in the second group, is left out here.
    """
    return (_weighted(found, I2V) + _weighted(found, QUALITY)) / 2


def _weighted(found: Mapping[str, float], group: Mapping[str, tuple[float, float, float]]) -> float:
    scaled = [(found[name] - low) / (high - low) * weight for name, (low, high, weight) in group.items()]
    return sum(scaled) / sum(weight for *_, weight in group.values())


# likeness


def features(picture: Pixels) -> tuple[Feature, Feature]:
    """What stands in for DINO: where edges run which way, on a 7 x 7 grid; and for CLIP and DreamSim: that on a
    4 x 4 grid and colour, as much of each."""
    small = np.asarray(cv2.resize(picture, (FEATURE_PX, FEATURE_PX), interpolation=cv2.INTER_AREA), np.uint8)
    edges = _edges(small)
    tiles = cv2.resize(small, (4, 4), interpolation=cv2.INTER_AREA)
    colours = cv2.cvtColor(tiles, cv2.COLOR_RGB2LAB).astype(np.float32).reshape(-1) - 128
    return _pooled(edges, 7), _unit(np.concatenate([_unit(colours), _pooled(edges, 4)]))


def _edges(picture: Pixels) -> NDArray[np.float64]:
    """Strength of edges (Dalal and Triggs, 2005) on 28 x 28 cells, in each of 9 unsigned orientations."""
    soft = cv2.GaussianBlur(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), (0, 0), 1.0)
    dx, dy = (cv2.Sobel(soft, cv2.CV_32F, *way) for way in ((1, 0), (0, 1)))
    strength, angle = cv2.cartToPolar(dx, dy)
    place = _CELL_OF + (angle * (9 / np.pi)).astype(np.int32) % 9
    sums = np.bincount(place.ravel(), weights=strength.ravel(), minlength=_CELLS * _CELLS * 9)
    return np.asarray(sums.reshape(_CELLS, _CELLS, 9), np.float64)


def _pooled(edges: NDArray[np.float64], cells: int) -> Feature:
    """On cells x cells: the square roots of their shares, less the mean."""
    side = _CELLS // cells
    grid = edges.reshape(cells, side, cells, side, 9).sum(axis=(1, 3))
    roots = np.sqrt(grid / (grid.sum() + 1e-6))
    return _unit(np.asarray(roots - roots.mean(), np.float32).reshape(-1))


def _unit(feature: Feature) -> Feature:
    return np.asarray(feature / (np.linalg.norm(feature) + 1e-9), np.float32)


def _alike(one: Feature, other: Feature) -> float:
    return min(1.0, max(0.0, float(one @ other)))


def consistency(features: Sequence[Feature]) -> float:
    """subject_consistency.py, background_consistency.py: the mean over frames but the first of the mean of their
    cosines to the frame before and to the first frame."""
    return float(
        np.mean([(_alike(before, now) + _alike(features[0], now)) / 2 for before, now in pairwise(features)])
    )


def to_still(features: Sequence[Feature], still: Feature, weights: tuple[float, float, float]) -> float:
    """i2v_subject.py, i2v_background.py: the highest cosine of any frame to the still, and the mean and the lowest
    cosine of adjacent frames, with these weights."""
    likest = max(_alike(still, feature) for feature in features)
    steps = [_alike(before, now) for before, now in pairwise(features)]
    return weights[0] * likest + weights[1] * float(np.mean(steps)) + weights[2] * min(steps)


# time


def flickering(frames: Frames) -> float:
    """temporal_flickering.py: 1 - the mean absolute difference of adjacent frames / 255, of full frames. VBench asks
    for static videos here and does not check."""
    steps = pairwise(frames)
    return 1 - float(np.mean([cv2.norm(now, before, cv2.NORM_L1) / now.size for before, now in steps])) / 255


def smoothness(planes: Sequence[Plane]) -> float:
    """motion_smoothness.py: every second frame is dropped and interpolated from its neighbours; 1 - the mean
    absolute error of that / 255. Here of luma."""
    dis = _dis()
    errors = []
    for i in range(1, len(planes) - 1, 2):
        before, after = planes[i - 1], planes[i + 1]
        ahead, back = dis.calc(before, after, None), dis.calc(after, before, None)
        middle = cv2.addWeighted(_warped(before, ahead), 0.5, _warped(after, back), 0.5, 0)
        errors.append(cv2.norm(planes[i], middle, cv2.NORM_L1) / middle.size)
    return 1 - float(np.mean(errors)) / 255


def _warped(plane: Plane, flow: NDArray[np.float32]) -> Plane:
    """Half way along the flow, which is taken to be the same there as where it was measured."""
    height, width = plane.shape
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    at = x - 0.5 * flow[..., 0], y - 0.5 * flow[..., 1]
    return np.asarray(cv2.remap(plane, *at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def dynamic_degree(planes: Sequence[Plane], fps: Fraction) -> float:
    """dynamic_degree.py: 1 if a take moves, 0 if not. At 8 Hz, the mean of the 5% longest flow vectors is above
    6 px per 256 px of the short edge in at least 4 of 16 frames (both scaled)."""
    rate = float(fps)
    sampled = planes[:: max(1, round(rate / 8))]
    limit = max(1.0, 8 / rate) * 6 * min(sampled[0].shape) / 256
    wanted = round(4 * len(sampled) / 16)
    dis = _dis()
    moved = 0
    for before, now in pairwise(sampled):
        flow = dis.calc(before, now, None)
        lengths = np.hypot(flow[..., 0], flow[..., 1]).ravel()
        longest = max(1, int(lengths.size * 0.05))
        moved += float(np.partition(lengths, -longest)[-longest:].mean()) > limit
    return float(moved > 0 and moved >= wanted)


def _dis() -> cv2.DISOpticalFlow:
    return cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)


# pictures

_LAPLACIAN_HALF = 12.0  # |Laplacian| at which sharpness is 0.5: photographs at 256 px have 5 to 30
_NOISE_HALF = 8.0  # levels of deviation at which the noise factor is 0.5
_IMMERKAER = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32) * np.float32(np.sqrt(np.pi / 2) / 6)


def imaging(plane: Plane) -> float:
    """Stands in for imaging_quality.py (MUSIQ / 100, mean over frames): sharpness x little noise x exposure.

    Sharpness by the mean |Laplacian|, noise by Immerkaer (1996) on the flattest third of 16 px blocks, exposure by
    the share of pixels that are neither crushed nor blown.
    """
    sharp = float(np.abs(cv2.Laplacian(plane, cv2.CV_32F)).mean())
    grain = np.abs(cv2.filter2D(plane, cv2.CV_32F, _IMMERKAER))
    blocks = cv2.resize(grain, (plane.shape[1] // 16, plane.shape[0] // 16), interpolation=cv2.INTER_AREA)
    noise = float(np.sort(blocks.ravel())[: max(1, blocks.size // 3)].mean())
    exposed = float(((plane > 8) & (plane < 247)).mean())
    return sharp / (sharp + _LAPLACIAN_HALF) / (1 + (noise / _NOISE_HALF) ** 2) * (0.5 + 0.5 * exposed)


def _short(picture: Pixels) -> Pixels:
    """With a short edge of SHORT_PX at most."""
    scale = min(1.0, SHORT_PX / min(picture.shape[:2]))
    size = (max(16, round(picture.shape[1] * scale)), max(16, round(picture.shape[0] * scale)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
