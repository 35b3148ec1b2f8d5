"""What of a long list of cases runs in `make test`."""

from collections.abc import Iterable
from typing import Any

import pytest


def one_in(number: int, cases: Iterable[Any]) -> list[Any]:
    """The cases, of which all but each so many-th are slow."""
    slow = lambda case: pytest.param(case, marks=pytest.mark.slow)
    return [case if i % number == 0 else slow(case) for i, case in enumerate(cases)]
