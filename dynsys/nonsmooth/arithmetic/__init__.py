"""Flat programs evaluated modulo primes, in floats and with derivatives."""
