"""`launch.py failures`: computes, prints and writes."""

import os
import pathlib
from collections.abc import Mapping, Sequence

from gtzan_jax.errors import InputError, writing
from gtzan_jax.reports import report
from gtzan_jax.studies.failures import measure, page


def write(result: Mapping, out: str | os.PathLike) -> pathlib.Path:
  """Writes failures.png, failures.md and, last, failures.json into a folder."""
  out = pathlib.Path(out)
  with writing(f"--out={out}"):
    out.mkdir(parents=True, exist_ok=True)
    page.document(result).write(out, page.FILE)
    report.save(out / measure.FILE, result)
  return out / measure.FILE


def run(
  paths: Sequence[str | os.PathLike], out: str | os.PathLike | None
) -> int:
  """Prints the main lines and writes the rest into `out`."""
  if not out:
    raise InputError("--out is needed: the folder for what is found")
  result = measure.compute(paths, out)
  written = write(result, out)
  print("\n".join(page.lines(result)))
  print(f"failures: {written}")
  return 0
