"""report.html: one self-contained page drawn from a report and nothing else.

The pictures are inline SVG, the style is inline CSS; the page asks no server
for anything and has no script, so it can be mailed, archived and printed.
"""

import base64
import pathlib
from collections.abc import Mapping, Sequence

import jinja2
from markupsafe import Markup

from gtzan_jax import errors, provenance, ranges
from gtzan_jax.gan import fidelity
from gtzan_jax.reports import figures as report_figures
from gtzan_jax.reports import style as plots
from gtzan_jax.scores import metrics

TEMPLATES = pathlib.Path(__file__).with_name("templates")
# What a score measures where `artists_decide`.
MOSTLY = "mostly artist recognition"

LEVEL_NAMES = {
  "track": "Tracks, mean probability",
  "track_majority": "Tracks, majority vote",
  "segment": "Segments",
}


# Of a GAN: what each of fidelity.MEASURES is called, and what it means.
GAN_MEASURES = {
  "genre_share": (
    "Genre asked for",
    "Share of the generated examples in which the judge hears the genre that"
    " was asked for.",
  ),
  "frechet_ratio": (
    "Fréchet ratio",
    "The distance of generated music over that of the train part: at 1 it is"
    " as close to unheard music as the train part itself.",
  ),
  "frechet_distance": (
    "Fréchet distance",
    "From generated to held-out real music, of means and spreads together.",
  ),
  "frechet_real": (
    "Fréchet distance, real",
    "From the train part to held-out real music: what can be reached.",
  ),
  "coverage": (
    "Coverage",
    "Share of real examples with a generated one among their nearest: 0.97 for"
    " real music, about 0 for few kinds or none that is real.",
  ),
  "density": (
    "Density",
    "In how many of the real ones' neighbourhoods a generated one lies: 1 for"
    " real music, about 0 far from it, above 1 where only the commonest kinds"
    " are made.",
  ),
  "diversity": (
    "Diversity",
    "Distance of two generated examples of a genre over that of two real ones:"
    f" 1 for real music; below {fidelity.COLLAPSED} counts as collapsed.",
  ),
  "nearest": (
    "Nearest",
    "Distance to the nearest train example over that of unheard music: about 1"
    " is right; well below, it gives back what it was trained on.",
  ),
}

# Scored by the judge, with the axes of its confusion matrix.
HEARD = {
  "generated": {"rows": "asked for", "columns": "heard by the judge"},
  "real": {"rows": "labelled", "columns": "heard by the judge"},
}


def shown(value: object) -> object:
  """What a page shows of a value: text without control characters."""
  if isinstance(value, Markup) or not isinstance(value, str):
    return value
  return errors.shown(value, keep="\n\t")


def templates() -> jinja2.Environment:
  """Those of the pages of HTML, which share a style."""
  return jinja2.Environment(
    loader=jinja2.FileSystemLoader(TEMPLATES),
    autoescape=True,
    finalize=shown,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
  )


def render(
  report: dict, gallery=None, explained: Sequence[tuple[dict, bytes]] = ()
) -> str:
  """The page as text.

  Args:
    report: from `report.build`, or report.json as read back.
    gallery: of a GAN, gallery.Gallery: what can be seen and heard.
    explained: (entry of explain.json, its PNG) of what was explained.
  """
  environment = templates()
  environment.filters.update(
    percent=_percent,
    number=_number,
    duration=_duration,
    commit=provenance.short,
  )
  scored = {
    name: split
    for name, split in report["splits"].items()
    if split["track"]["n"]
  }
  gan = "gan" in report
  return environment.get_template("report.html.jinja").render(
    report=report,
    gan=gan,
    gan_measures=GAN_MEASURES,
    collapsed=fidelity.COLLAPSED,
    gallery=gallery and _inline(gallery),
    explained=[
      (one, base64.b64encode(picture).decode()) for one, picture in explained
    ],
    heard=_heard(report) if gan else {},
    headline=report["headline"],
    top=scored.get(report["headline"]),
    others=[name for name in scored if name != report["headline"]],
    statement=_statement(report),
    artists=_artists(report),
    level_names=LEVEL_NAMES,
    curves=_curves(report),
    pictures={} if gan else {name: _pictures(report, name) for name in scored},
    confused={
      name: metrics.confused(split["track"]["confusion"], report["genres"])
      for name, split in scored.items()
    },
    config=ranges.flatten(report["config"]),
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


def _artists(report: dict) -> str:
  """`artist_note` of the headline."""
  name = report["headline"]
  return artist_note(name, report["splits"][name]) if name else ""


def artist_note(name: str, split: Mapping) -> str:
  """How much of a split is by artists of the train part; "" if nothing is."""
  known = split["known_artists"]
  if not known or not known["tracks"]:
    return ""
  whole = f"{known['of']} {name} tracks"
  if known["of"] < split["track"]["n"]:
    whole = f"the {whole} whose artist is known"
  verdict = f": {MOSTLY}" if artists_decide(split) else ""
  return (
    f"{known['tracks']} of {whole} are by artists of the train part{verdict}."
  )


def artists_decide(split: Mapping) -> bool:
  """Whether at least half of a split is by artists of the train part."""
  known = split["known_artists"]
  return bool(known) and 2 * known["tracks"] >= known["of"] > 0


def _curves(report: dict) -> Markup:
  draw, text = report_figures.learning_curves, "Loss and accuracy by epoch"
  if "gan" in report:
    draw, text = report_figures.gan_curves, "Losses and measures by epoch"
  figure = draw(report["history"], report["best_epoch"])
  return Markup(plots.inline_svg(figure, "curves", text))


def _inline(gallery) -> dict:
  """A gallery's files in base64."""

  def encoded(file: bytes) -> str:
    return base64.b64encode(file).decode()

  return {
    "picture": encoded(gallery.picture),
    "sounds": {
      genre: [encoded(file) for file in files]
      for genre, files in gallery.sounds.items()
    },
  }


def _heard(report: dict) -> dict[str, Markup]:
  """What the judge hears in generated and in real examples."""
  return {
    name: Markup(
      plots.inline_svg(
        report_figures.confusion(
          report["splits"][name]["track"]["confusion"],
          report["genres"],
          name.capitalize(),
          **axes,
        ),
        f"{name}-heard",
        f"What the judge hears in {name} examples",
      )
    )
    for name, axes in HEARD.items()
  }


def _pictures(report: dict, name: str) -> dict[str, Markup]:
  split, genres = report["splits"][name], report["genres"]
  scaled = ()
  if report["calibration"] and name == report["headline"]:
    scaled = report["calibration"]["track"]["reliability"]
  figures = {
    "confusion": report_figures.confusion(
      split["track"]["confusion"], genres, "Confusion matrix, tracks"
    ),
    "levels": report_figures.levels(
      split, 1 / len(genres), "Accuracy, 95 % intervals"
    ),
    "reliability": report_figures.reliability(
      split["reliability"], "Reliability, tracks", scaled
    ),
  }
  return {
    kind: Markup(
      plots.inline_svg(figure, f"{name}-{kind}", f"{kind} of the {name} split")
    )
    for kind, figure in figures.items()
  }


def _percent(value: float | None, digits: int = 1) -> str:
  return "–" if value is None else f"{100 * value:.{digits}f}"


def _number(value: float | None, digits: int = 4) -> str:
  """12345 as 12,345; 0.123456 as 0.1235; 12345.6 as 12,346."""
  if value is None:
    return "–"
  if isinstance(value, int):
    return f"{value:,}"
  form = ",.0f" if abs(value) >= 10**digits else f".{digits}g"
  return f"{value:{form}}"


def _duration(seconds: float | None) -> str:
  if seconds is None:
    return "–"
  if seconds < 60:
    return f"{seconds:.1f} s"
  minutes, seconds = divmod(round(seconds), 60)
  hours, minutes = divmod(minutes, 60)
  return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"
