"""How far a long run is, on standard error."""

import sys
from typing import Any

import jax


def report(t0: Any, t: Any, t1: Any) -> None:
    """Show the fraction of the interval that is done, from inside a compiled loop."""
    jax.debug.callback(_write, t0, t, t1)


def _write(t0: Any, t: Any, t1: Any) -> None:
    done = float((t - t0) / (t1 - t0)) if t1 > t0 else 1.0
    end = "\n" if done >= 1 else ""
    sys.stderr.write(f"\rdynsys: t = {float(t):.6g} ({done:6.1%}){end}")
    sys.stderr.flush()
