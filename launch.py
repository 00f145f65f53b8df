"""python launch.py [verb] ...: what the command `gtzan` does, from a clone."""

import sys

from gtzan_jax.cli.main import main

if __name__ == "__main__":
  sys.exit(main())
