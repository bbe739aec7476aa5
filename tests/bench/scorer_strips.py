"""The best and worst of the bench as filmstrips, for people who want to see whether they agree.

Invariant: a page of plain HTML and JPEG files beside it; frames are those that were scored.
"""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import cv2
import devset
import numpy as np
from numpy.typing import NDArray
from scorer_figures import OURS
from scorer_metrics import SPOILT_SPAN

SHOWN = 10  # of each list
FRAMES = 8  # of a strip, from the first to the last
WIDTH_PX = 200
_SPAN, _BAD = (40, 200, 60), (230, 40, 40)
_LISTS = (
    ("clean", "worst", "Undamaged takes with the lowest scores"),
    ("fault", "best", "Damaged takes without a clean window, with the highest scores"),
    ("hard", "worst", "Hard negatives with the lowest scores"),
    ("clean", "best", "Undamaged takes with the highest scores"),
    ("fault", "worst", "Damaged takes with the lowest scores"),
)


def write(entries: Sequence[devset.Entry], records: Sequence[dict[str, Any]], folder: Path) -> Path:
    """Lists of SHOWN takes each; returns the page."""
    folder.mkdir(parents=True, exist_ok=True)
    by_id = {entry.id: entry for entry in entries}
    body = []
    for role, end, title in _LISTS:
        some = [
            one
            for one in records
            if one["role"] == role and not (role == "fault" and one["least_bad"] <= SPOILT_SPAN)
        ]
        some.sort(key=lambda one: one[OURS], reverse=end == "best")
        body.append(f"<h2>{escape(title)}</h2>")
        for rank, one in enumerate(some[:SHOWN], start=1):
            name = f"{role}-{end}-{rank:02d}.jpg"
            picture = strip(devset.clip(by_id[one["id"]]), one["span_start"], one["span_stop"])
            cv2.imwrite(str(folder / name), picture[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])
            reasons = "; ".join(one["reasons"]) or "accepted"
            said = f"{one[OURS]:.3f} (VBench-style {one['vbench_total']:.3f}) {one['id']}: {reasons}"
            body.append(f'<p>{escape(said)}<br><img src="{name}" alt=""></p>')
    page = folder / "index.html"
    style = "body{font:14px sans-serif;margin:1em;background:#222;color:#eee}img{max-width:100%}"
    note = "Green: the span that was cut. Red: frames that were damaged on purpose."
    page.write_text(
        f'<!doctype html><meta charset="utf-8"><title>Scorer bench</title><style>{style}</style>'
        f"<p>{note}</p>" + "\n".join(body)
    )
    return page


def strip(clip: devset.Clip, start: int, stop: int) -> NDArray[np.uint8]:
    """The still, then FRAMES frames in a row; a bar over those of the span, one under those that are damaged."""
    height = round(clip.still.shape[0] * WIDTH_PX / clip.still.shape[1])
    tiles = [_tile(clip.still, height, inside=False, bad=False)]
    for i in np.linspace(0, len(clip.frames) - 1, FRAMES).astype(int):
        tiles.append(_tile(clip.frames[i], height, inside=bool(start <= i < stop), bad=bool(clip.bad[i])))
    return np.concatenate(tiles, axis=1)


def _tile(picture: NDArray[np.uint8], height: int, *, inside: bool, bad: bool) -> NDArray[np.uint8]:
    tile = np.zeros((height + 16, WIDTH_PX + 4, 3), np.uint8)
    tile[8 : height + 8, 2 : WIDTH_PX + 2] = cv2.resize(
        picture, (WIDTH_PX, height), interpolation=cv2.INTER_AREA
    )
    if inside:
        tile[:6] = _SPAN
    if bad:
        tile[-6:] = _BAD
    return tile
