"""A run that is interrupted, in a process of its own.

`python -m tests.interrupted RUN FILE` leaves the file open, with a word in it.
"""

import gc
import os
import signal
import sys
import threading

import jax.numpy as jnp
import numpy as np

import dynsys as ds

LONG = {"t1": 1e12, "max_steps": 10**15, "times": 2}
"""A run of days."""


def bowl(x):
    return jnp.sum(x**2)


def simulate(objective=bowl, **options):
    return ds.simulate(ds.HeavyBall(objective, 0.0), [1.0, 0.5], **options)


def ensemble(objective=bowl, **options):
    return ds.simulate_ensemble(
        lambda x0: (ds.HeavyBall(objective, 0.0), x0),
        x0=np.ones((8, 2)),
        width=8,
        reduce=lambda trajectory: trajectory.final_state.x,
        **options,
    )


def interrupted_in_the_collector(run):
    """A first call, in which the interrupt arrives in a callback of the collector."""

    def interrupt(phase, info):
        gc.callbacks.remove(interrupt)
        signal.raise_signal(signal.SIGINT)

    def collecting(x):
        if not callbacks:
            callbacks.append(interrupt)
            gc.callbacks.append(interrupt)
            gc.collect()
        return jnp.sum(x**4)

    callbacks = []
    run(collecting, t1=1.0, max_steps=100, times=2)


def interrupted_after_a_while(run, **options):
    """A long run, of a program that is compiled already."""
    run(**LONG | options | {"t1": 1.0})
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
    run(**LONG | options)


RUNS = {
    "first_call": lambda: interrupted_in_the_collector(simulate),
    "first_call_of_an_ensemble": lambda: interrupted_in_the_collector(ensemble),
    "long_run": lambda: interrupted_after_a_while(simulate),
    "long_run_with_progress": lambda: interrupted_after_a_while(simulate, progress=True),
    "long_ensemble": lambda: interrupted_after_a_while(ensemble, progress=True),
}

if __name__ == "__main__":
    # What runs in the background of a shell is started with interrupts ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    opened = open(sys.argv[2], "w")  # noqa: SIM115
    opened.write("kept")
    RUNS[sys.argv[1]]()
