"""Benchmarks: `make benchmarks` runs them all and writes `docs/benchmarks.md`."""
