"""What a GAN's report has in place of a classifier's scores."""

from collections.abc import Iterator, Mapping
from typing import Any

import matplotlib.ticker
from matplotlib.figure import Figure

from gtzan_jax.gan import fidelity
from gtzan_jax.gan.gallery import Gallery
from gtzan_jax.reports import document as doc
from gtzan_jax.reports import figures, plot_style
from gtzan_jax.reports.document import Bar, number, part, percent, warning
from gtzan_jax.reports.page import Content

# What each of fidelity.MEASURES is called, what it means, and for real music.
MEASURES = {
  "genre_share": (
    "Genre accuracy",
    "Share of generated examples that the judge assigns to the requested"
    " genre.",
    "",
  ),
  "frechet_ratio": (
    "Fréchet ratio",
    "The distance of generated music over that of the train split: at 1 it is"
    " as close to unseen music as the train split itself.",
    "real music: 1",
  ),
  "frechet_distance": (
    "Fréchet distance",
    "From generated to held-out real music, of means and spreads together.",
    "",
  ),
  "frechet_real": (
    "Fréchet distance, real",
    "From the train split to held-out real music: what can be reached.",
    "",
  ),
  "coverage": (
    "Coverage",
    "Share of real examples with a generated one among their nearest: 0.97 for"
    " real music, about 0 for few kinds or none that is real.",
    "real music: 0.97",
  ),
  "density": (
    "Density",
    "In how many of the real ones' neighbourhoods a generated one lies: 1 for"
    " real music, about 0 far from it, above 1 where only the commonest kinds"
    " are made.",
    "",
  ),
  "diversity": (
    "Diversity",
    "Distance of two generated examples of a genre over that of two real ones:"
    f" 1 for real music; below {fidelity.COLLAPSED} counts as collapsed.",
    "real music: 1",
  ),
  "nearest": (
    "Nearest",
    "Distance to the nearest train example over that of unseen music: about 1"
    " is right; well below, training examples are reproduced.",
    "real music: 1",
  ),
}
# Scored by the judge: the axes of the confusion matrices.
AXES = {
  "generated": {"rows": "requested", "columns": "predicted by the judge"},
  "real": {"rows": "labelled", "columns": "predicted by the judge"},
}
# Panels of the training curves, and what is drawn in which (figures.CURVES).
PANELS = {
  "losses": "Losses",
  "scores": "Discriminator's scores",
  "found": "Recognised by the discriminator",
  "ratio": "Fréchet distance over real",
  "share": "Genre accuracy, by the judge",
  "spread": "Diversity, nearest",
}
CURVES = {
  "train/discriminator_loss": ("losses", "discriminator", "accent", 1.6),
  "train/generator_loss": ("losses", "generator", "warm", 1.6),
  "validation/score_real": ("scores", "held-out real", "accent", 1.6),
  "validation/score_generated": ("scores", "generated", "warm", 1.6),
  "train/real_found": ("found", "real", "accent", 1.6),
  "train/generated_found": ("found", "generated", "warm", 1.6),
  "validation/frechet_ratio": ("ratio", "validation", "accent", 2.0),
  "validation/genre_share": ("share", "share", "accent", 2.0),
  "validation/coverage": ("share", "coverage", "middle", 1.4),
  "validation/diversity": ("spread", "diversity", "accent", 2.0),
  "validation/nearest": ("spread", "nearest", "warm", 1.4),
}
_ROUGH = (
  "Made of generated log-mels by Griffin-Lim's algorithm, which finds the"
  " phases that they lack: even real music sounds rough so."
)


def content(report: Mapping, gallery: Gallery | None = None) -> Content:
  files = {"samples.png": gallery.picture} if gallery else {}
  for genre, sounds in gallery.sounds.items() if gallery else ():
    for i, sound in enumerate(sounds):
      files[f"samples/{genre.replace('/', '_')}_{i}.wav"] = sound
  return Content(
    "Music by genre, generated",
    [*_banners(report["gan"]), *_numbers(report)],
    [_measures(report["gan"]), *_samples(report, gallery), _genres(report)],
    curves,
    "Losses and measures by epoch",
    AXES,
    "examples",
    files,
  )


def _banners(gan: Mapping) -> Iterator[doc.Block]:
  measured = gan["measures"]["validation"]
  if gan["collapsed"] and measured["diversity"] is None:
    yield warning(
      "The generator has diverged.",
      "Its output, or the judge's embedding of it, is not finite: nothing of it"
      " can be measured.",
      stop=True,
    )
  elif gan["collapsed"]:
    yield warning(
      "The generator has collapsed.",
      "Within a genre its examples are nearly the same: two generated ones are"
      f" {measured['diversity']:.2f} times as far apart as two real ones. Real"
      f" music has 1; below {fidelity.COLLAPSED}, less than segments of one"
      " single song, counts as collapsed.",
      stop=True,
    )
  if gan["memorised"] and measured["nearest"] is not None:
    yield warning(
      "The generator may reproduce training examples.",
      f"Its examples are {measured['nearest']:.2f} times as far from the"
      " nearest train example as unseen music is.",
    )


def _numbers(report: Mapping) -> Iterator[Any]:
  gan = report["gan"]
  measured, chance = gan["measures"]["validation"], gan["chance"]
  share, real = measured["genre_share"], gan["judge"]["accuracy"]
  yield doc.text(
    "The generator has not collapsed. "
    * (not gan["collapsed"])
    + f"Of {number(gan['generated'])} generated examples the judge assigns"
    f" {percent(share)} % to the requested genre. By chance that would be at"
    f" most {percent(chance)} %; of real held-out music it classifies"
    f" {percent(real)} % correctly.",
    "statement",
  )
  first = doc.Card(
    MEASURES["genre_share"][0],
    percent(share),
    f"chance {percent(chance)} – real music {percent(real)}",
    "%",
    None if share is None else (chance, real, share),
  )
  others = [
    doc.Card(name, number(measured[key], 3), real)
    for key, (name, _, real) in MEASURES.items()
    if real
  ]
  leaky = report["leak"] or gan["collapsed"]
  yield doc.cards(first, *others, css="first leaky" if leaky else "first")


def _measures(gan: Mapping) -> doc.Block:
  measured = gan["measures"]
  rows = [
    (name, *(number(of[key], 3) for of in measured.values()), meaning)
    for key, (name, meaning, _) in MEASURES.items()
  ]
  align = f"l{'r' * len(measured)}l"
  return part(
    "Measures",
    "Compared with real examples that were not used in training, in the"
    " embedding of a classifier trained on real music, the judge"
    f" ({gan['judge']['recipe']}). Validation also chose the checkpoint.",
    doc.table(("Measure", *measured, "What it means"), rows, align),
  )


def _samples(report: Mapping, gallery: Gallery | None) -> Iterator[doc.Block]:
  if gallery is None:
    return
  shown, how = "Generated features", _ROUGH
  if report["gan"]["domain"] == "audio":
    shown = "Log-mels of generated waveforms"
    how = "Waveforms as they were generated."
  elif report["source"] == "archive":
    how += (
      " An archive keeps only some columns; those between were interpolated,"
      " which blurs it further."
    )
  yield part(
    "Pictures",
    f"{shown} beside real ones, on one scale. Time goes to the right, bins"
    " go upwards; what is not a number is grey. They are the first of each"
    " genre, not chosen.",
    doc.media(
      gallery.picture, "image/png", "Real and generated examples of each genre"
    ),
  )
  players = [
    part(genre, *[doc.media(file, "audio/wav") for file in files])
    for genre, files in gallery.sounds.items()
  ]
  none = (
    "There is no sound: it can be made of waveforms and of log-mels alone,"
    " where their values are finite."
  )
  yield part(
    "Sound",
    f"{how} The first of each genre, those of the picture. The same files are"
    " in samples/."
    if players
    else none,
    doc.side(*players, css="three"),
  )


def _genres(report: Mapping) -> doc.Block:
  genres, splits = report["genres"], report["splits"]
  matrices = [
    doc.figure(
      f"{name}-judged",
      f"What the judge predicts of {name} examples",
      lambda name=name, axes=axes: figures.confusion(
        splits[name]["track"]["confusion"], genres, name.capitalize(), **axes
      ),
    )
    for name, axes in AXES.items()
  ]
  real = splits["real"]["track"]["per_genre"]
  head = (
    "Genre",
    "Generated: predicted as requested, %",
    "Real: predicted as labelled, %",
  )
  rows = [
    (genre, Bar(share), Bar(real[genre]["recall"], "middle"))
    for genre, share in report["gan"]["genre_share"].items()
  ]
  return part(
    "Requested / predicted by the judge",
    "Rows are the requested genres, or the labels"
    " of real held-out music; columns are the judge's predictions. Where the"
    " judge errs on real music, its predictions on generated music mean"
    " little.",
    doc.side(*matrices, css="even"),
    doc.table(head, rows),
  )


@plot_style.style()
def curves(history: list[dict], best_epoch: int | None) -> Figure:
  """The two networks' losses and the generator's measures, by epoch."""
  figure = plot_style.new_figure(10, 6.8)
  figure.get_layout_engine().set(h_pad=0.12)
  cells = figure.subplots(2, 3).flat
  panels = dict(zip(PANELS, cells, strict=True))
  for name, axes in panels.items():
    axes.set_title(PANELS[name])
  figures.by_epoch(panels, CURVES, history, best_epoch)
  if panels["ratio"].lines:
    panels["ratio"].axhline(1, color=plot_style.PALETTE["muted"], linewidth=1)
    panels["ratio"].set_yscale("log")  # from thousands towards 1
    panels["ratio"].set_ylim(bottom=0.5)
    panels["ratio"].yaxis.set_major_formatter("{x:g}")
    panels["ratio"].yaxis.set_minor_locator(matplotlib.ticker.NullLocator())
  for name in ("found", "share"):
    panels[name].set_ylim(0, 1)
    plot_style.percent(panels[name].yaxis)
  panels["spread"].set_ylim(bottom=0)
  return figure
