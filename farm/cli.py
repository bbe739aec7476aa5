"""The command line: thin. Each command imports what it needs when it is called, so that help is instant.

Exit codes: 0 done; 1 done, but some shots have no usable take or some tasks failed (of a replay: it came out
different; of a verification: problems are left); 2 bad input, or another driver runs this job: nothing was rendered;
3 the farm itself failed and the same command resumes; 130 interrupted, the same command resumes.
"""

import argparse
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import NoReturn

from farm import __version__, actions
from farm.actions import BAD_INPUT, BROKEN, DONE, INTERRUPTED, SHORT
from farm.errors import BrokenFarm, FarmError, InputError, Interrupted, StoreError

__all__ = ["BAD_INPUT", "BROKEN", "DONE", "INTERRUPTED", "SHORT", "call", "main"]


def main() -> NoReturn:
    """The `farm` command."""
    sys.excepthook = _unforeseen
    sys.exit(call(sys.argv[1:]))


def call(arguments: Sequence[str]) -> int:
    """One command; its exit code. Whatever goes wrong on purpose is one line on stderr."""
    options = _parser().parse_args(arguments)
    try:
        code: int = options.command(options)
    except InputError as e:
        return _fail(e, BAD_INPUT)
    except (BrokenFarm, StoreError) as e:
        return _fail(e, BROKEN, "what is finished is safe; the same command resumes")
    except Interrupted as e:
        return _fail(e, INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output has seen enough (`farm plan | head`).
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="farm",
        description="An overnight render farm for image-to-video: a catalog of stills in, circled takes out.",
        epilog="exit codes: 0 done; 1 done, but some shots have no usable take or some tasks failed; 2 bad input, "
        "nothing was rendered; 3 the farm failed, the same command resumes; 130 interrupted, resumable",
    )
    parser.add_argument("--version", action="version", version=f"farm {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = _command(
        commands,
        "run",
        actions.run,
        "render, score, trim, store and circle a job's takes; resumes what is begun",
    )
    _job_arguments(run)
    run.add_argument(
        "--address", metavar="ADDRESS", help="a Ray cluster (default: $RAY_ADDRESS, else this machine)"
    )
    run.add_argument("--pool", choices=("ray", "inline"), default="ray",
                     help="inline: one worker in this process, without Ray; same results")  # fmt: skip

    plan = _command(commands, "plan", actions.plan, "what a job would render; renders nothing")
    _job_arguments(plan)

    _simulate_arguments(commands)

    status = _command(commands, "status", actions.status, "how a run stands, read from its output alone")
    status.add_argument("run", metavar="RUN", help="the output URL of a run")
    _replay_command(commands)
    _verify_command(commands)

    _score_arguments(commands)
    _models_arguments(commands)
    return parser


def _score_arguments(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    score = _command(
        commands,
        "score",
        actions.score,
        "judges, ranks and cuts clips of any origin like the farm's own takes",
    )
    score.add_argument("clips", metavar="CLIP", nargs="+", help="a video file, or a folder of frames")
    score.add_argument(
        "--still", metavar="IMAGE", help="the still the clips were made from (default: first frames)"
    )
    score.add_argument("--cut", metavar="DIR", type=Path, help="writes the best window of each clip here")
    score.add_argument(
        "--seconds", type=_positive, default=2.0, help="length of the best window (default: 2)"
    )
    score.add_argument(
        "--accept", type=_share, default=0.7, help="score from which a clip is accepted (default: 0.7)"
    )
    score.add_argument(
        "--fps", type=_positive, default=24.0, help="frame rate of folders of frames (default: 24)"
    )
    score.add_argument(
        "--character", metavar="IMAGE", help="a picture of whom the clips show; needs the extra faces"
    )
    score.add_argument(
        "--faces", action=argparse.BooleanOptionalAction, default="auto",
        help="compares faces (default: where the extra is installed)"
    )  # fmt: skip
    score.add_argument("--learned", metavar="DIR", type=Path, action="append", default=[],
                       help="a learned scorer that joins: a folder with a scorer.yaml; may be repeated")  # fmt: skip


def _models_arguments(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    models = _command(
        commands,
        "models",
        actions.models,
        "the models that a job can name; 'models check NAME' tries one here",
    )
    models.add_argument("action", nargs="?", choices=("check",), metavar="check",
                        help="loads one model and renders one small take of it")  # fmt: skip
    models.add_argument("name", metavar="NAME", nargs="?", help="a model's name, as in a job")
    models.add_argument("--set", metavar="KEY=VALUE", action="append", default=[],
                        help="says more of the model, such as path=DIR, family=svd or dtype=bfloat16")  # fmt: skip


def _command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, function: object, about: str
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=about, description=about[0].upper() + about[1:] + ".")
    parser.set_defaults(command=function)
    parser.add_argument("--json", action="store_true", help="machine-readable output on stdout")
    return parser


def _replay_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    replay = _command(
        commands, "replay", actions.replay, "renders a take again and compares it with the stored clip"
    )
    replay.add_argument("run", metavar="RUN", help="the output URL of a run")
    replay.add_argument("take", metavar="TAKE", help="a take's id, or its first digits: four or more")
    replay.add_argument("--clip", metavar="FILE", type=Path, help="keeps the new clip here")


def _verify_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    verify = _command(
        commands, "verify", actions.verify, "holds a run's objects against its rows, and repairs it"
    )
    verify.add_argument("run", metavar="RUN", help="the output URL of a run")
    verify.add_argument("--repair", action="store_true",
                        help="puts back what it can; farm run renders again what is lost")  # fmt: skip
    verify.add_argument("--delete-orphans", action="store_true",
                        help="a repair also deletes objects of takes that no row names")  # fmt: skip
    verify.add_argument("--decode", metavar="all|N|none", type=_how_many, default=1000,
                        help="clips that are decoded, about; all are read (default: 1000)")  # fmt: skip


def _simulate_arguments(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    simulate = _command(
        commands,
        "simulate",
        actions.simulate,
        "plays whole nights of a job in virtual time: when, what, how dear",
    )
    _job_arguments(simulate)
    simulate.add_argument("--nights", type=_nights, default=10, help="how many to play (default: 10)")
    simulate.add_argument("--seed", type=int, default=0, help="of the first night (default: 0)")
    simulate.add_argument("--workers", type=int, metavar="N", help="the same as --set workers.max=N")
    simulate.add_argument("--world", metavar="KEY=VALUE", action="append", default=[],
                          help="what the fleet is like, such as take_s=45, crashes_h=0.1, waves_h=0.5")  # fmt: skip


def _nights(text: str) -> int:
    return int(_number(text, 1, 10_000))


def _job_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("job", metavar="JOB", type=Path, help="a job file (YAML)")
    parser.add_argument("--set", metavar="KEY=VALUE", action="append", default=[],
                        help="sets any value of the job, such as takes.max=6; may be repeated")  # fmt: skip


def _positive(text: str) -> float:
    return _number(text, 1e-3, 1000)


def _share(text: str) -> float:
    return _number(text, 0, 1)


def _how_many(text: str) -> int | None:
    """A count, None for all."""
    if text in ("all", "none"):
        return None if text == "all" else 0
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r}: expected all, none or a whole number")
    return int(text)


def _number(text: str, low: float, high: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a number from {low:g} to {high:g}")
    return value


def _fail(error: FarmError, code: int, advice: str = "") -> int:
    line = " ".join(str(error).split())
    print(f"farm: {line}" + (f" ({advice})" if advice else ""), file=sys.stderr)
    return code


def _unforeseen(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """What no one foresaw is shown whole; its exit code says that the farm failed, not that shots were weak."""
    interrupted = issubclass(kind, KeyboardInterrupt)
    if not interrupted:
        traceback.print_exception(kind, error, trace)
    what = "interrupted" if interrupted else "a fault of the farm itself"
    print(f"farm: {what} (what is finished is safe; the same command resumes)", file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(INTERRUPTED if interrupted else BROKEN)
