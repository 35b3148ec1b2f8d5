"""Programs in which infinities and what is no number have a meaning."""

import contextlib
from collections.abc import Iterator

import jax


@contextlib.contextmanager
def unchecked() -> Iterator[None]:
    """Without `jax.debug_infs` and `jax.debug_nans`.

    Room for events is filled with infinite times, and a step that leaves the range of
    finite numbers is tried anew. Whether a run is finite is told by its `result`.
    """
    with jax.debug_infs(False), jax.debug_nans(False):
        yield
