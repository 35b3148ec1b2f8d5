"""How much room the system has left for compiled programs.

Each kernel of a program is mapped into the memory of the process, a page for its code and
some for its data. Linux allows a process 65,530 maps, unless it is set to more; past that
LLVM ends the process, and no error of Python is raised. Maps stand for memory, too: a map
of a compiled program comes with about 0.2 MB, most of it what JAX keeps of the program.
"""

from pathlib import Path

MAPS = Path("/proc/self/maps")
MOST = Path("/proc/sys/vm/max_map_count")

PART = 0.2
"""Part of the maps that are allowed from which on room is made: programs of some 3 GB.
What others keep, and the program that is being compiled, take some maps, too."""


def is_short_of_maps() -> bool:
    """Whether the process has mapped much of what it may; never where nothing is known."""
    try:
        most = int(MOST.read_text())
        with MAPS.open("rb") as lines:
            return sum(1 for _ in lines) > PART * most
    except (OSError, ValueError):
        return False
