"""An ensemble in a process of its own, which tells the bits of what it finds.

`python -m tests.integrators.ensemble.worker [port process processes]`
"""

import sys

import jax


def main(port=None, process=None, processes=None):
    jax.config.update("jax_enable_x64", True)
    if port is not None:
        jax.distributed.initialize(f"127.0.0.1:{port}", int(processes), int(process))
    from tests.integrators.ensemble.points import DAMPINGS, STARTS, digest, in_valley

    found = in_valley(x0=STARTS, alpha=DAMPINGS)
    streamed = in_valley(x0=STARTS, alpha=DAMPINGS, stream=True)
    members = sorted(int(i) for chunk in streamed for i in chunk.members)
    devices = len(jax.local_devices())
    for name, value in (
        ("devices", devices),
        ("members", members),
        ("bits", digest(found)),
    ):
        sys.stdout.write(f"{name}: {value}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
