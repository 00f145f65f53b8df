"""Pictures and audio of generated examples, beside real ones.

Pictures show generated features, or the log-mel of a generated waveform. Audio
is the waveform, or Griffin-Lim's of a log-mel.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from gtzan_jax import features
from gtzan_jax.audio import mono_waveform
from gtzan_jax.features import FeatureSpec, griffin_lim
from gtzan_jax.features.image import COLOUR_MAP
from gtzan_jax.gan import sampling
from gtzan_jax.reports import plot_style

MOST = 20  # genres shown, the first
_DEVIATIONS = 3.0  # shown of features that are not in dB


class Gallery(NamedTuple):
  """A PNG from `grid`, and WAV files by genre where audio can be made."""

  picture: bytes
  sounds: Mapping[str, Sequence[bytes]]


def build(
  generator,
  train,
  seed: int,
  *,
  first: int = 0,
  pictures: int = 5,
  wavs: int = 2,
) -> Gallery:
  """Pictures and audio of a trained GAN, for the first MOST genres.

  From example number `first` of each genre, `pictures` real and generated ones
  are drawn; `wavs` of these become audio, if finite.
  """
  genres = generator.run["genres"][:MOST]
  label = np.repeat(np.arange(len(genres), dtype=np.int32), pictures)
  generated = sampling.join(generator.examples(label, seed, first))
  train_label = train.labels()
  spec, rate = generator.spec, generator.run["columns_per_frame"]
  rows, sounds = [], {}
  for i, genre in enumerate(genres):
    real = train.take(_spread(np.flatnonzero(train_label == i), pictures))
    made = {key: value[label == i] for key, value in generated.items()}
    rows.append([_frames(x, generator.source, spec) for x in (real, made)])
    if files := _wavs(made, spec, rate, wavs):
      sounds[genre] = files
  figure = grid(
    *zip(*rows, strict=True),
    genres,
    decibels=generator.source == "audio" or spec.parts == ("logmel",),
  )
  return Gallery(plot_style.png(figure), sounds)


@plot_style.style()
def grid(
  real: Sequence[np.ndarray],
  generated: Sequence[np.ndarray],
  genres: Sequence[str],
  *,
  decibels: bool,
) -> Figure:
  """One row a genre: real examples `[n, frames, bins]` left, generated right.

  Time goes right, bins upwards. The scale is that of the real examples: 80 dB
  below their maximum (`decibels`), or deviations from each bin's mean. NaN is
  grey; n may be 0.
  """
  frames = np.concatenate([x.reshape(-1, x.shape[-1]) for x in real])
  if decibels:
    high, unit, colours = float(frames.max()), "dB", COLOUR_MAP
    low, mean, deviation = high - FeatureSpec.top_db, 0.0, 1.0
  else:
    high, unit, colours = _DEVIATIONS, "deviations", "RdBu_r"
    low, mean, deviation = -high, frames.mean(axis=0), frames.std(axis=0)
    deviation = np.where(deviation > 0, deviation, 1)
  missing = plot_style.PALETTE["grid"]
  colours = matplotlib.colormaps[colours].with_extremes(bad=missing)
  left, right = (max(1, *map(len, some)) for some in (real, generated))
  figure = plot_style.new_figure(1.6 + left + right, 0.9 + 0.68 * len(genres))
  figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02)
  axes = figure.subplots(
    len(genres),
    left + 1 + right,
    squeeze=False,
    gridspec_kw={"width_ratios": [1] * left + [0.12] + [1] * right},
  )
  for cell in axes.flat:
    cell.set_axis_off()
  for column, title, examples in (
    (0, "Real, of the train split", real),
    (left + 1, "Generated", generated),
  ):
    axes[0, column].set_title(title, pad=8)
    for row, pictures in zip(axes, examples, strict=True):
      for cell, picture in zip(row[column:], pictures, strict=False):
        drawn = cell.imshow(
          ((picture - mean) / deviation).T,
          cmap=colours,
          vmin=low,
          vmax=high,
          origin="lower",
          aspect="auto",
          interpolation="none",
        )
  for cell, genre in zip(axes[:, 0], genres, strict=True):
    cell.text(
      -0.08,
      0.5,
      genre if len(genre) <= 16 else f"{genre[:15]}…",
      transform=cell.transAxes,
      ha="right",
      va="center",
    )
  bar = figure.colorbar(drawn, ax=axes, aspect=40, pad=0.01, fraction=0.02)
  bar.solids.set_rasterized(True)
  bar.outline.set_visible(False)
  bar.set_label(unit)
  return figure


def _spread(places: np.ndarray, count: int) -> np.ndarray:
  """At most so many, evenly spread: neighbours are of one track."""
  count = min(count, len(places))
  return places[np.linspace(0, len(places), count, endpoint=False).astype(int)]


def _wavs(
  examples: Mapping,
  spec: FeatureSpec,
  columns_per_frame: float | None,
  count: int,
) -> list[bytes]:
  """WAV files of the first so many; none where no audio can be made."""
  if "audio" in examples:
    samples = examples["audio"][:count]
  elif spec.parts == ("logmel",):
    samples = [
      griffin_lim.from_logmel(db, spec, columns_per_frame)
      for db in examples["features"][:count]
      if np.isfinite(db).all()
    ]
  else:
    samples = []
  return [griffin_lim.wav(x, spec.sample_rate) for x in samples]


def _frames(examples: Mapping, source: str, spec: FeatureSpec) -> np.ndarray:
  """`[n, frames, bins]`."""
  if source == "audio":
    logmel = FeatureSpec("gallery", sample_rate=spec.sample_rate)
    samples = mono_waveform.to_float(examples["audio"])
    return np.asarray(features.extract(samples, logmel))
  values = examples["features"]
  if values.ndim == 2:  # a row is one frame
    return values[:, None]
  if values.ndim == 4:  # a picture's brightness, its first row on top
    return values.mean(axis=3)[:, ::-1].swapaxes(1, 2)
  return values
