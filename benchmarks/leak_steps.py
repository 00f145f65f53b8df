"""Several leakage meters side by side: writes steps.md and steps.png.

python benchmarks/leak_steps.py results/leak
"""

import argparse

from gtzan_jax.errors import InputError
from gtzan_jax.studies.leak import holdout_steps


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("folder")
  try:
    print(holdout_steps.write(parser.parse_args().folder))
  except InputError as error:
    parser.error(str(error))


if __name__ == "__main__":
  main()
