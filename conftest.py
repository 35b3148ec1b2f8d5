"""Settings that every test runs under: 64 bit, and nothing promoted silently."""

import ctypes
import gc
import os
import pathlib

os.environ.setdefault("MPLBACKEND", "Agg")
# Programs in tests run for milliseconds; what they cost is their compilation.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true "
    "--xla_cpu_parallel_codegen_split_count=1 --xla_cpu_use_fusion_emitters=false",
)

import jax
import pytest

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")


MEMORY = pathlib.Path("/proc/self/statm")
PROGRAMS = 250_000
"""Pages of memory, 1 GB, with which a process forgets its programs."""


def pytest_runtest_logfinish():
    """Tests compile more than there is memory for, and glibc keeps what was freed."""
    if MEMORY.exists() and int(MEMORY.read_text().split()[1]) > PROGRAMS:
        jax.clear_caches()
        gc.collect()
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def pytest_collection_modifyitems(items):
    """The examples of the docstrings are slow: each is a program of its own."""
    for item in items:
        if isinstance(item, pytest.DoctestItem):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True, scope="module")
def forget_compiled_programs():
    """Each program holds hundreds of memory maps, of which a process may have 65,530."""
    yield
    jax.clear_caches()
