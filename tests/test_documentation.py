"""The documentation runs, names everything public, and links to what is there."""

import ast
import importlib
import inspect
import pathlib
import re

import matplotlib.pyplot as plt
import pytest

ROOT = pathlib.Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
MODULES = [
    "dynsys",
    "systems",
    "objectives",
    "schedules",
    "plots",
    "algorithms",
    "integrators",
    "analysis",
]


def page_id(path):
    return path.relative_to(ROOT).as_posix()


def python_blocks(text):
    """The fenced Python blocks of a page, each with the number of its first line."""
    blocks, fence, start, lines = [], None, 0, []
    for number, line in enumerate(text.splitlines(), start=1):
        if fence is None and line.startswith("```"):
            fence, start, lines = line[3:].strip(), number + 1, []
        elif fence is not None and line == "```":
            if fence == "python":
                blocks.append((start, "\n".join(lines)))
            fence = None
        else:
            lines.append(line)
    assert fence is None, f"the fence before line {start} is never closed"
    return blocks


def public_names(module):
    """Names that a module defines or exports as `import name as name`."""
    names = set()
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.ImportFrom):
            names |= {alias.name for alias in node.names if alias.asname == alias.name}
    for name, value in vars(module).items():
        if getattr(value, "__module__", None) == module.__name__:
            names.add(name)
    return {name for name in names if not name.startswith("_")}


def resolve(path):
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def test_python_blocks_are_found_with_their_lines():
    text = "a\n```python\nx = 1\n```\n```sh\nls\n```\n```python\ny = 2\nz = 3\n```\n"
    assert python_blocks(text) == [(3, "x = 1"), (9, "y = 2\nz = 3")]


@pytest.mark.slow
@pytest.mark.parametrize("path", PAGES, ids=page_id)
def test_the_code_of_the_page_runs(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # Pages write files.
    namespace = {"__name__": path.stem}
    try:
        for line, code in python_blocks(path.read_text("utf-8")):
            # Blank lines in front, so that a traceback names the line of the page.
            exec(compile("\n" * (line - 1) + code, page_id(path), "exec"), namespace)
    finally:
        plt.close("all")


@pytest.mark.parametrize("name", MODULES)
def test_every_public_name_is_on_the_page_of_the_api(name):
    module = importlib.import_module(name if name == "dynsys" else f"dynsys.{name}")
    page = (ROOT / "docs" / "api.md").read_text("utf-8")
    described = [resolve(path) for path in re.findall(r"^::: (\S+)$", page, re.M)]
    names = public_names(module)
    assert names
    for public in names:
        value = getattr(module, public)
        if inspect.ismodule(value):
            assert f"`dynsys.{public}`" in page
        else:
            assert any(value is one for one in described), public


@pytest.mark.parametrize("name", ["dynsys", "systems", "objectives"])
def test_every_system_and_objective_is_explained_outside_of_the_api(name):
    module = importlib.import_module(name if name == "dynsys" else f"dynsys.{name}")
    pages = (page.read_text("utf-8") for page in PAGES if page.stem != "api")
    text = "\n".join(pages)
    for public in public_names(module):
        assert re.search(rf"`[^`\n]*\b{public}\b", text), public


def test_files_that_the_readme_links_to_exist():
    links = re.findall(r"\]\(([^)\s]+)\)", (ROOT / "README.md").read_text("utf-8"))
    files = [link.partition("#")[0] for link in links if "://" not in link]
    assert files
    assert [file for file in files if not (ROOT / file).exists()] == []
