"""Packages that only training needs, which the extra `training` brings."""

import importlib
from typing import Any


def required(module: str, package: str) -> Any:
    """A module of such a package.

    Args:
        module: Its name in Python.
        package: The package that has it.

    Raises:
        ModuleNotFoundError: It cannot be imported.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"Training needs {package}, which cannot be imported: {error}. In the clone, "
            f"`pip install '.[training]'` installs what is missing.",
            name=error.name,
        ) from error
