"""The command line that every figure script has."""

import argparse
import pathlib
import time
from collections.abc import Callable

Main = Callable[..., None]


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
    for name, main in mains.items():
        start = time.perf_counter()
        main(arguments.output, quick=arguments.quick)
        seconds = time.perf_counter() - start
        print(f"{arguments.output / name}.pdf, .png: {seconds:.1f} s")
