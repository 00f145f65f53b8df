"""Warnings for input that differs from what a model was trained on."""

from collections.abc import Mapping

import numpy as np

from gtzan_jax.audio import mono_waveform

FACTOR_2 = 20 * np.log10(2)  # in dB


def out_of_range(level: mono_waveform.Level, run: Mapping) -> list[str]:
  """Warnings for a length or level far outside the training range.

  Far is a factor of two beyond the shortest and longest, the quietest and
  loudest training track.
  """
  warnings = []
  known, outside = run.get("train_range") or {}, "is outside the training range"
  if limits := known.get("seconds"):
    low, high = limits
    if not low / 2 <= level.seconds <= 2 * high:
      warnings.append(
        f"duration {level.seconds:,.1f} s {outside} of {low:,.1f} to"
        f" {high:,.1f} s"
      )
  if (limits := known.get("level")) and level.decibels is not None:
    low, high = limits
    if not low - FACTOR_2 <= level.decibels <= high + FACTOR_2:
      warnings.append(
        f"level {level.decibels:.0f} dBFS {outside} of {low:.0f} to"
        f" {high:.0f} dBFS"
      )
  return warnings


def for_all(run: Mapping) -> list[str]:
  """Warnings that apply to all predictions of a run."""
  if run["data_path"]:
    return []
  return [
    "this model was trained on the synthetic corpus; its predictions for real"
    " music are meaningless"
  ]
