"""The commit and the versions of libraries behind a number."""

import importlib.metadata
import pathlib
import platform
import subprocess

PACKAGES = (
  "gtzan_jax",
  "jax",
  "jaxlib",
  "flax",
  "optax",
  "orbax-checkpoint",
  "grain",
  "tensorflow-datasets",
  "librosa",
  "numpy",
  "scikit-learn",
)


def versions() -> dict[str, str]:
  """Of Python and of what the numbers depend on."""
  found = {"python": platform.python_version()}
  for name in PACKAGES:
    try:
      found[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
      continue  # run from a checkout that was not installed
  return found


def commit() -> str | None:
  """The commit of this checkout, "+" behind it where files differ; or None."""
  here = pathlib.Path(__file__).resolve().parents[2]
  try:
    described = subprocess.run(
      # --exclude: a tag's name would stand in the place of the commit.
      [
        "git",
        "describe",
        "--always",
        "--abbrev=40",
        "--exclude=*",
        "--dirty=+",
      ],
      cwd=here,
      capture_output=True,
      text=True,
      timeout=10,
    )
  except (OSError, subprocess.TimeoutExpired):
    return None
  return described.stdout.strip() or None


def short(commit: str | None) -> str:
  """As `git log` shows it, still with the "+"; "unknown" of None."""
  if commit is None:
    return "unknown"
  return commit[:8] + "+" * commit.endswith("+")
