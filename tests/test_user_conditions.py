"""Runs with the flags of the compiler that users have, against what is known of them."""

import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest

from dynsys.kernel_outcome import ONE_KERNEL
from tests import oracles, user_conditions
from tests.integrators.test_inclusion_talk import GOLDEN
from tests.user_conditions import DATA, HESSIAN, OFFSETS, STARTS, TARGET, TIMES, WEIGHT

pytestmark = pytest.mark.slow

OURS = ("XLA_FLAGS", "JAX_NUMPY_RANK_PROMOTION", "JAX_NUMPY_DTYPE_PROMOTION")
"""Variables that a user does not set."""


@pytest.fixture(scope="module")
def told():
    """What each run came to, by its name."""
    found = subprocess.run(
        [sys.executable, "-m", user_conditions.__name__],
        env={name: value for name, value in os.environ.items() if name not in OURS},
        stdout=subprocess.PIPE,
        text=True,
        timeout=900,
        check=True,
    )
    lines = re.findall(r"^(\w+): (.*)$", found.stdout, re.MULTILINE)
    return {name: json.loads(value) for name, value in lines}


def damped(start):
    """The path of DIN on the quadratic, alpha = 1, beta = 0.1, from rest."""
    matrix = oracles.second_order_matrix(1.0, 1.0, 0.1, 1.0, HESSIAN)
    return oracles.linear(matrix, np.concatenate([start, np.zeros(2)]), TIMES)[:, :2]


def shrunk(x, by):
    """The minimiser of half the squared distance to x, plus `by` times the 1-norm."""
    return np.sign(x) * np.maximum(np.abs(x) - by, 0.0)


def test_a_smooth_run_is_the_matrix_exponential(told):
    np.testing.assert_allclose(told["smooth"]["x"], damped(STARTS[0]), atol=1e-7)


def test_the_inclusion_of_the_talk_has_its_golden_values(told):
    np.testing.assert_allclose(told["inclusion"]["x"], list(GOLDEN.values()), atol=1e-8)


def test_an_ensemble_is_made_of_matrix_exponentials(told):
    exact = [damped(start) for start in STARTS]
    np.testing.assert_allclose(told["smooth_ensemble"]["x"], exact, atol=1e-7)


def test_an_ensemble_with_kinks_ends_in_the_minimisers(told):
    found = told["kinked_ensemble"]["x"]
    np.testing.assert_allclose(found, shrunk(OFFSETS, 1.0), atol=1e-6)


def test_the_lasso_ends_in_its_minimiser(told):
    # The columns of the data are orthonormal.
    exact = shrunk(DATA.T @ TARGET, WEIGHT)
    assert 0 < np.sum(exact == 0) < len(exact)
    np.testing.assert_allclose(told["shrinkage"]["x"], exact, atol=1e-6)


def test_each_loop_is_one_kernel(told):
    loops = {name: what["loop"] for name, what in told.items() if name != "heeded"}
    assert "many for fewer than 131,072 members" in loops.pop("kinked_ensemble")
    assert set(loops.values()) == {ONE_KERNEL}
    assert told["heeded"]
