"""What this machine has to hold a model in, and what a family would need of it.

Invariant: asking loads no torch where there is an answer without it; what is said of a family rests on its row's
estimate of weights, and on nothing that was measured.
"""

import os
import resource
import shutil
import subprocess
import sys
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from farm.render.family import Family

_GIB = 2**30
# Of a GPU's memory, what weights may fill; the rest is for activations and for what CUDA keeps. Not measured.
_FOR_WEIGHTS = 0.8
_ANSWER_S = 20


@dataclass(frozen=True, slots=True)
class Machine:
    """`gpus` are (name, bytes of memory) each; `ram_bytes` is the machine's own memory."""

    gpus: tuple[tuple[str, int], ...]
    ram_bytes: int


def this_machine() -> Machine:
    ram_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if shutil.which("nvidia-smi"):
        return Machine(_nvidia(), ram_bytes)
    # AMD's GPUs are called cuda by torch, and have no small program that is there for certain.
    return Machine(_by_torch() if Path("/dev/kfd").exists() else (), ram_bytes)


def verdict(family: Family, machine: Machine) -> str:
    """What a machine can do with a family, in a few words."""
    if family.pipeline is None:
        return "runs"
    weights_gib = family.weights_gib
    if weights_gib is None:
        return "unknown: no estimate of its weights"
    if not machine.gpus:
        # float32 on a CPU is twice what is estimated in bfloat16.
        lacking_gib = 2 * weights_gib - machine.ram_bytes / _GIB
        return (
            f"no GPU; on the CPU it needs {ceil(lacking_gib)} GiB more"
            if lacking_gib > 0
            else "no GPU: slow, on the CPU"
        )
    room_gib = max(memory for _, memory in machine.gpus) * _FOR_WEIGHTS / _GIB
    if weights_gib <= room_gib:
        return "fits"
    largest_gib = _largest_part_gib(family)
    return (
        "fits with offload" if largest_gib <= room_gib else f"needs {ceil(largest_gib - room_gib)} GiB more"
    )


def peak_bytes(accelerator: str) -> int:
    """The most memory that was in use so far: of the GPU by this process, on a CPU of the process."""
    if accelerator != "CPU":
        import torch

        return int(torch.cuda.max_memory_allocated())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _largest_part_gib(family: Family) -> float:
    """What must be on the GPU at once when parts take turns; the two experts of a pair do."""
    encoder_gib = family.encoder_gib or 0.0
    experts = 2 if ("transformer_2", True) in family.marks else 1
    return max(((family.weights_gib or 0.0) - encoder_gib) / experts, encoder_gib)


def _nvidia() -> tuple[tuple[str, int], ...]:
    command = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=_ANSWER_S, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ()  # the program is there, a driver that answers is not
    rows = (line.rpartition(",") for line in told.splitlines())
    return tuple((name.strip(), int(mib) * 2**20) for name, _, mib in rows if mib.strip().isdecimal())


def _by_torch() -> tuple[tuple[str, int], ...]:
    import torch

    found = [torch.cuda.get_device_properties(number) for number in range(torch.cuda.device_count())]
    return tuple((one.name, one.total_memory) for one in found)
