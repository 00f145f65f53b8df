"""report.html and the pictures beside it, drawn from a report.json alone."""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from matplotlib.figure import Figure

from gtzan_jax import config_ranges
from gtzan_jax.reports import artist_note, figures, provenance, report
from gtzan_jax.reports import document as doc
from gtzan_jax.reports.document import code, interval, number, part, percent
from gtzan_jax.scores import metrics

CURVES = "learning_curves.png"
OF_SPLIT = ("confusion", "per_genre")  # pictures of each split


class Content(NamedTuple):
  """What a page shows for a task: `top` blocks below the warnings, `parts`
  below the training curves, which `draw`(history, best epoch) draws. `axes` has
  {split: axis names} of confusion matrices not on the data's splits; `files`
  are written beside the page."""

  title: str
  top: Sequence[Any]
  parts: Sequence[Any]
  draw: Callable[..., Figure] = figures.learning_curves
  curves: str = "Loss and accuracy by epoch"
  axes: Mapping[str, Mapping[str, str]] = {}
  unit: str = "tracks"
  files: Mapping[str, bytes] = {}


def render(
  run: Mapping,
  content: Content | None = None,
  explained: Sequence[tuple[Mapping, bytes]] = (),
  drawn: Mapping[str, Figure] = {},
) -> str:
  """The page as text; `explained` has (entry of explain.json, its PNG). Of the
  figures `drawn` before those that it shows too are not built again."""
  content = content or of_classifier(run, drawn)
  trained = "members" not in run["config"]
  corpus = run["corpus"]
  if run["source"] != corpus:
    corpus += f" ({run['source']})"
  return doc.Document(
    title=run["recipe"],
    eyebrow=content.title,
    window=f"{run['recipe']} · {run['protocol']} · {content.title}",
    chips=[
      ("protocol", doc.bold(run["protocol"])),
      ("corpus", doc.bold(corpus)),
      ("tracks", number(run["tracks"])),
      ("device", run["device"]),
      ("seed", run["seed"]),
      ("commit", code(provenance.short(run["commit"]))),
    ],
    blocks=[
      *_warnings(run),
      *content.top,
      "external" in run and _external(run),
      _training(run, content, drawn) if trained else _members(run),
      *content.parts,
      explained and _explained(explained),
      _splits(run, content, drawn),
      run["skipped"] and _skipped(run),
      _repeat(run),
    ],
    footer="Drawn from report.json; predictions are in predictions/, the"
    " pictures as PNG beside this page.",
  ).html()


def pictures(
  run: Mapping, content: Content | None = None
) -> Iterator[tuple[str, Callable[[], Figure]]]:
  """(PNG name, what draws it) of all pictures beside the page; `run` may have
  some of the splits, with no more than "track" each."""
  draw = content.draw if content else figures.learning_curves
  yield CURVES, functools.partial(draw, run["history"], run["best_epoch"])
  for name, split in run["splits"].items():
    track, genres = split["track"], run["genres"]
    if track["n"]:
      title = f"{name}, {track['n']} {content.unit if content else 'tracks'}"
      axes = content.axes.get(name, {}) if content else {}
      yield (
        f"confusion_{name}.png",
        functools.partial(
          figures.confusion, track["confusion"], genres, title, **axes
        ),
      )
      yield (
        f"per_genre_{name}.png",
        functools.partial(figures.per_genre, track["per_genre"], title),
      )


def _warnings(run: Mapping) -> Iterator[doc.Block]:
  if run["leak"]:
    yield doc.warning(report.LEAKS, run["leak"], stop=True)
  if run["corpus"] == "synthetic":
    yield doc.warning(
      "Numbers on the synthetic corpus are not GTZAN numbers.",
      "The tracks were made by ten generators that ship with this project. The"
      " run shows that everything works, not how well music is classified.",
    )
  if run.get("warnings"):
    items = [(one["title"], one["text"]) for one in run["warnings"]]
    yield doc.warning("Warnings about this corpus", items=items)


# A classifier.


def of_classifier(run: Mapping, drawn: Mapping[str, Figure] = {}) -> Content:
  """The scores of the headline's split."""
  name = run["headline"]
  split = run["splits"].get(name)
  top = [
    doc.text(_statement(run), "statement"),
    split and artist_note.note(name, split),
    run["source"] == "archive" and _ARCHIVE,
    split and _cards(run),
  ]
  parts = [] if split is None else _scores(run, name, split, drawn)
  return Content("Music genre classification", top, parts)


_ARCHIVE = (
  "Source: the log-mel archive. Its time axis is coarser than audio gives and"
  " its windows are 2,048 samples long whatever the feature set says, so these"
  " numbers are not those of the same recipe on audio."
)


def _scores(
  run: Mapping, name: str, split: Mapping, drawn: Mapping
) -> list[doc.Block]:
  doubt = " Some labels of GTZAN are themselves in doubt."
  return [
    _levels(run),
    part(
      "Predicted / true",
      "Rows are true genres, columns predicted ones; shade is the share of the"
      " row.",
      _confusion(run, name, drawn),
    ),
    part(
      "By genre",
      "Of tracks by mean probability, in per cent. A genre without tracks in"
      " the split is left out of the macro means.",
      _genres(split["track"]["per_genre"]),
    ),
    part(
      "Hardest tracks",
      "Tracks whose true genre has the lowest probability, in per cent."
      + doubt * (run["corpus"] != "synthetic"),
      _hardest(split["hardest"]),
    ),
  ]


def _statement(run: Mapping) -> str:
  """Which split the headline numbers come from, and what they mean."""
  name = run["headline"]
  missing = run["splits"].get("test", {"missing": 0})["missing"]
  no_test = f"No test tracks at hand{f'; {missing} missing' * bool(missing)}."
  if name is None:
    return f"{no_test} No split was scored, so there are no numbers to show."
  if name == "validation":
    return (
      f"{no_test} The numbers below are of the validation split, which also"
      " chose the checkpoint: expect somewhat less on unseen tracks."
    )
  unseen = "which had no part in training or in choosing the checkpoint"
  if "external" in run:
    return f"The numbers below are of an external test: of music {unseen}."
  text = f"The numbers below are of the {name} split"
  text += f", {unseen}" * (not run["leak"])
  if missing:
    text += f"; {missing} of its tracks are missing from this corpus"
  return text + "."


def _cards(run: Mapping) -> doc.Block:
  name = run["headline"]
  split = run["splits"][name]
  track, vote = split["track"], split["track_majority"]
  segment = split["segment"]
  accuracy, ends = track["accuracy"], track["ci95"]
  segments = f"{number(segment['n'])} segments"
  artists = f", {number(split['clusters'])} artists"
  artists *= split["clusters"] < track["n"]
  cards = [
    doc.Card(
      f"Track accuracy, {name}",
      percent(accuracy),
      f"95 % interval {interval(ends)}{artists}",
      "%",
      (*ends, accuracy),
    ),
    doc.Card("Macro F1", percent(track["macro_f1"]), "tracks", "%"),
    doc.Card("Majority vote", percent(vote["accuracy"]), "track accuracy", "%"),
    doc.Card(
      "Segment accuracy",
      percent(segment["accuracy"]),
      interval(segment["ci95"]),
      "%",
    ),
    doc.Card("Tracks scored", number(track["n"]), segments),
  ]
  return doc.cards(*cards, css="first leaky" if run["leak"] else "first")


def _levels(run: Mapping) -> doc.Block:
  name, calibrated = run["headline"], run["calibration"]
  split = run["splits"][name]
  resampled = "whole tracks"
  if split["clusters"] < split["track"]["n"]:
    resampled = (
      f"whole artists, {number(split['clusters'])} of them (a track whose"
      " artist is not known stands for itself)"
    )
  scaled = calibrated["track"]["reliability"] if calibrated else ()
  drawn = split["reliability"], "Reliability, tracks", scaled
  return part(
    "Accuracy by segment, by track (mean probability), by track (majority"
    " vote)",
    "The model classifies segments; a track is classified by its segments"
    f" together. Intervals resample {resampled}. Top 3: the true genre is"
    " among the three most probable. ECE: the mean distance of confidence"
    " from accuracy. All in per cent, the loss in nats.",
    _level_table(split),
    doc.side(
      _figure("levels", name, figures.levels, split, 1 / len(run["genres"])),
      _figure("reliability", name, figures.reliability, *drawn),
    ),
    calibrated and _calibration(calibrated, name),
  )


def _figure(kind: str, name: str, draw: Callable, *args: Any) -> doc.Block:
  return doc.figure(
    f"{name}-{kind}", f"{kind} of the {name} split", draw, *args
  )


def _level_table(split: Mapping) -> doc.Block:
  shares = "top3", "macro_precision", "macro_recall", "macro_f1", "weighted_f1"
  heads = "Top 3", "Macro precision", "Macro recall", "Macro F1", "Weighted F1"
  columns = {
    "Counted by": ("name",),
    "n": ("n", number),
    "Accuracy": ("accuracy", percent),
    "95 % interval": ("ci95", interval),
    **{h: (s, percent) for h, s in zip(heads, shares, strict=True)},
    "Loss": ("loss", ".3f"),
    "ECE": ("ece", percent),
  }
  rows = {name: split[key] for key, name in figures.LEVELS.items()}
  return doc.records(rows, columns)


def _calibration(calibrated: Mapping, name: str) -> doc.Block:
  how = "The temperature was fitted on the validation split."
  if name == "validation":
    how = (
      "Each half of the validation split was scaled by the temperature of the"
      " other half, so that none chose its own."
    )
  columns = {
    "Of": ("name",),
    "Temperature": ("temperature", ".2f"),
    "ECE": ("ece", percent),
    "ECE after": ("ece_after", percent),
    "Loss": ("loss", ".3f"),
    "Loss after": ("loss_after", ".3f"),
  }
  rows = {"Tracks": calibrated["track"], "Segments": calibrated["segment"]}
  return part(
    "Calibration",
    "Logits divided by one temperature give the same predictions with other"
    f" confidences: above 1 the model was overconfident. {how}",
    doc.records(rows, columns),
  )


def _confusion(run: Mapping, name: str, drawn: Mapping) -> doc.Block:
  track, genres = run["splits"][name]["track"], run["genres"]
  rows = metrics.confused(track["confusion"], genres)
  columns = {
    "True": ("genre",),
    "Predicted": ("predicted",),
    "Tracks": ("n", number),
    "% of the genre's": ("share", lambda x: doc.Bar(x, "warm")),
  }
  pairs = doc.records(rows, columns)
  title = "Confusion matrix, tracks"
  draw: tuple = (figures.confusion, track["confusion"], genres, title)
  if beside := drawn.get(f"confusion_{name}.png"):
    draw = figures.entitled, beside, title
  none = f"No track of the {track['n']} was predicted as another genre."
  return doc.side(
    _figure("confusion", name, *draw),
    part("Most confused pairs", pairs if rows else none),
    css="matrix",
  )


def _genres(per_genre: Mapping) -> doc.Block:
  columns = {
    "Genre": ("name",),
    "Precision": ("precision", lambda x: doc.Bar(x, "pale")),
    "Recall": ("recall", lambda x: doc.Bar(x, "middle")),
    "F1": ("f1", doc.Bar),
    "Tracks": ("support", lambda n: n or "absent"),
  }
  return doc.records(per_genre, columns)


def _hardest(hardest: Sequence[Mapping]) -> doc.Block:
  columns = {
    "Track": ("track", code),
    "True": ("genre",),
    "Probability of it": ("true_probability", lambda x: doc.Bar(x, "warm")),
    "Predicted": ("predicted",),
    "Probability": ("probability", lambda x: doc.Bar(x, "middle")),
  }
  correct = [
    {**row, "predicted": doc.muted(f"{row['predicted']} (correct)")}
    if row["predicted"] == row["genre"]
    else row
    for row in hardest
  ]
  return doc.records(correct, columns)


# What every page has.


def _external(run: Mapping) -> doc.Block:
  test, data = run["external"], run["config"].get("data")
  synthetic = "the synthetic corpus"
  learnt, same = number(test["learnt"]), number(test["namesakes"])
  simulated = (
    " It was trained on a log-mel archive and was given what the archive would"
    " hold of this audio."
  )
  facts = {
    "Run": test["workdir"],
    "Tested on": test["path"] or synthetic,
    "Tracks tested, of all there": f"{number(run['tracks'])} of"
    f" {number(test['tracks'])}",
    "Genres compared": ", ".join(
      genre if genre == known else f"{genre} as {known}"
      for genre, known in test["genres"].items()
    ),
    "Left out: not genres of the model": ", ".join(
      f"{genre} ({number(n)} tracks)" for genre, n in test["unmatched"].items()
    ),
    "Genres of the model that are not there": ", ".join(test["absent"]),
  }
  if data:
    trained = f"{data['path'] or synthetic}, {data['protocol']}"
    facts = {"Run": "", "Trained on": trained, **facts}
  return part(
    "External test",
    "A trained run was tested on another collection. Genres were compared"
    " where their names are the same but for case and punctuation; the model"
    " could still predict any of its own. Training tracks were recognised by"
    " their ids alone: not the same music under another name."
    + simulated
    * (test["kind"] == "logmel" and run["source"] == "audio"),
    test["learnt"]
    and doc.warning(
      "This collection is not all new to the model.",
      f"{learnt} tracks that were used in training or to choose the"
      " checkpoint were left out. The rest is of the same collection, which"
      " may repeat recordings and artists: other music is a better test.",
    ),
    test["namesakes"]
    and doc.warning(
      "Names of training tracks.",
      f"{same} tracks have names of tracks of the training data, in another"
      " collection. If they are the same music, this is no test.",
    ),
    doc.facts([(term, value or "none") for term, value in facts.items()]),
  )


def _size(run: Mapping) -> list[tuple[str, str]]:
  size, time = number(run["num_params"]), doc.duration(run["seconds"])
  return [("Parameters", size), ("Time", time)]


def _digest(value: str | None) -> doc.Mark:
  """The first letters of a digest, the whole one as a tooltip."""
  return code(value[:12] if value else "–", value or "")


def _members(run: Mapping) -> doc.Block:
  columns = {
    "Run folder": ("name", code),
    "Recipe": ("recipe",),
    "Seed": ("seed", number),
    "Data fingerprint": ("data_fingerprint", _digest),
  }
  return part(
    "Members",
    "The probabilities are the mean of those of these runs, each with one"
    " vote. Nothing was trained; parameters and time are the members' sums.",
    doc.records(run["config"]["members"], columns),
    doc.facts(_size(run)),
  )


def _training(run: Mapping, content: Content, drawn: Mapping) -> doc.Block:
  best, monitor = run["best_epoch"], run["monitor"]
  kept = "No evaluation was good enough to keep, or none took place."
  if best is not None:
    kept = (
      f"The parameters of epoch {best} of {run['epochs_run']} were kept:"
      f" there {monitor['name']} was {number(monitor['value'])}."
    )
  epochs = [
    ("Best epoch", "–" if best is None else best),
    ("Epochs run", run["epochs_run"]),
  ]
  curves = doc.figure(
    *("curves", content.curves),
    lambda: drawn.get(CURVES) or content.draw(run["history"], best),
    css="broad",
  )
  return part("Training", kept, curves, doc.facts(_size(run) + epochs))


def _explained(explained: Sequence[tuple[Mapping, bytes]]) -> doc.Block:
  pictures = (
    doc.media(
      picture,
      "image/png",
      f"Features of {one['name']} ({one['where']}), predicted as"
      f" {one['predicted']}, and what each cell adds",
    )
    for one, picture in explained
  )
  return part(
    "Integrated gradients",
    "Warm cells raise the log probability of a genre, blue ones lower it, in"
    " nats, measured from the mean of the training data. They show what this"
    " network uses, not what makes the genre; explain/explain.html has the"
    " numbers.",
    *pictures,
  )


_ACCURACIES = (
  "Track accuracy",
  "95 % interval",
  "Majority vote",
  "Segment accuracy",
)


def _accuracies(split: Mapping) -> tuple:
  track, vote = split["track"], split["track_majority"]
  segment = split["segment"]
  if not track["n"]:
    why = "not scored" if split["n"] else "no tracks at hand"
    return (doc.muted(why), "–", "–", "–")
  shares = percent(vote["accuracy"]), percent(segment["accuracy"])
  return (percent(track["accuracy"]), interval(track["ci95"]), *shares)


def _splits(run: Mapping, content: Content, drawn: Mapping) -> doc.Block:
  data = {k: v for k, v in run["splits"].items() if k not in content.axes}
  scored = () if content.axes else _ACCURACIES
  rows = [
    (
      doc.bold(name) if name == run["headline"] else name,
      number(split["n"]),
      number(split["missing"]),
      *(_accuracies(split) if scored else ()),
      _digest(split["sha256"]),
    )
    for name, split in data.items()
  ]
  head = ("Split", "Tracks", "Missing", *scored, "sha256")
  align = "l" + "r" * (len(head) - 2) + "l"
  others = [
    doc.details(
      f"More about {name}",
      _level_table(split),
      _confusion(run, name, drawn),
      _genres(split["track"]["per_genre"]),
    )
    for name, split in data.items()
    if split["track"]["n"] and name != run["headline"]
  ]
  return part(
    "Splits",
    "Missing: named by the protocol, not in the corpus at hand. The digest is"
    " the sha256 of the sorted track ids; equal digests mean equal tracks.",
    doc.table(head, rows, align),
    *others,
  )


def _skipped(run: Mapping) -> doc.Block:
  skipped = run["skipped"]
  whole = number(run["tracks"] + len(skipped))
  verb = "is" if len(skipped) == 1 else "are"
  columns = {"Track": ("track", code), "Reason": ("reason",)}
  return part(
    "Skipped tracks",
    f"{len(skipped)} of {whole} tracks could not be read and {verb} in no"
    " split.",
    doc.records(skipped, columns),
  )


def _repeat(run: Mapping) -> doc.Block:
  config = config_ranges.flatten(run["config"])
  shown = {k: "–" if v in (None, "") else v for k, v in config.items()}
  rows = [(code(key), code(value)) for key, value in shown.items()]
  facts = [
    ("Commit", code(run["commit"] or "unknown")),
    ("Data fingerprint", code(run["data_fingerprint"])),
    ("Source", run["source"]),
    ("Device", run["device"]),
    *run["versions"].items(),
  ]
  details = doc.details(
    f"Configuration, {len(config)} keys", doc.table((), rows)
  )
  return part("To repeat this run", doc.facts(facts), details)
