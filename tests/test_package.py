"""The package itself: what importing costs, and what the wheel holds."""

import pathlib
import subprocess
import sys
import zipfile

from hatchling.builders.wheel import WheelBuilder

ROOT = pathlib.Path(__file__).parent.parent


def python(code, **environment):
    """Standard output of a fresh interpreter."""
    return subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={"PATH": "", "JAX_PLATFORMS": "cpu"} | environment,
    ).stdout.strip()


def test_importing_loads_no_package_beyond_jax_and_diffrax():
    """Time is noise here; what is loaded is what costs."""
    code = """
import sys
import jax, diffrax
before = {name.partition(".")[0] for name in sys.modules}
import dynsys
loaded = {name.partition(".")[0] for name in sys.modules} - before
print(sorted(loaded - sys.stdlib_module_names))
"""
    assert python(code) == "['dynsys']"


def test_matplotlib_is_imported_when_something_is_drawn():
    code = """
import sys
import dynsys
print("matplotlib" in sys.modules)
dynsys.plots
print("matplotlib" in sys.modules)
"""
    assert python(code).split() == ["False", "True"]


def test_optax_is_imported_when_an_algorithm_is_used():
    code = """
import sys
import dynsys
print("optax" in sys.modules)
dynsys.inna
print("optax" in sys.modules, dynsys.inna is dynsys.algorithms.inna)
"""
    assert python(code).split() == ["False", "True", "True"]


def test_unknown_attribute_is_an_attribute_error():
    code = """
import dynsys
try:
    dynsys.nothing
except AttributeError as error:
    print(error)
"""
    assert python(code) == "module 'dynsys' has no attribute 'nothing'"


def test_import_switches_to_64_bit_unless_told_otherwise():
    code = "import dynsys, jax.numpy as jnp; print(jnp.zeros(()).dtype)"
    assert python(code) == "float64"
    assert python(code, JAX_ENABLE_X64="0", PYTHONWARNINGS="error") == "float32"
    assert python(code, JAX_ENABLE_X64="1") == "float64"


def test_wheel_holds_the_package_and_its_licence_only(tmp_path):
    builder = WheelBuilder(str(ROOT))
    (wheel,) = builder.build(directory=str(tmp_path), versions=["standard"])
    names = zipfile.ZipFile(wheel).namelist()
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "dynsys").rglob("*.py")}
    modules.add("dynsys/py.typed")
    packaged = {name for name in names if name.startswith("dynsys/")}
    assert packaged == modules
    rest = {name for name in names if name not in packaged}
    assert all(".dist-info/" in name for name in rest)
    assert any(name.endswith("licenses/LICENSE") for name in rest)
