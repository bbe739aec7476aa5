"""Is our scorer better than VBench-style metrics at spotting bad takes? `python tests/bench/bench_scorer.py [--quick]`.

Measures the development set (devset.py) with both and prints the figures beside their targets. What was measured is
kept under build/bench-scorer, so that a second call measures only what its sources' changes concern.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import cv2
import devset
import scorer_report
import scorer_strips
import scorer_tables
import vbench_style
from bench_score import FPS, a_still, push_in_with_sway
from cpu import cpu_s
from scorer_figures import ACCEPT, SPAN_S, known, measured, rows

from farm.clips import BOUNDS, judge
from farm.score.score import StillReferenceScorer
from farm.trim.encode import encode_clip
from farm.trim.footage import decode


def main() -> None:
    asked = _arguments()
    cv2.setNumThreads(1)
    wanted = [
        entry
        for entry in devset.entries(quick=asked.quick)
        if asked.grep in entry.id and asked.split in (None, entry.split)
    ]
    entries = [entry for entry in wanted if devset.available(entry)]
    if asked.measured:
        entries = known(entries)
    elif len(entries) < len(wanted):
        lost = sorted({entry.content for entry in wanted} - {entry.content for entry in entries})
        print(
            f"{len(entries)} of {len(wanted)} entries: {', '.join(lost)} could not be fetched",
            file=sys.stderr,
        )
    if not entries:
        raise SystemExit(
            f"--grep {asked.grep!r} --split {asked.split}: no entry of the development set is left"
        )
    records = measured(entries, asked.jobs)
    found = scorer_report.as_json(rows(records), records, {} if asked.no_cpu else _cpu())
    print(scorer_tables.as_text(found))
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=1))
    if asked.strips:
        print(scorer_strips.write(entries, records, asked.strips))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="the small development set")
    parser.add_argument("--jobs", type=int, choices=(1, 2), default=2, help="worker processes")
    parser.add_argument("--grep", default="", help="only entries whose id has this in it")
    parser.add_argument("--split", choices=("calibrate", "check"), help="only entries of this split")
    parser.add_argument("--measured", action="store_true", help="only entries that are measured already")
    parser.add_argument("--no-cpu", action="store_true", help="leave out the timing of a 720p clip")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    parser.add_argument(
        "--strips", type=Path, help="write the best and worst takes to this folder, as filmstrips"
    )
    return parser.parse_args()


def _cpu(repeats: int = 3) -> dict[str, float]:
    """CPU seconds for a 4 s 720p clip in a file: ours from file to judgement, and VBench's dimensions likewise."""
    with tempfile.TemporaryDirectory() as folder:
        clip, still_file = Path(folder) / "clip.mp4", Path(folder) / "still.png"
        still = a_still()
        encode_clip(push_in_with_sway(still), FPS, clip, {})
        cv2.imwrite(str(still_file), still[:, :, ::-1])
        scorer = StillReferenceScorer()

        def ours() -> object:
            return judge(
                [str(clip)], scorer, still=str(still_file), seconds=SPAN_S, accept=ACCEPT, frame_rate=FPS
            )

        def theirs() -> object:
            frames, fps = decode(clip, bounds=BOUNDS)
            return vbench_style.total(vbench_style.dimensions(frames, fps, still))

        return {"ours": cpu_s(ours, repeats), "VBench-style": cpu_s(theirs, repeats)}


if __name__ == "__main__":
    main()
