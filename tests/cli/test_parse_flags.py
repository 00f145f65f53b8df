"""How a command line is read; nothing is trained or prepared."""

import os
import pathlib
import signal
import subprocess
import sys

import ml_collections
import numpy as np
import pytest

from gtzan_jax.cli import parse_flags, verbs
from gtzan_jax.cli.main import main
from gtzan_jax.cli.parse_flags import FLAGS
from gtzan_jax.cli.verbs import VERBS
from gtzan_jax.errors import InputError
from gtzan_jax.training import checkpoint, early_stopping, find_recipe

ROOT = pathlib.Path(__file__).resolve().parents[2]
LSTM = str(ROOT / "configs" / "lstm.py")
RECIPE = f"--config={LSTM}"


def parse(*words: str) -> parse_flags.Given:
  return parse_flags.parse(words, VERBS)


def refusal(*words: str) -> str:
  with pytest.raises(InputError) as caught:
    parse(*words)
  assert "\n" not in str(caught.value)
  return str(caught.value)


def test_a_whole_command_line():
  given = parse("sweep", RECIPE, "--config.train.epochs=3", "--retry")
  assert given.verb == "sweep"
  assert given.recipe == LSTM
  assert given.config.recipe == "lstm"
  assert given.config.train.epochs == 3
  assert given.overrides == {"train.epochs": 3}
  assert given.flags.retry
  assert not given.files
  given = parse("predict", "--workdir=w", "a.mp3", "--json", "--", "--b.mp3")
  assert given.files == ["a.mp3", "--b.mp3"]
  assert parse("compare", "--workdir=w").config is None


@pytest.mark.parametrize(
  "words",
  [
    ("--config.seed=7", "--config", LSTM, "--config.log.tensorboard=False"),
    ("--config", LSTM, "--config.seed", "7", "--noconfig.log.tensorboard"),
    (RECIPE, "train", "--config.seed", "7", "--noconfig.log.tensorboard"),
    ("--noconfig.log.tensorboard", "--config.seed=7", "train", RECIPE),
    ("-config", LSTM, "-config.seed=7", "-noconfig.log.tensorboard"),
    ("train", "lstm", "--config.seed=7", "--noconfig.log.tensorboard"),
    ("--config=lstm", "--config.seed=7", "--noconfig.log.tensorboard"),
  ],
  ids=" ".join,
)
def test_order_and_form_of_the_flags_do_not_matter(words):
  given = parse(*words, "--workdir", "w")
  assert given.verb == "train"
  assert given.overrides == {"seed": 7, "log.tensorboard": False}
  assert given.config.log.tensorboard is False
  assert given.flags.workdir == ["w"]


@pytest.mark.parametrize(
  ("words", "verb"),
  [
    (("--out", "predict", "explore"), "explore"),
    (("--workdir", "train", "predict"), "predict"),
    (("--config.data.path", "models", "explore"), "explore"),
    (("--json", "predict", "train"), "predict"),
    (("predict", "--workdir=w", "explore"), "predict"),
  ],
  ids=lambda value: " ".join(value),
)
def test_the_verb_is_the_first_word_that_is_no_flags_value(words, verb):
  assert parse(*words).verb == verb


@pytest.mark.parametrize(
  ("words", "message"),
  [
    ("--config=README.md", "README.md fails: SyntaxError"),
    ("--config=configs", "--config=configs: no such file; give one of conf"),
    ("--config=/", "--config=/: no such file"),
    ("--config=launch.py", "launch.py has no get_config()"),
    ("train", "--config is needed: one of configs/"),
    ("train lsmt", "--config=lsmt: no such file; give one of configs/"),
    ("train lstm resnet", "unexpected 'resnet': train takes only flags"),
    (
      "RECIPE --config.train=2",
      "'train' is a section; its keys are train.batch_si",
    ),
    ("RECIPE --config.data.path.x=2", "unknown key 'x'; accepted: "),
    ("RECIPE --config.model.dens=2", "unknown key 'dens'"),
    (
      "RECIPE --config.data.path=",
      "--config.data.path=: give a path, or leave it",
    ),
    ("RECIPE prepare --archive=", "--archive=: give a value, or leave it out"),
    (
      "RECIPE --workdir=a --workdir=",
      "--workdir=: give a value, or leave it out",
    ),
    ("RECIPE --noretry=1 sweep", "--noretry: ignored explicit argument '1'"),
    ("predict --workdir", "--workdir: expected one argument"),
    # what a verb does not use
    ("compare --config.data.path=x", "path=x: --config is for train, "),
    ("predict --config.data.path=x", "not used by predict, which accepts --co"),
    ("predict --config=x", "--config is for train, "),
    ("evaluate RECIPE", "--config is for train, "),
    ("explore --config.train.epochs=3", "not used by explore, which accepts"),
    ("explore --config.data.fold=3", "accepts --config.data.path, --config.da"),
    ("RECIPE prepare --config.train.epochs=3", "not used by prepare"),
    ("evaluate --config.data.features=x", "not used by evaluate"),
    ("models --json", "--json is for predict; models does not take it"),
    ("RECIPE sweep --nojson", "--json is for predict; sweep does not take it"),
    ("models twice", "unexpected 'twice': models takes only flags (--out)"),
    ("generate --count=1000000000", "--count=1000000000: give a whole number"),
    ("generate --count=many", "--count=many: give a whole number from 1 to"),
    ("generate --count=0", "--count=0: give a whole number from 1 to 100000"),
    ("generate --seed -1", "--seed=-1: give a whole number from 0 to 429496"),
    ("RECIPE leak --seeds=1000000000", "--seeds=1000000000: give a whole num"),
    (f"predict --workdir={'x' * 256}", "xxx...: give text"),
    ("predict --workdir=a\0b", "--workdir='a\\x00b': give text"),
    ("failures --out=a\0b", "--out='a\\x00b': give text"),
    ("predict --workdir=a  b", "'': empty argument; remove it"),
    ("predict --wrokdir=a", "--wrokdir=a: unknown flag; predict takes --workd"),
    ("verfy results", "unexpected 'verfy': the verbs are train, "),
  ],
)
def test_mistakes(monkeypatch, words, message):
  monkeypatch.chdir(ROOT)
  assert message in refusal(*words.replace("RECIPE", RECIPE).split(" "))


@pytest.mark.parametrize(
  ("given", "accepted"),
  [
    ("train.epochs=64.5", "64.5"),
    ("train.epochs=0", "from 1 to"),
    ("train.epochs=9223372036854775808", "from 1 to"),
    ("train.batch_size=0", "from 1 to 8192"),
    ("train.batch_size=9223372036854775808", "from 1 to 8192"),
    ("train.monitor=test/loss", "'test/loss': give one of"),
    ("eval.batch_size=1000000000", "from 1 to 8192"),
    ("eval.bootstrap=1000000000000", "from 1 to"),
    ("loss.label_smoothing=-1.0", "a number from 0 and below 1"),
    ("loss.label_smoothing=1.0", "a number from 0 and below 1"),
    ("optim.learning_rate=-0.1", "a number above 0"),
    ("optim.learning_rate=0.0", "a number above 0"),
    ("optim.learning_rate=nan", "a number above 0"),
    ("optim.decay_begin=-3", "from 0 to"),
    ("augment.time_width=2.0", "from 0 to 1"),
    ("seed=-1", "from 0 to 4294967295"),
    ("seed=4294967296", "from 0 to 4294967295"),
    ("log.every_steps=0", "from 1 to"),
    ("log.tensorboard=perhaps", "perhaps"),
    (f"data.dir={'x' * 256}", "up to 255 bytes"),
    ("data.dir=caf\udce9", "in UTF-8"),
    ("data.path=a\0b", "without NUL"),
    ("data.genres=('jazz',3)", "=('jazz', 3): give 0 to"),
  ],
)
@pytest.mark.parametrize("verb", ["train", "sweep", "leak"])
def test_a_value_out_of_its_range_names_its_key(
  monkeypatch, verb, given, accepted
):
  monkeypatch.chdir(ROOT)
  text = refusal(verb, RECIPE, f"--config.{given}")
  assert f"{given.partition('=')[0]}=" in text
  assert accepted in text


@pytest.mark.parametrize(
  ("word", "value"),
  [("--retry", True), ("--noretry", False), ("--retry=false", False)],
)
def test_a_switch_has_three_spellings(word, value):
  assert parse("sweep", "--retry", word).flags.retry is value


def test_a_name_is_a_recipe_of_this_package_wherever_it_is_given(
  monkeypatch, tmp_path
):
  (tmp_path / "lstm").write_text("raise SystemExit")
  monkeypatch.chdir(tmp_path)
  for words in (("train", "lstm"), ("--config=lstm",), ("--config=lstm.py",)):
    assert pathlib.Path(parse(*words).recipe).samefile(LSTM)


def test_places_may_lie_at_home():
  given = parse("evaluate", "--workdir=~/a", "--workdir=b", "--out=~/c")
  home = pathlib.Path.home()
  assert given.flags.workdir == [f"{home}/a", "b"]
  assert given.flags.out == f"{home}/c"


def test_a_recipe_that_is_none(tmp_path):
  file = tmp_path / "mine.py"
  for text, message in (
    ("def get_config(): return {}", "returns {}: give a ml_collections"),
    ("import no_such_module", "fails: ModuleNotFoundError"),
    ("def get_config(): return 1 / 0", "fails: ZeroDivisionError"),
  ):
    file.write_text(text)
    with pytest.raises(InputError, match=message):
      find_recipe.load(file)


@pytest.mark.parametrize("verb", [None, *VERBS])
def test_help_names_the_flags(capsys, verb):
  """Whatever else is wrong with the line."""
  words = ["--jsn", "--help", *([verb] if verb else [])]
  assert main(["launch.py", *words]) == 0
  out = capsys.readouterr().out
  flags = {word for line in out.splitlines() for word in line.split()[:1]}
  flags = {word for word in flags if word.startswith("--")}
  names = VERBS[verb].flags if verb else FLAGS
  assert flags >= {f"--{name}" for name in names}
  if verb is None:
    assert all(f"\n  {name} " in out for name in VERBS)
  else:
    assert f"gtzan {VERBS[verb].example}\n" in out
    assert ("--config." in out) == (VERBS[verb].keys != ())


def test_verbs_take_flags_and_keys_that_there_are():
  config = find_recipe.load(ROOT / "configs" / "default.py")
  taken = {flag for verb in VERBS.values() for flag in verb.flags}
  assert taken == set(FLAGS)
  for verb in VERBS.values():
    assert verb.function.__doc__
    for key in verb.keys or ():
      find_recipe.check_key(key, key, config)


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["--help"], ["models"]])
def test_who_has_read_enough_gets_no_traceback(arguments):
  reader, writer = os.pipe()
  os.close(reader)
  done = subprocess.run(
    [sys.executable, ROOT / "launch.py", *arguments],
    stdout=writer,
    stderr=subprocess.PIPE,
    text=True,
  )
  os.close(writer)
  assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, "")


@pytest.mark.parametrize(
  ("done", "message"),
  [
    ({"evaluations": 8}, "warning: this run stopped at epoch 8 of 400"),
    ({"evaluations": 400}, ""),
    ({"evaluations": 8, "evals_since_best": 5}, ""),  # stopped early
  ],
)
def test_a_run_that_was_stopped_half_way(tmp_path, capsys, done, message):
  last = checkpoint.Store(tmp_path / "last", writable=True)
  facts = {
    "progress": early_stopping.Progress(**done).to_dict(),
    "epoch_steps": 3,
  }
  last.save({"x": np.zeros(1)}, facts)
  last.wait()
  last.close()
  config = ml_collections.ConfigDict(
    {"task": "classify", "train": {"epochs": 400, "max_steps": 0}}
  )
  config.train.patience = 5
  verbs.warn_unfinished(tmp_path, config)
  out = capsys.readouterr().out
  assert out.startswith(message)
  assert bool(out) == bool(message)
