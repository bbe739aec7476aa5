"""How long `farm plan` takes and how much memory it needs, against the size of the grid.

    python tests/bench/bench_plan.py

Each row is a process of its own: a CSV catalog of so many stills, 25 motions, 4 takes. Ratios are against the
smallest grid, so that what grows with the count shows.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

MOTIONS, TAKES = 25, 4
STILLS = (1, 1_000, 10_000, 100_000, 1_000_000)


def main() -> None:
    print(f"{'stills':>10} {'tasks':>12} {'wall s':>8} {'ratio':>6} {'peak MB':>8} {'ratio':>6}")
    first: tuple[float, float] | None = None
    for stills in STILLS:
        wall_s, peak_mb = measure(stills)
        first = first or (wall_s, peak_mb)
        print(
            f"{stills:>10,} {stills * MOTIONS * TAKES:>12,} {wall_s:>8.2f} {wall_s / first[0]:>6.2f} "
            f"{peak_mb:>8.0f} {peak_mb / first[1]:>6.2f}"
        )


def measure(stills: int) -> tuple[float, float]:
    """(wall seconds, peak MB) of one `farm plan`."""
    with tempfile.TemporaryDirectory() as folder:
        catalog = Path(folder) / "catalog.csv"
        with catalog.open("w") as file:
            file.write("id,image,sku\n")
            file.writelines(f"still-{number},images/{number}.jpg,S{number}\n" for number in range(stills))
        job = Path(folder) / "job.yaml"
        motions = "".join(f"  - {{id: m{number}, prompt: motion {number}}}\n" for number in range(MOTIONS))
        job.write_text(
            f"stills: {catalog}\nmotions:\n{motions}models: [previz]\ntakes: {{min: {TAKES}, max: {TAKES}}}\n"
            f"output: {folder}/run\n"
        )
        code = (
            "import sys, resource; from farm.cli import call; code = call(['plan', sys.argv[1]]); "
            "print('PEAK', resource.getrusage(resource.RUSAGE_SELF).ru_maxrss); sys.exit(code)"
        )
        began = time.perf_counter()
        told = subprocess.run(
            [sys.executable, "-c", code, str(job)], capture_output=True, text=True, check=True
        )
        wall_s = time.perf_counter() - began
    peak_kb = int(told.stdout.rsplit("PEAK", 1)[1])
    scale = 1024 if sys.platform != "darwin" else 1024 * 1024  # ru_maxrss: kilobytes on Linux, bytes on macOS
    return wall_s, peak_kb / scale


if __name__ == "__main__":
    main()
