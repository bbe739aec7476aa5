"""Offloading between the CPU and the CPU, by the hooks that offload a GPU: all of it but the way there."""

from typing import Any

import accelerate
import torch

from farm.render.hosting import unhookable


def offloaded(one: Any, way: str) -> Any:
    """A loaded backend, offloaded as `way` says; sequential: weights are nowhere but while their module runs."""
    pipe, whole = one._pipe, [*one._away, *unhookable(one._pipe)]
    if way == "model":
        pipe.enable_model_cpu_offload(device="cpu")
    elif way == "group":
        pipe.enable_group_offload(torch.device("cpu"), offload_type="leaf_level", exclude_modules=whole)
    else:
        # What the pipeline's own method does for each part; but it says "cpu:0", which is another device than "cpu".
        for name, part in pipe.components.items():
            if isinstance(part, torch.nn.Module) and name not in whole:
                accelerate.cpu_offload(part, torch.device("cpu"), offload_buffers=len(part._parameters) > 0)
    return one


def copied(one: Any) -> Any:
    """A loaded backend with its weights copied, as they are when a device is left.

    In a mapped file they lie wherever the file has them; a copy is aligned, which changes last bits on a CPU.
    """
    for part in one._pipe.components.values():
        if isinstance(part, torch.nn.Module):
            for parameter in part.parameters():
                parameter.data = parameter.data.clone()
    return one
