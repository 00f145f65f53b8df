"""launch.py check-splits: what is shared between a user's splits."""

import json
import pathlib
from collections.abc import Mapping, Sequence

from gtzan_jax import atomic
from gtzan_jax.errors import writing
from gtzan_jax.studies.check_splits import page as split_report
from tfds_gtzan.corpora.types import Corpus
from tfds_gtzan.split_audit import crossings

FACTS = "check_splits.json"
PAGE = "check_splits.md"


def run(
  files: Sequence[str], corpus: Corpus | None = None, out: str | None = None
) -> int:
  """Prints what the splits in the files share, and writes it to folder `out`.
  Without a corpus the facts about GTZAN's tracks are used. Returns 1 if
  anything is shared or a name matches no track, else 0."""
  if out:
    _write(out, {})  # a folder that cannot be written is known beforehand
  facts = crossings.survey(files, corpus)
  print(split_report.text(facts))
  if out:
    _write(
      out,
      {
        FACTS: json.dumps(facts, indent=1, allow_nan=False) + "\n",
        PAGE: split_report.document(facts).markdown(),
      },
    )
    print(f"written: {pathlib.Path(out, PAGE)}, {FACTS}")
  return 1 if split_report.crosses(facts) or facts["unknown"] else 0


def _write(out: str, texts: Mapping[str, str]) -> None:
  """Writes each file whole or not at all."""
  folder = pathlib.Path(out)
  with writing(f"--out={out}"):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
      atomic.write(folder / name, text)
