"""The reliability diagram: how often takes with a score are really kept, as an SVG for the docs.

Invariant: the same rows give the same file, byte for byte.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from scorer_metrics import Row
from scorer_reliability import Reliability, reliability

SIZE, LEFT, TOP, BOTTOM = 360, 56, 44, 56  # px; the plot is a square of SIZE
INK, PALE, BLUE = "#333", "#ccc", "#2563b0"


def write(rows: Sequence[Row], column: str, path: Path) -> Reliability:
    found = reliability(rows, column)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(_svg(found)) + "\n")
    return found


def _svg(found: Reliability) -> Iterator[str]:
    width, height = LEFT + SIZE + 44, TOP + SIZE + BOTTOM
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12" fill="{INK}">'
    )
    yield f'<rect width="{width}" height="{height}" fill="white"/>'
    yield f'<text x="{LEFT}" y="18" font-size="14">Is the score the share of takes that are kept?</text>'
    takes = sum(one.count for one in found.bins)
    about = f"{takes} takes of scenes never calibrated on; expected error {found.expected_error:.3f}"
    yield f'<text x="{LEFT}" y="35">{about}</text>'
    for tick in range(0, 11, 2):
        x, y = _at(tick / 10, tick / 10)
        yield f'<path d="M{LEFT} {y}H{LEFT + SIZE}M{x} {TOP}V{TOP + SIZE}" stroke="{PALE}" fill="none"/>'
        yield f'<text x="{LEFT - 8}" y="{y + 4}" text-anchor="end">{tick / 10:g}</text>'
        yield f'<text x="{x}" y="{TOP + SIZE + 18}" text-anchor="middle">{tick / 10:g}</text>'
    (x0, y0), (x1, y1) = _at(0, 0), _at(1, 1)
    yield f'<path d="M{x0} {y0}L{x1} {y1}" stroke="{INK}" stroke-dasharray="4 4" fill="none"/>'
    points = [_at(one.predicted, one.observed) for one in found.bins]
    line = "L".join(f"{x} {y}" for x, y in points)
    yield f'<path d="M{line}" stroke="{BLUE}" stroke-width="2" fill="none"/>'
    total = sum(one.weight for one in found.bins)
    for one, (x, y) in zip(found.bins, points, strict=True):
        radius = 3 + 14 * (one.weight / total) ** 0.5
        yield f'<circle cx="{x}" cy="{y}" r="{radius:.1f}" fill="{BLUE}" fill-opacity="0.45"/>'
        yield f'<text x="{x + radius + 3:.1f}" y="{y + 4}" font-size="10">{one.count}</text>'
    middle = LEFT + SIZE / 2
    yield f'<text x="{middle}" y="{TOP + SIZE + 42}" text-anchor="middle">score</text>'
    turned = f'transform="translate(16 {TOP + SIZE / 2}) rotate(-90)"'
    yield f'<text {turned} text-anchor="middle">kept</text>'
    yield "</svg>"


def _at(x: float, y: float) -> tuple[float, float]:
    return round(LEFT + SIZE * x, 1), round(TOP + SIZE * (1 - y), 1)
