"""report.html: one self-contained page drawn from a report and nothing else.

The pictures are inline SVG, the style is inline CSS; the page asks no server
for anything and has no script, so it can be mailed, archived and printed.
"""

import pathlib
from collections.abc import Mapping

import jinja2
from markupsafe import Markup

from gtzan_jax import metrics, plots

TEMPLATE = pathlib.Path(__file__).with_name("report.html.jinja")

LEVEL_NAMES = {
  "track": "Tracks, mean probability",
  "track_majority": "Tracks, majority vote",
  "segment": "Segments",
}


def render(report: dict) -> str:
  """The page as text.

  Args:
    report: from `report.build`, or report.json as read back.
  """
  environment = jinja2.Environment(
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
  )
  environment.filters.update(
    percent=_percent, number=_number, duration=_duration
  )
  scored = {
    name: split
    for name, split in report["splits"].items()
    if split["track"]["n"]
  }
  return environment.from_string(TEMPLATE.read_text("utf-8")).render(
    report=report,
    headline=report["headline"],
    top=scored.get(report["headline"]),
    others=[name for name in scored if name != report["headline"]],
    statement=_statement(report),
    level_names=LEVEL_NAMES,
    curves=_curves(report),
    pictures={name: _pictures(report, name) for name in scored},
    confused={
      name: metrics.confused(split["track"]["confusion"], report["genres"])
      for name, split in scored.items()
    },
    config=_flat(report["config"]),
  )


def _statement(report: dict) -> str:
  """Which split the headline numbers come from, and what that means."""
  splits, name = report["splits"], report["headline"]
  test = splits.get("test", {"n": 0, "missing": 0})
  no_test = "No test tracks at hand" + (
    f"; {test['missing']} missing." if test["missing"] else "."
  )
  if name is None:
    return f"{no_test} No split was scored, so there are no numbers to show."
  if name == "validation":
    return (
      f"{no_test} The numbers below are of the validation split, which also"
      " chose the checkpoint: expect somewhat less on unseen tracks."
    )
  if "external" in report:
    return (
      "The numbers below are of an external test: of music that had no part in"
      " training or in choosing the checkpoint."
    )
  text = f"The numbers below are of the {name} split"
  if not report["leak"]:
    text += ", which had no part in training or in choosing the checkpoint"
  if test["missing"]:
    text += f"; {test['missing']} of its tracks are missing from this corpus"
  return text + "."


def _curves(report: dict) -> Markup:
  figure = plots.learning_curves(report["history"], report["best_epoch"])
  return Markup(
    plots.inline_svg(figure, "curves", "Loss and accuracy by epoch")
  )


def _pictures(report: dict, name: str) -> dict[str, Markup]:
  split, genres = report["splits"][name], report["genres"]
  figures = {
    "confusion": plots.confusion(
      split["track"]["confusion"], genres, "Confusion matrix, tracks"
    ),
    "levels": plots.levels(split, 1 / len(genres), "Accuracy, 95 % intervals"),
    "reliability": plots.reliability(split["reliability"], "Reliability"),
  }
  return {
    kind: Markup(
      plots.inline_svg(figure, f"{name}-{kind}", f"{kind} of the {name} split")
    )
    for kind, figure in figures.items()
  }


def _percent(value: float | None, digits: int = 1) -> str:
  return "–" if value is None else f"{100 * value:.{digits}f}"


def _number(value: float | None) -> str:
  """12345 as 12,345; 0.123456 as 0.1235."""
  if value is None:
    return "–"
  return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def _duration(seconds: float | None) -> str:
  if seconds is None:
    return "–"
  if seconds < 60:
    return f"{seconds:.1f} s"
  minutes, seconds = divmod(round(seconds), 60)
  hours, minutes = divmod(minutes, 60)
  return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"


def _flat(config: Mapping, prefix: str = "") -> dict[str, object]:
  """{"data": {"fold": 0}} as {"data.fold": 0}, the names that flags have."""
  rows = {}
  for key, value in config.items():
    if isinstance(value, Mapping) and value:
      rows.update(_flat(value, f"{prefix}{key}."))
    else:
      rows[f"{prefix}{key}"] = value
  return rows
