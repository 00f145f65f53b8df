"""Music genre classification on GTZAN in JAX and Flax."""

__version__ = "0.2.0"
