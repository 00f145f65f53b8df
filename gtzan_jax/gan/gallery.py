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
from gtzan_jax.audio import waveform
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
  generator, train, seed: int, *, first: int = 0, shown: int = 5, heard: int = 2
) -> Gallery:
  """Pictures and audio of a trained GAN, for the first MOST genres.

  From example number `first` of each genre, `shown` real and generated ones are
  drawn; `heard` of these become audio, if finite.
  """
  genres = generator.run["genres"][:MOST]
  label = np.repeat(np.arange(len(genres), dtype=np.int32), shown)
  made = sampling.join(list(generator.examples(label, seed, first)))
  of = train.labels()
  real = [
    train.take(_spread(np.flatnonzero(of == i), shown))
    for i in range(len(genres))
  ]
  made = [
    {key: value[label == i] for key, value in made.items()}
    for i in range(len(genres))
  ]
  source, spec = generator.source, generator.spec
  rate = generator.run["columns_per_frame"]
  sounds = {
    genre: [w for one in _rows(some, heard) if (w := _wav(one, spec, rate))]
    for genre, some in zip(genres, made, strict=True)
  }
  figure = grid(
    [_frames(some, source, spec) for some in real],
    [_frames(some, source, spec) for some in made],
    genres,
    decibels=source == "audio" or spec.parts == ("logmel",),
  )
  return Gallery(
    plot_style.png(figure), {k: files for k, files in sounds.items() if files}
  )


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
  scaled, limits, colours, unit = _scale(real, decibels)
  counts = [max(1, *map(len, some)) for some in (real, generated)]
  with plot_style.style():
    figure = plot_style.new_figure(1.6 + sum(counts), 0.9 + 0.68 * len(genres))
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02)
    axes = figure.subplots(
      len(genres),
      sum(counts) + 1,
      squeeze=False,
      gridspec_kw={"width_ratios": [1] * counts[0] + [0.12] + [1] * counts[1]},
    )
    for one in axes.flat:
      one.set_axis_off()
    halves = axes[:, : counts[0]], axes[:, counts[0] + 1 :]
    titles = "Real, of the train split", "Generated"
    for half, title, some in zip(
      halves, titles, (real, generated), strict=True
    ):
      half[0, 0].set_title(title, pad=8)
      for row, pictures in zip(half, some, strict=True):
        for one, picture in zip(row, pictures, strict=False):
          drawn = one.imshow(
            scaled(picture).T,
            cmap=colours,
            vmin=limits[0],
            vmax=limits[1],
            origin="lower",
            aspect="auto",
            interpolation="none",
          )
    for row, genre in zip(axes, genres, strict=True):
      _name(row[0], genre)
    bar = figure.colorbar(drawn, ax=axes, aspect=40, pad=0.01, fraction=0.02)
    bar.solids.set_rasterized(True)
    bar.outline.set_visible(False)
    bar.set_label(unit)
  return figure


def _name(axes, genre: str) -> None:
  """Left of a row's first picture, shortened."""
  axes.text(
    -0.08,
    0.5,
    genre if len(genre) <= 16 else f"{genre[:15]}…",
    transform=axes.transAxes,
    ha="right",
    va="center",
  )


def _spread(places: np.ndarray, count: int) -> np.ndarray:
  """At most so many, evenly spread: neighbours are of one track."""
  count = min(count, len(places))
  return places[np.linspace(0, len(places), count, endpoint=False).astype(int)]


def _rows(examples: Mapping[str, np.ndarray], count: int) -> list[dict]:
  return [
    {key: value[i] for key, value in examples.items()}
    for i in range(min(count, len(examples["label"])))
  ]


def _wav(
  example: Mapping, spec: FeatureSpec, columns_per_frame: float | None
) -> bytes | None:
  """A WAV file; None where no audio can be made."""
  if "audio" in example:
    samples = example["audio"]
  elif spec.parts == ("logmel",) and np.isfinite(example["features"]).all():
    samples = griffin_lim.from_logmel(
      example["features"], spec, columns_per_frame
    )
  else:
    return None
  return griffin_lim.wav(samples, spec.sample_rate)


def _frames(examples: Mapping, source: str, spec: FeatureSpec) -> np.ndarray:
  """`[n, frames, bins]`."""
  if source == "audio":
    logmel = FeatureSpec("gallery", sample_rate=spec.sample_rate)
    samples = waveform.to_float(examples["audio"])
    return np.asarray(features.extract(samples, logmel))
  values = examples["features"]
  if values.ndim == 2:  # a row is one frame
    return values[:, None]
  if values.ndim == 4:  # a picture's brightness, its first row on top
    return values.mean(axis=3)[:, ::-1].swapaxes(1, 2)
  return values


def _scale(real: Sequence[np.ndarray], decibels: bool):
  """(values -> shown values, limits, colours, unit), by the real examples."""
  frames = np.concatenate([some.reshape(-1, some.shape[-1]) for some in real])
  if decibels:
    top = float(frames.max())
    name, unit, limits = COLOUR_MAP, "dB", (top - FeatureSpec.top_db, top)
    mean, deviation = 0.0, 1.0
  else:
    name, unit, limits = "RdBu_r", "deviations", (-_DEVIATIONS, _DEVIATIONS)
    mean, deviation = frames.mean(axis=0), frames.std(axis=0)
    deviation = np.where(deviation > 0, deviation, 1)
  colours = matplotlib.colormaps[name].with_extremes(
    bad=plot_style.PALETTE["grid"]
  )

  def scaled(values):
    return (values - mean) / deviation

  return scaled, limits, colours, unit
