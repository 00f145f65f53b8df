"""Integrated gradients as pictures, as one page and as explain.json."""

import dataclasses
import functools
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import numpy as np
from matplotlib.figure import Figure
from scipy import ndimage

from gtzan_jax import atomic, features
from gtzan_jax.features import FeatureSpec, mel
from gtzan_jax.features.image import COLOUR_MAP
from gtzan_jax.reports import document as doc
from gtzan_jax.reports import plot_style, report
from gtzan_jax.reports.plot_style import PALETTE
from gtzan_jax.studies.explain.attribution import Attribution

FILE = "explain.json"
PAGE = "explain.html"

_HZ = (256, 512, 1024, 2048, 4096, 8192)
_SMOOTH = 0.08  # seconds, the deviation of what smooths attributions
_FULL = 99.5  # percentile of the cells that has full colour
_DEVIATIONS = 3.0  # shown of features that are not in dB
_GAP = 0.05  # of the difference, or of 1 nat, that a sum may be off


class Explained(NamedTuple):
  """Integrated gradients of one file or track. `genre` is None if unknown;
  `probabilities` {genre: mean over all segments}; `features` float32 [s,
  frames, bins] from segment `first` on; `attributions` {genre: s of them}, the
  predicted one first."""

  name: str
  where: str
  genre: str | None
  predicted: str
  probabilities: Mapping[str, float]
  segments: int
  first: int
  features: np.ndarray
  attributions: Mapping[str, Sequence[Attribution]]


def line(one: Explained) -> str:
  """One line for the console."""
  facts = facts_of(one)
  sums = [
    f"{row['total']:+z.2f} nats for {genre} ({row['difference']:+z.2f} wanted)"
    for genre, row in facts["genres"].items()
  ]
  text = f"{one.name} ({one.where}): {_predicted(facts)}; attributions sum to"
  text += f" {', '.join(sums)}"
  if any(row["off"] for row in facts["genres"].values()):
    text += "; warning: the steps are too coarse"
  return text


def facts_of(one: Explained) -> dict:
  """The entry of explain.json; nats are means over the segments."""
  genres = {}
  for genre, segments in one.attributions.items():
    difference = np.array([a.difference for a in segments])
    total = np.array([a.total for a in segments])
    gaps = np.abs(total - difference)
    by_bin = np.mean([a.values.sum(axis=0) for a in segments], axis=0)
    genres[genre] = {
      "difference": float(difference.mean()),
      "total": float(total.mean()),
      "largest_gap": float(gaps.max()),
      "off": bool((gaps > _GAP * np.abs(difference).clip(1)).any()),
      "by_bin": by_bin.tolist(),
    }
  return {
    "name": one.name,
    "where": one.where,
    "genre": one.genre,
    "predicted": one.predicted,
    "probabilities": dict(one.probabilities),
    "segments": one.segments,
    "explained": [one.first, one.first + len(one.features)],
    "genres": genres,
  }


@plot_style.style()
def draw(one: Explained, run: Mapping) -> Figure:
  """The features; below, attributions of each cell; right, their sums over
  time."""
  spec = FeatureSpec.from_dict(run["feature_spec"])
  start, seconds, label = _time(one, spec)
  bins = one.features.shape[2]
  extent = (start, start + seconds, -0.5, bins - 0.5)
  rows = len(one.attributions)
  figure = plot_style.new_figure(11, 2.3 + 2.0 * rows)
  panels = figure.subplots(
    1 + rows, 2, sharey=True, sharex="col", width_ratios=(10, 1)
  )
  _features(panels[0, 0], one.features.reshape(-1, bins).T, spec, extent)
  name = one.name if len(one.name) < 60 else f"…{one.name[-58:]}"
  title = f"{name} ({one.where}): {_predicted(one._asdict(), 2)}"
  panels[0, 0].set_title(title, pad=10)
  panels[0, 1].set_axis_off()
  for (wide, narrow), (genre, segments) in zip(
    panels[1:], one.attributions.items(), strict=True
  ):
    values = np.concatenate([a.values for a in segments]).T
    _cells(wide, values, extent)
    _sums(narrow, values.sum(axis=1) / len(segments))
    truth = " (true)" if genre == one.genre else ""
    wide.set_title(f"for {genre}{truth}", pad=6, fontsize=10)
  panels[-1, 0].set_xlabel(label)
  panels[-1, 1].set_xlabel("nats a segment")
  at, label = _bins(spec, bins)
  for axes in panels[:, 0]:
    axes.set_yticks(list(at.values()), list(at))
    axes.set_ylabel(label)
  return figure


def write(
  path: pathlib.Path,
  facts: Mapping,
  explained: Sequence[Explained],
  run: Mapping,
) -> pathlib.Path:
  """Writes WORKDIR/explain anew: PNGs, explain.html, last explain.json."""
  folder = path / report.EXPLAINED
  folder.mkdir(exist_ok=True)
  items, pictures = [], []
  for i, one in enumerate(explained):
    stem = re.sub("[^a-zA-Z0-9.]+", "_", pathlib.PurePath(one.name).name)
    items.append({"picture": f"{i:02d}-{stem[-60:]}.png", **facts_of(one)})
    pictures.append(plot_style.png(draw(one, run)))
  result = {**facts, "items": items}
  (folder / FILE).unlink(missing_ok=True)
  for file in folder.glob("*.png"):
    file.unlink()
  for item, picture in zip(items, pictures, strict=True):
    atomic.write(folder / item["picture"], picture)
  atomic.write(folder / PAGE, render(result, pictures))
  atomic.write_json(folder / FILE, result, indent=1)
  return folder / PAGE


def render(result: Mapping, pictures: Sequence[bytes]) -> str:
  paper = "https://arxiv.org/abs/1703.01365"
  names = "seed", "best_epoch", "features", "steps"
  parts = [
    _part(item, picture)
    for item, picture in zip(result["items"], pictures, strict=True)
  ]
  return doc.Document(
    f"{result['recipe']}: integrated gradients",
    [
      doc.part(
        "How to read it",
        (
          "Warm cells raise the log probability of a genre, blue ones lower"
          " it: by so much, in nats, when the mean of the training data (each"
          " bin at its mean, at all times) is turned in a straight line into"
          " this input. These are integrated gradients (",
          doc.link("Sundararajan, Taly and Yan 2017", paper),
          "). All cells of a segment sum to the difference between the two"
          " ends; how nearly they do stands below each picture. The bars on"
          " the right are sums over time.",
        ),
        "They show what this network uses, not what makes the genre. Cells"
        " with the same information share their sum in no particular way, and"
        " another baseline gives another picture.",
      ),
      *parts,
    ],
    chips=[(name.replace("best_", ""), result[name]) for name in names],
    footer="Means over the segments. explain.json has these numbers, and the"
    " sums by bin.",
  ).html()


def _part(item: Mapping, picture: bytes) -> doc.Block:
  first, last = item["explained"]
  text = f"{item['where'].capitalize()}: {_predicted(item)}, by the mean of all"
  text += f" {item['segments']} segments"
  if [first, last] != [0, item["segments"]]:
    text += f"; shown are {first + 1} to {last}"
  columns = {
    "Log probability of": ("genre",),
    "Above the baseline's, nats": ("difference", "+.3f"),
    "Sum of the attributions": ("total", "+.3f"),
    "Largest gap in a segment": ("largest_gap", ".3f"),
    "Steps": ("off", lambda off: "too coarse" if off else "enough"),
  }
  rows = [{"genre": genre, **row} for genre, row in item["genres"].items()]
  alt = f"Features of {item['name']} and what each cell adds"
  return doc.part(
    item["name"],
    f"{text}.",
    doc.media(picture, "image/png", alt),
    doc.records(rows, columns),
  )


def _predicted(facts: Mapping, digits: int = 3) -> str:
  """ "predicted rock 0.712, true jazz 0.123"."""
  genre, guess, of = (
    facts[key] for key in ("genre", "predicted", "probabilities")
  )
  text = f"predicted {guess} {of[guess]:.{digits}f}"
  if genre not in (None, guess):
    text += f", true {genre} {of[genre]:.{digits}f}"
  return text


def _time(one: Explained, spec: FeatureSpec) -> tuple[float, float, str]:
  """Start and duration of the picture, and the label of its axis."""
  count, frames = one.features.shape[:2]
  if spec.whole_clip:
    seconds = frames * spec.hop_length / spec.sample_rate
    of = f", clip {one.first + 1} of {one.segments}" if one.segments > 1 else ""
    return 0.0, seconds, f"seconds{of}"
  length = spec.segment_samples / spec.sample_rate
  return one.first * length, count * length, "seconds"


def _features(
  axes, shown: np.ndarray, spec: FeatureSpec, extent: tuple
) -> None:
  """dB as they are; other features in standard deviations of each bin."""
  if spec.parts == ("logmel",):
    top = shown.max()
    _image(axes, shown, extent, COLOUR_MAP, top - spec.top_db, top)
  else:
    spread = shown.std(axis=1, keepdims=True)
    shown = shown - shown.mean(axis=1, keepdims=True)
    shown = shown / np.where(spread > 0, spread, 1)
    _image(axes, shown, extent, "viridis", -_DEVIATIONS, _DEVIATIONS)


def _cells(axes, values: np.ndarray, extent: tuple) -> None:
  """Attributions [bins, frames], smoothed with their sum kept."""
  frames_a_second = values.shape[1] / (extent[1] - extent[0])
  smooth = ndimage.gaussian_filter(values, (1.0, _SMOOTH * frames_a_second))
  full = max(float(np.percentile(np.abs(smooth), _FULL)), 1e-12)
  _image(axes, smooth, extent, "RdBu_r", -full, full)


def _image(axes, values, extent, colours, low: float, high: float) -> None:
  limits = {"vmin": low, "vmax": high, "extent": extent}
  axes.imshow(values, colours, origin="lower", aspect="auto", **limits)


def _sums(axes, sums: np.ndarray) -> None:
  """A segment's sum over time of each bin [bins], as bars."""
  colours = [PALETTE["warm" if x >= 0 else "accent"] for x in sums]
  axes.barh(np.arange(len(sums)), sums, 1.0, color=colours)
  axes.axvline(0, color=PALETTE["muted"], linewidth=0.8)
  axes.xaxis.get_major_locator().set_params(nbins=2)


def _bins(spec: FeatureSpec, bins: int) -> tuple[dict[str, float], str]:
  """{label: bin} and their name: Hz of mel bands, else where each part
  begins."""
  if spec.parts == ("logmel",):
    edge = mel.hz_to_mel(spec.sample_rate / 2)
    at = {f"{hz:,}": mel.hz_to_mel(hz) / edge * (bins + 1) - 1 for hz in _HZ}
    return at, "Hz"
  clip = jax.ShapeDtypeStruct((spec.segment_samples,), np.float32)
  at, first = {}, 0
  for part in spec.parts:
    alone = dataclasses.replace(spec, parts=(part,))
    extract = functools.partial(features.extract, name=alone)
    at[part] = first
    first += jax.eval_shape(extract, clip).shape[-1]
  return at, "feature"
