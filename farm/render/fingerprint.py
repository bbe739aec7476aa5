"""What may change a pixel without changing the task: versions, the machine, and how a pipeline was held.

Invariant: text values only, each read from what is really installed and loaded.
"""

from collections.abc import Mapping
from typing import Any

import diffusers
import torch
import transformers
from torch import nn

from farm.render.machine import driver


def software() -> dict[str, str]:
    return {
        "diffusers": diffusers.__version__,
        "transformers": transformers.__version__,
        "torch": torch.__version__,
        "cuda": str(torch.version.cuda),
    }


def hardware(device: str, accelerator: str) -> dict[str, str]:
    """The GPU with its capability and driver, or how the CPU computes."""
    told = {"device": accelerator, "threads": str(torch.get_num_threads())}
    if device == "cpu":
        return told | {"cpu_capability": torch.backends.cpu.get_cpu_capability()}
    major, minor = torch.cuda.get_device_capability()
    found = driver()
    return told | {
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),  # random numbers and sizes are made there
        "compute_capability": f"{major}.{minor}",
        **({"driver": found} if found else {}),
    }


def dtypes(components: Mapping[str, Any]) -> str:
    """The dtype of a pipeline's modules: one word where they agree, else one for each."""
    each = {name: _dtype(one) for name, one in components.items() if isinstance(one, nn.Module)}
    if len(set(each.values())) == 1:
        return next(iter(each.values()))
    return " ".join(f"{name}={dtype}" for name, dtype in sorted(each.items()))


def _dtype(module: nn.Module) -> str:
    own = getattr(module, "dtype", None)
    dtype = own if isinstance(own, torch.dtype) else next((p.dtype for p in module.parameters()), None)
    return str(dtype).removeprefix("torch.")
