"""INNA near a critical point: linear stability and gradient noise."""
