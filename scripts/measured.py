"""The numbers of a caption, written next to its figure for the page of the figures."""

import pathlib
from collections.abc import Iterable


def write_measured(output: pathlib.Path, name: str, text: str) -> None:
    """Write what a figure shows in numbers to `output/name.md`.

    Args:
        output: The folder of the figure.
        name: Its name.
        text: Sentences with the numbers, in Markdown.
    """
    (output / f"{name}.md").write_text(f"Measured: {text}\n")


def power(number: float, digits: int = 2) -> str:
    r"""A number as $a\cdot10^b$ for Markdown, without dollars."""
    mantissa, exponent = f"{number:.{digits - 1}e}".split("e")
    return rf"{mantissa}\cdot10^{{{int(exponent)}}}"


def listed(values: Iterable[str]) -> str:
    """Words with commas and an `and` before the last."""
    *first, last = values
    return f"{', '.join(first)} and {last}" if first else last
