"""The command line that every figure script has."""

import argparse
import multiprocessing
import pathlib
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed

Main = Callable[..., None]

AT_ONCE = 2
"""Figures that are made at once: most of the time each compiles, on one core."""


def run(**mains: Main) -> None:
    """Make figures as the command line asks, and say how long each took.

    Args:
        **mains: The `main` of each script, by its name.
    """
    parser = argparse.ArgumentParser(description=f"Make {', '.join(mains)}.")
    parser.add_argument(
        "--output", type=pathlib.Path, default=pathlib.Path("figures"), help="folder"
    )
    parser.add_argument(
        "--quick", action="store_true", help="fewer points, for a check that it runs"
    )
    arguments = parser.parse_args()
    output, quick = arguments.output, arguments.quick
    if len(mains) == 1:
        ((name, main),) = mains.items()
        print(_made(name, main, output, quick))
        return
    context = multiprocessing.get_context("spawn")  # JAX does not survive a fork.
    with ProcessPoolExecutor(AT_ONCE, context) as pool:
        making = [pool.submit(_made, *one, output, quick) for one in mains.items()]
        for made in as_completed(making):
            print(made.result(), flush=True)


def _made(name: str, main: Main, output: pathlib.Path, quick: bool) -> str:
    """Make a figure, and say how long it took."""
    start = time.perf_counter()
    main(output, quick=quick)
    seconds = time.perf_counter() - start
    return f"{output / name}.pdf, .png: {seconds:.1f} s"
