"""Command lines that README, docs, recipes, benchmarks and --help show.

The program that each names accepts it, and the commands of README run. A
command added to a page is tested from then on.
"""

import argparse
import ast
import glob
import itertools
import json
import pathlib
import re
import runpy
import shlex
import sys
import tomllib
from collections.abc import Iterator

import numpy as np
import pytest
from corpora import RATE, pack, write_sound

import tfds_gtzan
from gtzan_jax import features, models
from gtzan_jax.cli.main import VERBS, main
from tfds_gtzan.facts import track_lists

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = [
  ROOT / "README.md",
  *sorted((ROOT / "docs").rglob("*.md")),
  *sorted((ROOT / "configs").rglob("*.py")),
  *sorted((ROOT / "benchmarks").glob("*.py")),
]
COMMAND = re.compile(
  r"(?:cd \S+ && )?"
  r"(?:(?:python \S*launch\.py|python -m pytest|gtzan|make|pip install) +\S"
  r"|launch\.py [a-z-]+(?: -|$)|(?:python )?benchmarks/\w+\.py)"
)
# Paths in the repository that a command reads.
OURS = re.compile(r"(?:--(?:config|sweep|workdir)=)?(?:configs|docs|results)/")
# Placeholders of the pages.
PLACEHOLDERS = {
  "--config=...": "--config=configs/resnet.py",
  "<recipe>": "resnet",
  "[": "",
  "]": "",
  " | ": " ",
}


def shown(text: str) -> Iterator[str]:
  """The command lines in a text's code blocks (indented, fenced) and spans."""
  text = re.sub(r" *\\\n\s*", " ", text)
  fenced = False
  for line in text.splitlines():
    if line.lstrip().startswith("```"):
      fenced = not fenced
    elif (fenced or line.startswith("  ")) and COMMAND.match(line.strip()):
      yield line.strip()
  for span in re.findall(r"`([^`]+)`", re.sub(r"(?s)```.*?```", "", text)):
    span = " ".join(span.split())
    if COMMAND.match(span):
      yield span


def of_page(page: pathlib.Path) -> Iterator[str]:
  text = page.read_text()
  if page.suffix == ".py":
    text = ast.get_docstring(ast.parse(text)) or ""
  return shown(text)


def words_of(command: str) -> list[str]:
  """Without comments, and with something in the place of placeholders."""
  for placeholder, value in PLACEHOLDERS.items():
    command = command.replace(placeholder, value)
  command = command.rpartition(" && ")[2].partition(" (")[0]
  command = command.partition(" > ")[0].replace("{0,1,2}", "0")
  words = shlex.split(command, comments=True)
  return [word for word in words if word != "..."]


class Understood(Exception):
  """Raised where a benchmark would begin its work."""


@pytest.fixture
def understand(monkeypatch):
  """Parses a command line by the program that it names; nothing is run."""
  monkeypatch.chdir(ROOT)
  given = []
  for name, verb in VERBS.items():
    kept = verb._replace(function=lambda line: given.append(line) or 0)
    monkeypatch.setitem(VERBS, name, kept)
  parse_args = argparse.ArgumentParser.parse_args

  def parse(self, *args, **kwargs):
    parse_args(self, *args, **kwargs)
    raise Understood

  monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse)

  def check(command: str) -> None:
    words = words_of(command)
    for word in words:
      if OURS.match(word) and not command.startswith("cd "):
        assert_ours(word.rpartition("=")[2])
    words = words[words[0] == "python" :]
    if words[:2] == ["-m", "pytest"]:
      assert all((ROOT / place).exists() for place in words[2:])
    elif words[0] == "make":
      assert re.search(f"(?m)^{words[1]}:", (ROOT / "Makefile").read_text())
    elif words[0] == "pip":
      check_install(words[2:])
    elif words[0].startswith("benchmarks/") and words[1:]:
      monkeypatch.setattr(sys, "argv", words)
      with pytest.raises(Understood):
        runpy.run_path(words[0], run_name="__main__")
    elif words[0].startswith("benchmarks/"):
      assert (ROOT / words[0]).is_file()
    elif words[1:] not in [[verb] for verb in VERBS]:  # a name in a sentence
      assert main(["launch.py", *words[1:]]) == 0, command
      while given:
        check_given(given.pop())

  return check


def assert_ours(path: str) -> None:
  """A file or folder, or packed runs in a folder of results/."""
  packed = [*ROOT.glob("/".join(path.split("/")[:2]) + "/runs.json")]
  runs = json.loads(packed[0].read_text())["runs"] if packed else {}
  below = "/".join(path.split("/")[2:])
  known = [name for name in runs if f"{name}/".startswith(f"{below}/")]
  assert glob.glob(path) or known, path


def check_given(line) -> None:
  """Names in the config that the verb would refuse."""
  if line.flags.sweep:
    assert (ROOT / line.flags.sweep).is_file()
  if line.config:
    assert line.config.data.protocol in tfds_gtzan.PROTOCOLS
    assert line.config.data.features in features.FEATURES
    if line.config.task == "classify":
      assert line.config.model.name in models.MODELS


def check_install(words: list[str]) -> None:
  """The files and extras given to pip exist."""
  project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
  for flag, word in itertools.pairwise(words):
    if flag in ("-r", "-c"):
      assert (ROOT / word).is_file()
  for word in words:
    name, _, extras = word.partition("[")
    if name in (".", project["name"]):
      asked = set(filter(None, extras.removesuffix("]").split(",")))
      assert asked <= set(project["optional-dependencies"])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_commands_that_a_page_shows_are_understood(page, understand):
  for command in of_page(page):
    understand(command)


def test_the_commands_that_help_shows_are_understood(capsys, understand):
  main(["launch.py", "--help"])
  commands = list(shown(capsys.readouterr().out))
  assert len(commands) > 10
  for command in commands:
    understand(command)


# README's commands on small files, with a baseline for each recipe.
NAMES = {
  r"/path/to/gtzan|(?<=data\.path=)\.\.\.": "gtzan",
  r"(?<=verify )\S+": "A",
  r"(?<=gtzan train )\w+": r"configs/\g<0>.py",
}
TINY = {"eval.bootstrap": 10, "data.tracks_per_genre": 3}
BASELINE = """
from gtzan_jax.recipes import majority
def get_config():
  config = majority.get_config()
  config.recipe = {name!r}
  return config
"""


@pytest.fixture
def small(monkeypatch, tmp_path, data_dir):
  """A command of README -> its words, for the files of the working folder."""
  monkeypatch.chdir(tmp_path)
  for file in ROOT.glob("configs/*.py"):
    recipe = tmp_path / "configs" / file.name
    recipe.parent.mkdir(exist_ok=True)
    recipe.write_text(BASELINE.format(name=file.stem))
  rng = np.random.default_rng(0)
  files = ["OTHER/jazz/a.wav", "folder/b.wav", "song.mp3"]
  for ids in track_lists.splits("filtered").values():
    for genre in tfds_gtzan.GENRES:
      names = sorted(name for name in ids if name.startswith(genre))[:2]
      files += [f"gtzan/{genre}/{name}.wav" for name in names]
  for name in files:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    write_sound(tmp_path / name, rng.normal(0, 0.1, 3 * RATE), RATE)
  pack(tmp_path / "folder", tmp_path / "music.zip")

  def make(command: str) -> list[str]:
    for name, value in NAMES.items():
      command = re.sub(name, value, command)
    words = words_of(command)[command.startswith("python ") :]
    verb = next((word for word in words if word in VERBS), "train")
    keys = VERBS[verb].keys if command.count("--workdir") < 2 else ()
    changed = {"data.dir": data_dir, "log.compilation_cache": ""}
    changed |= TINY if "config" in VERBS[verb].flags else {}
    for key, value in changed.items():
      if keys is None or key in keys:
        words.append(f"--config.{key}={value}")
    return words

  return make


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn", "text_only")
def test_the_commands_of_the_readme_run(small, capfd, tmp_path):
  makefile = (ROOT / "Makefile").read_text()
  demo = re.search(r"(?s)\ndemo:.*?(launch\.py .*?)\n", makefile)[1]
  baseline = "launch.py --config=configs/majority.py --config.data.path=gtzan"
  commands = [
    demo,
    f"{baseline} --workdir=A --config.seed=0",
    f"{baseline} --workdir=B --config.seed=1",
    *of_page(ROOT / "README.md"),
  ]
  tested_elsewhere = {"--download", "sweep", "crossval", "generate"}
  for command in commands:
    words = small(command)
    if words[0] not in ("launch.py", "gtzan") or len(words) < 3:
      continue
    if not tested_elsewhere & {*words}:
      assert main(words) == 0, f"{words}: {capfd.readouterr()}"
  page = tmp_path / "runs" / "look" / "explore.html"
  assert f"page: {page.relative_to(tmp_path)}\n" in capfd.readouterr().out
