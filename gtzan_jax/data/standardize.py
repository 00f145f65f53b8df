"""Mean and standard deviation of the train split, by which networks scale."""

import numpy as np

from gtzan_jax.data import pipeline


def input_statistics(
  records: pipeline.Records, over: str
) -> tuple[np.ndarray, np.ndarray]:
  """Mean and standard deviation [bins] of the features of the train split.

  `over` "bin": for each bin, over examples and frames; "global": one for all,
  repeated.
  """
  count, total, squares = 0, np.zeros(()), np.zeros(())
  for batch in records.blocks():
    x = batch["features"].astype(np.float64)
    x = x.reshape(-1, x.shape[-1])
    count += len(x)
    total = total + x.sum(0)
    squares = squares + (x**2).sum(0)
  mean, second = total / count, squares / count
  if over == "global":
    mean = np.full_like(mean, mean.mean())
    second = np.full_like(second, second.mean())
  std = np.sqrt(np.maximum(second - mean**2, 0.0))
  # A constant bin (an empty mel band) is centred and not scaled.
  std = np.where(std > 1e-6, std, 1.0)
  return mean.astype(np.float32), std.astype(np.float32)
