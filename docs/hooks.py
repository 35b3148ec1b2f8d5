"""Hooks of mkdocs: the figures of the repository become part of the site."""

from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

FIGURES = Path(__file__).parent.parent / "figures"


def on_files(files: Files, config: Any) -> Files:
    """Add `figures/*.png`, as `figures/` of the site.

    Args:
        files: The files of the site.
        config: The configuration of mkdocs.
    """
    for figure in sorted(FIGURES.glob("*.png")):
        files.append(
            File.generated(config, f"figures/{figure.name}", abs_src_path=str(figure))
        )
    return files
