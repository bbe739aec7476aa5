"""A small typed vocabulary over maps of a still: what cv2 does to them, and what parts they fall into.

Invariant: every function returns a new array and is deterministic.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from farm.values import Pixels

Map: TypeAlias = NDArray[np.float32]  # (h, w), most of them in 0..1
Colours: TypeAlias = NDArray[np.float32]  # (h, w, 3)
Mask: TypeAlias = NDArray[np.bool_]  # (h, w)


@dataclass(frozen=True, slots=True)
class Part:
    """One connected part of a mask: its cells, its bounding box in cells, and its middle in -1..1."""

    inside: Mask
    left: int
    top: int
    width: int
    height: int
    area: int
    x: float
    y: float


def blur(values: Map, share: float) -> Map:
    """Gaussian blur with a sigma of `share` of the longer edge."""
    sigma = max(0.3, share * max(values.shape))
    return np.asarray(cv2.GaussianBlur(values, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE), np.float32)


def box(values: Map, radius: int) -> Map:
    """Mean over a square of 2 radius + 1 cells."""
    side = 2 * radius + 1
    return np.asarray(cv2.blur(values, (side, side), borderType=cv2.BORDER_REPLICATE), np.float32)


def ramp(values: Map, low: float, high: float) -> Map:
    """0 at `low`, 1 at `high`, smooth between; falling where low > high."""
    t = np.clip((values - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def shrink(pixels: Pixels, width: int, height: int) -> Pixels:
    """(height, width, 3), averaged."""
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def resize(values: Map, width: int, height: int) -> Map:
    return np.asarray(cv2.resize(values, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


def lab(pixels: Pixels) -> Colours:
    """CIE Lab over 100: lightness 0..1, then green (below 0) to red, then blue (below 0) to yellow."""
    return np.asarray(
        cv2.cvtColor(pixels.astype(np.float32) / 255, cv2.COLOR_RGB2Lab), np.float32
    ) / np.float32(100)


def grown(values: Map, radius: int) -> Map:
    """The largest value within a square of 2 radius + 1 cells."""
    return np.asarray(cv2.dilate(values, _square(radius)), np.float32)


def worn(values: Map, radius: int) -> Map:
    """The smallest value within a square of 2 radius + 1 cells."""
    return np.asarray(cv2.erode(values, _square(radius)), np.float32)


def cleaned(values: Map) -> Map:
    """Without speckle, with small holes closed, its edge a little soft."""
    size = max(3, round(0.012 * max(values.shape)) | 1)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    closed = cv2.morphologyEx(values, cv2.MORPH_CLOSE, kernel)
    return blur(np.asarray(cv2.morphologyEx(closed, cv2.MORPH_OPEN, kernel), np.float32), 0.004)


def distance(mask: Mask) -> Map:
    """Cells to the nearest cell outside the mask."""
    return np.asarray(cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5), np.float32)


def hull(mask: Mask) -> Mask:
    """The convex hull of a mask that is not empty."""
    points = np.argwhere(mask)[:, ::-1].astype(np.int32)
    filled = np.zeros(mask.shape, np.uint8)
    cv2.fillConvexPoly(filled, cv2.convexHull(points), 1)
    return filled > 0


def parts(mask: Mask, least: float) -> Iterator[Part]:
    """The connected parts of a mask that have at least `least` of all cells."""
    height, width = mask.shape
    count, labels, stats, middles = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    for label in range(1, count):
        left, top, part_width, part_height, area = (int(value) for value in stats[label])
        if area >= least * mask.size:
            x, y = (float(value) for value in middles[label])
            inside = np.asarray(labels == label)
            yield Part(
                inside,
                left,
                top,
                part_width,
                part_height,
                area,
                2 * x / (width - 1) - 1,
                2 * y / (height - 1) - 1,
            )


def tones(colours: Colours, count: int, seed: int) -> list[Mask]:
    """The cells of each of the `count` commonest colours (k-means)."""
    samples = np.ascontiguousarray(colours.reshape(-1, 3))
    count = min(count, len(samples))
    labels = np.zeros((len(samples), 1), np.int32)
    cv2.setRNGSeed(seed)  # k-means draws its first centres from the thread's generator
    criteria = (cv2.TERM_CRITERIA_MAX_ITER, 8, 0.0)
    _, found, _ = cv2.kmeans(samples, count, labels, criteria, 1, cv2.KMEANS_PP_CENTERS)
    by_cell = np.asarray(found).reshape(colours.shape[:2])
    return [np.asarray(by_cell == k) for k in range(count)]


def cut_out(pixels: Pixels, likely: Mask, never: Mask, seed: int) -> Mask:
    """grabCut from a guess: the cells that are of a piece with `likely`, none of them in `never`."""
    labels = np.where(likely, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    labels[never] = cv2.GC_BGD
    background, foreground = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(seed)  # grabCut starts from k-means
    cv2.grabCut(pixels, labels, (0, 0, 1, 1), background, foreground, 4, cv2.GC_INIT_WITH_MASK)
    return np.asarray((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD))


def _square(radius: int) -> NDArray[np.uint8]:
    return np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)
