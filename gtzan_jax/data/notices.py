"""What is printed about a corpus, a data set or an archive."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TextIO

from gtzan_jax import errors
from gtzan_jax.audio import decoding
from gtzan_jax.data import corpus_checks

_GENRES = 12  # on the line of a corpus
_KINDS = 12  # of files that were passed over, in a line


def banner(text: str) -> None:
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
    banner(
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
    banner(f"LEAKING PROTOCOL: {partition.leak}")
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
