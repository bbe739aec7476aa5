"""Tests of this folder run where torch sees a CUDA device and are skipped, with that reason, anywhere else, CI too.

They promise equality between takes of one device: what another GPU, or a CPU, would make of a task is not asked.
"""

from pathlib import Path

import pytest
import torch

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker("gpu")
            if not torch.cuda.is_available():
                item.add_marker(pytest.mark.skip(reason="torch sees no CUDA device here"))
