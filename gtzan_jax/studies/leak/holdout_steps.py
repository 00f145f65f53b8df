"""Leakage meters side by side: segments, tracks, then artists held out.

    F/<meter>/leak.json    from `launch.py leak`
    F/steps.md steps.png   of the meters that have all STEPS

Each step is a whole protocol with as many train segments as the others.
"""

import os
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.figure import Figure

from gtzan_jax.errors import InputError
from gtzan_jax.reports import document as doc
from gtzan_jax.reports import plot_style
from gtzan_jax.reports import schema as report_schema
from gtzan_jax.reports.plot_style import PALETTE
from gtzan_jax.scores import paired_tests
from gtzan_jax.studies.leak.measure import LEAK_FILE

FILE = "steps.md"
# What is held out -> the protocol, and its colour in the picture.
STEPS = {
  "segments": ("leaky_segments_80_20", "warm"),
  "tracks": ("tracks_80_20", "middle"),
  "artists": ("filtered", "accent"),
}
_MEAN = {"accuracy": float, "deviation": (float, type(None)), "ci95": [float]}
_METER = {
  "recipe": str,
  "protocols": [
    {
      "protocol": str,
      "split": str,
      "tracks": int,
      "n_train": int,
      "seeds": [int],
      "segment": {**_MEAN, ...: object},
      ...: object,
    }
  ],
  "same": {...: str},
  ...: object,
}


class Meter(NamedTuple):
  """What is shown of one leak.json: `steps` in the order of STEPS."""

  folder: str
  recipe: str
  steps: list[dict]


def read(folder: str | os.PathLike) -> list[Meter]:
  """The meters of a folder that have all STEPS, the highest first; InputError
  if the steps of one have different numbers of train segments."""
  meters = []
  for path in sorted(pathlib.Path(folder).glob(f"*/{LEAK_FILE}")):
    facts = report_schema.read_json(path, _METER, "leak")
    by_name = {step["protocol"]: step for step in facts["protocols"]}
    names = [facts["same"].get(name, name) for name, _ in STEPS.values()]
    if not by_name.keys() >= set(names):
      continue
    steps = [by_name[name] for name in names]
    if len({step["n_train"] for step in steps}) > 1:
      raise InputError(f"{path}: {', '.join(names)} differ in train segments")
    meters.append(Meter(path.parent.name, facts["recipe"], steps))
  if not meters:
    raise InputError(
      f"{folder} holds no {LEAK_FILE} with the protocols"
      f" {', '.join(name for name, _ in STEPS.values())}"
    )
  return sorted(
    meters, key=lambda meter: -meter.steps[0]["segment"]["accuracy"]
  )


def document(meters: Sequence[Meter]) -> doc.Document:
  """A table with a row for each step."""
  rows = [
    (
      doc.link(doc.code(meter.recipe), f"{meter.folder}/leak.md"),
      what,
      doc.code(step["protocol"]),
      f"{step['split']}, {step['tracks']} tracks",
      doc.number(step["n_train"]),
      len(step["seeds"]),
      paired_tests.as_text(step["segment"]),
    )
    for meter in meters
    for what, step in zip(STEPS, meter.steps, strict=True)
  ]
  head = ("recipe", "held out", "protocol", "tested", "train segments", "seeds")
  return doc.Document(
    "Segments, tracks, artists held out",
    [
      "Segment accuracy in per cent, mean ± standard deviation over seeds, in"
      " brackets the 95 % interval of the mean over artists. Steps of a recipe"
      " learn from as many segments, but test other tracks. Where validation is"
      " tested it also chose the checkpoints.",
      doc.figure("steps", "accuracy by what is held out", picture, meters),
      doc.table((*head, "segment accuracy"), rows),
    ],
  )


@plot_style.style()
def picture(meters: Sequence[Meter]) -> Figure:
  """A row for each recipe, a dot for each step."""
  figure = plot_style.new_figure(8, 1.5 + 0.55 * len(meters))
  axes = figure.subplots()
  for y, meter in enumerate(meters):
    values = [step["segment"]["accuracy"] for step in meter.steps]
    ends = [min(values), max(values)]
    axes.plot(ends, [y, y], color=PALETTE["pale"], linewidth=5)
    # Text stands below the middle one: neighbours may be close.
    for x, (_, colour), above in zip(
      values, STEPS.values(), (9, -18, 9), strict=True
    ):
      axes.plot([x], [y], "o", color=PALETTE[colour], markersize=9)
      axes.annotate(
        f"{100 * x:.1f}",
        (x, y),
        (0, above),
        textcoords="offset points",
        ha="center",
        fontsize=9,
        color=PALETTE[colour],
      )
  names = [f"{x.recipe}\n{x.steps[0]['n_train']:,} segments" for x in meters]
  plot_style.name_rows(axes, names)
  axes.set_xlim(0, 1)
  plot_style.percent(axes.xaxis)
  axes.set_xlabel("segment accuracy, mean of the seeds")
  axes.set_title("What is held out, with as many train segments", pad=24)
  for x, (what, (_, colour)), step in zip(
    (0.0, 0.34, 0.66), STEPS.items(), meters[0].steps, strict=True
  ):
    axes.text(
      x,
      1.04,
      f"● {what} held out ({step['split']})",
      transform=axes.transAxes,
      color=PALETTE[colour],
      fontsize=9,
    )
  return figure


def again(folder: pathlib.Path) -> str:
  """Recomputes the steps.md of a folder."""
  return document(read(folder)).markdown()


def write(folder: str | os.PathLike) -> str:
  """Writes steps.md and steps.png; returns the text of steps.md."""
  return document(read(folder)).write(pathlib.Path(folder), FILE)
