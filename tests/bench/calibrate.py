"""Makes farm/score/calibration/calibration.json and docs/reliability.svg: `make calibrate`.

The calibration is fitted to the development set's split "calibrate" (see fit.py); how often takes of the split "check",
of which nothing was seen, are really undamaged by score is what the diagram shows.
"""

import argparse
import json
from pathlib import Path

import cv2
import devset
import reliability_diagram
from scorer_figures import OURS, ROOT, measured, rows, samples

from farm.score import calibration
from farm.score.calibration.fit import START, fit
from farm.score.dimensions import DIMENSIONS


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, choices=(1, 2), default=2, help="worker processes")
    parser.add_argument(
        "--diagram", action="store_true", help="only the diagram, of the calibration as it is"
    )
    asked = parser.parse_args()
    cv2.setNumThreads(1)
    entries = [entry for entry in devset.entries() if devset.available(entry)]
    if not asked.diagram:
        seen = samples([entry for entry in entries if entry.split == "calibrate"], asked.jobs)
        found = fit(seen, START, {d.name: d.worst for d in DIMENSIONS})
        write(found, len(seen))
        return  # the diagram is another call's: a calibration is read once, when the program starts
    unseen = rows(measured([entry for entry in entries if entry.split == "check"], asked.jobs))
    reliability_diagram.write(unseen, OURS, ROOT / "docs/reliability.svg")


def write(found: calibration.Calibration, takes: int) -> None:
    made = {"made_by": "make calibrate", "takes": takes, **found.as_json()}
    calibration.PATH.write_text(json.dumps(made, indent=2) + "\n")
    print(Path(calibration.PATH).read_text())


if __name__ == "__main__":
    main()
