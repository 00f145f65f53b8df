"""Two LSTM layers forward and backward: this project and `flax.linen.RNN`.

  python benchmarks/recurrent.py [--rounds=15] [--cell=gru]

Batch 32 of 259 x 128, two layers of 128, the gradient of a mean square with
respect to parameters and input. Prints one JSON line: the medians in ms, taken
in turns so that a busy machine slows both; `ratio` is Linen's over ours.
"""

import argparse
import json
import statistics
import time

import jax
import jax.numpy as jnp
from flax import linen as nn

from gtzan_jax.models.scan_rnn import ScanGRU, ScanLSTM

BATCH, FRAMES, BINS, HIDDEN = 32, 259, 128, 128
OURS = {"lstm": ScanLSTM, "gru": ScanGRU}
LINEN = {"lstm": nn.OptimizedLSTMCell, "gru": nn.GRUCell}


def prepare(layers: list[nn.Module], x: jax.Array):
  """A compiled function without arguments that runs both passes once."""
  model = nn.Sequential(layers)
  params = jax.jit(model.init)(jax.random.key(1), x)

  def loss(params, x):
    return jnp.mean(jnp.square(model.apply(params, x)))

  both = jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))
  compiled = both.lower(params, x).compile()
  return lambda: jax.block_until_ready(compiled(params, x))


def measure(cell: str, rounds: int) -> dict:
  x = jax.random.normal(jax.random.key(0), (BATCH, FRAMES, BINS))
  sides = {
    "ours": prepare([OURS[cell](HIDDEN) for _ in range(2)], x),
    "linen": prepare([nn.RNN(LINEN[cell](HIDDEN)) for _ in range(2)], x),
  }
  times: dict[str, list[float]] = {side: [] for side in sides}
  for run in sides.values():
    run()
  for _ in range(rounds):
    for side, run in sides.items():
      start = time.perf_counter()
      run()
      times[side].append(1e3 * (time.perf_counter() - start))
  medians = {side: statistics.median(times[side]) for side in sides}
  return {
    "benchmark": "recurrent",
    "cell": cell,
    "ours_ms": round(medians["ours"], 1),
    "linen_ms": round(medians["linen"], 1),
    "ratio": round(medians["linen"] / medians["ours"], 2),
    "rounds": rounds,
    "device": jax.default_backend(),
    "jax": jax.__version__,
  }


if __name__ == "__main__":
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--cell", choices=sorted(OURS), default="lstm")
  parser.add_argument("--rounds", type=int, default=15)
  given = parser.parse_args()
  print(json.dumps(measure(given.cell, given.rounds)))
