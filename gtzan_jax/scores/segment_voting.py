"""From segments to tracks: whose rows they are, and the majority's shares."""

import numpy as np

_TIE = 1e-3  # share of a track's votes that breaks a tie


def tracks(track: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """First row of each track ([T], ascending) and each row's track ([N])."""
  _, first, group = np.unique(track, return_index=True, return_inverse=True)
  order = np.argsort(first)
  return first[order], np.argsort(order)[group]


def shares(votes: np.ndarray, mean: np.ndarray) -> np.ndarray:
  """Votes [T, C] as shares [T, C], ties broken by the mean [T, C]."""
  leading = votes == votes.max(axis=1, keepdims=True)
  tied = leading.sum(axis=1) > 1
  winner = np.where(leading, np.nan_to_num(mean), -1.0).argmax(axis=1)
  votes = votes.copy()
  cast = votes[tied].sum(axis=1)
  votes[tied, winner[tied]] += np.where(cast > 0, _TIE * cast, np.nan)
  return votes / votes.sum(axis=1, keepdims=True)
