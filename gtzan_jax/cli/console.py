"""What the command line says of a corpus, a data set, an archive, a result."""

import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TextIO

from gtzan_jax import errors
from gtzan_jax.audio import decoding
from gtzan_jax.data import corpus_checks
from gtzan_jax.reports import page, report

_GENRES = 12  # on the line of a corpus
_KINDS = 12  # of files that were passed over, in a line


def _banner(text: str) -> None:
  line = "*" * 78
  print(f"{line}\n{text}\n{line}")


def corpus(name: str, kinds: Mapping[str, int], hint: str = "") -> None:
  """A banner where it is the synthetic one; what was passed over, if anything.

  Args:
    name: of the corpus.
    kinds: its `passed_over`.
    hint: one line about its names, if any.
  """
  passed_over(kinds)
  if hint:
    print(f"hint: {hint}")
  if name == "synthetic":
    _banner(
      "SYNTHETIC CORPUS: embedded, made by this program. Its numbers are not"
      " GTZAN numbers. Give --config.data.path=... for real music."
    )


def passed_over(kinds: Mapping[str, int], file: TextIO | None = None) -> None:
  """One line about the files of a place that are not read, by kind.

  Args:
    kinds: {kind of file: how many}; nothing is printed of none.
    file: where it goes; standard output if None.
  """
  if kinds:
    listed = [f"{number} {kind}" for kind, number in kinds.items()]
    more = len(listed) - _KINDS
    tail = f", {more} other kinds" if more > 0 else ""
    unread = sorted(kinds.keys() & decoding.FFMPEG)
    if unread and not decoding.HAS_FFMPEG:
      tail += f" ({', '.join(unread)}: {decoding.REMEDY})"
    text = errors.shown(", ".join(listed[:_KINDS]))
    print(f"passed over: {text}{tail}", file=file)


def warnings(found: Iterable[corpus_checks.Finding]) -> None:
  """What is wrong with a corpus, a line each."""
  for one in found:
    print(f"warning: {one.line()}")


def dataset(prepared, partition) -> None:
  """What was prepared, what is missing of it, and whether its cut leaks.

  Args:
    prepared: from tfds_gtzan.prepare.
    partition: from tfds_gtzan.apply.
  """
  corpus(prepared.corpus, prepared.passed_over, prepared.hint)
  if partition.leak:
    _banner(f"LEAKING PROTOCOL: {partition.leak}")
  print(
    f"corpus: {prepared.corpus}, {len(prepared.rows)} tracks,"
    f" {len(prepared.genres)} genres ({_genres(prepared.genres)}),"
    f" {sum(r.segments for r in prepared.rows)} segments\nprepared:"
    f" {prepared.directory}"
  )
  skipped(prepared.skipped)
  for part, number in partition.missing.items():
    if number:
      print(
        f"missing: {number} tracks of the {part} list are not in the corpus"
      )
  for note in partition.notes:
    print(note)


def _genres(names: Sequence[str]) -> str:
  more = f" and {len(names) - _GENRES} more" if len(names) > _GENRES else ""
  return errors.shown(", ".join(names[:_GENRES])) + more


def skipped(tracks: Iterable[Mapping[str, str]]) -> None:
  for one in tracks:
    print(errors.shown(f"skipped: {one['track']}: {one['reason']}"))


def archive(written) -> None:
  """A log-mel archive, from tfds_gtzan.corpora.archive_writer.write."""
  skipped(written.skipped)
  print(
    f"archive: {written.path}, {written.tracks} tracks of {written.columns}"
    f" columns, {written.columns_per_second:.2f} a second"
  )


def _generated(gan: Mapping) -> None:
  """What a GAN generates, against chance and against real music."""
  parts = gan["measures"]
  if gan["collapsed"]:
    _banner(
      "COLLAPSED: its examples of a genre are nearly the same, or not finite"
      f" (diversity {_three(parts['validation']['diversity'])}; real music: 1)"
    )
  print(
    f"generated: {gan['generated']}, of which the judge hears"
    f" {_three(parts['validation']['genre_share'])} as the genre asked for;"
    f" by chance at most {gan['chance']:.3f}, real music"
    f" {gan['judge']['accuracy']:.3f}"
  )
  for part, found in parts.items():
    shown = ("frechet_ratio", "coverage", "diversity", "nearest")
    values = (f"{name} {_three(found[name])}" for name in shown)
    print(f"{part}: {', '.join(values)}")


def _three(value: float | None) -> str:
  return "nan" if value is None else f"{value:.3f}"


def result(path: pathlib.Path) -> None:
  """The scores of the report in a folder, and where it lies.

  Raises:
    InputError: see `report.read`.
  """
  found = report.read(path / report.REPORT_FILE)
  if "gan" in found:
    _generated(found["gan"])
  else:
    _classified(found["splits"])
  print(f"report: {path / 'report.html'}\n        {path / report.REPORT_FILE}")


def _classified(splits: Mapping) -> None:
  for name, split in splits.items():
    track = split["track"]
    if not track["n"]:
      what = "not scored" if split["n"] else "no tracks at hand"
      print(f"{name}: {what}, {split['missing']} missing")
      continue
    low, high = track["ci95"]
    print(
      f"{name}: track accuracy {track['accuracy']:.3f} (95 % {low:.3f} to"
      f" {high:.3f}), macro-F1 {track['macro_f1']:.3f}, {track['n']} tracks;"
      f" segment accuracy {split['segment']['accuracy']:.3f}"
    )
    if note := page.artist_note(name, split):
      print(f"{'beware: ' * page.artists_decide(split)}{note}")
