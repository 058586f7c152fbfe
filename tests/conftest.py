"""What all tests share: the `gpu` marker and the hypothesis profiles."""

import os

import pytest
from hypothesis import HealthCheck, settings

# No deadline and no complaint about slow first examples: those compile kernels.
settings.register_profile("dev", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("dev"), derandomize=True, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if "CI" in os.environ else "dev"))


def why_no_gpu() -> str | None:
    """Why tests marked `gpu` cannot run here, or None where they can."""
    from numba import config, cuda  # not at the top: it would cost every run 0.6 s

    if config.ENABLE_CUDASIM:
        return "needs a CUDA GPU: this run simulates it (NUMBA_ENABLE_CUDASIM)"
    if not cuda.is_available():
        error = (cuda.cuda_error() or "NVVM, CUDA's compiler, is missing").split("\n")
        return f"needs a CUDA GPU: {' '.join(error).strip()}"
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    on_gpu = [item for item in items if item.get_closest_marker("gpu")]
    reason = why_no_gpu() if on_gpu else None
    for item in on_gpu if reason else []:
        item.add_marker(pytest.mark.skip(reason=reason))
