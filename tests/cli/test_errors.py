"""What a user can get wrong: one line, a status, and nothing left behind."""

import errno
import json
import os
import pathlib
import subprocess
import sys
import time

import jax
import numpy as np
import pytest
from corpora import archive_arrays, write_archive, write_folder
from stored import run_json

from gtzan_jax.cli.command_line import Verb
from gtzan_jax.cli.main import LONGEST
from gtzan_jax.cli.main import main as run_main
from gtzan_jax.cli.verbs import VERBS
from gtzan_jax.data.open_dataset import open_dataset
from gtzan_jax.training import find_recipe, workdir
from gtzan_jax.training.run_json import SCHEMA
from tfds_gtzan import download

ROOT = pathlib.Path(__file__).resolve().parents[2]
QUICKSTART = f"--config={ROOT / 'configs' / 'quickstart.py'}"
# Two genres of ten tracks: the twentieth part, one track, may be unreadable.
MUSIC = {"blues": [3.0] * 10, "rock": [3.0] * 10}


class Pickled:
  """What an archive would run if it were unpickled."""

  def __init__(self, path: pathlib.Path):
    self._path = path

  def __reduce__(self):
    return pathlib.Path.touch, (self._path,)


@pytest.fixture
def call(capfd):
  """launch.main -> (status, stdout, lines of stderr)."""

  def main(*arguments: str) -> tuple[int, str, list[str]]:
    capfd.readouterr()
    status = run_main(["launch.py", *map(str, arguments)])
    out, err = capfd.readouterr()
    return status, out, err.splitlines()

  return main


@pytest.fixture
def train(call, tmp_path):
  """`call` with the arguments that every run here needs.

  Prepared data goes to tmp_path/prepared, the run to tmp_path/run.
  """

  def main(*arguments: str, config: str = QUICKSTART):
    return call(
      config,
      f"--workdir={tmp_path / 'run'}",
      f"--config.data.dir={tmp_path / 'prepared'}",
      "--config.data.tracks_per_genre=3",
      "--config.log.compilation_cache=",
      *arguments,
    )

  return main


def assert_one_line(answer: tuple[int, str, list[str]], *words: object) -> None:
  status, _, lines = answer
  assert status == 2
  assert len(lines) == 1, lines
  assert lines[0].startswith("error: ")
  for word in words:
    assert str(word) in lines[0]


def assert_nothing_left(tmp_path: pathlib.Path) -> None:
  """No workdir, and no data set that is not whole."""
  assert not (tmp_path / "run").exists()
  prepared = tmp_path / "prepared"
  assert not list(prepared.rglob("*incomplete*"))
  for folder in prepared.glob("*/tfds_gtzan"):
    assert list(folder.glob("*/*/dataset_info.json")), folder


@pytest.fixture(scope="module")
def shared_music(tmp_path_factory):
  return write_folder(tmp_path_factory.mktemp("music"), MUSIC)


# Recipe, flags after --config., and words of the error: the value received and
# those accepted. MUSIC stands for a folder of sound.
WRONG = [
  ("quickstart", "train.epochs=64.5", "train.epochs 64.5 int"),
  ("quickstart", "log.tensorboard=perhaps", "log.tensorboard perhaps"),
  ("quickstart", "train.epochs=0", "config.train.epochs=0: from 1 to"),
  ("quickstart", "train.batch_size=0", "config.train.batch_size=0:"),
  ("quickstart", "train.monitor=test/loss", "'test/loss' validation/loss"),
  ("quickstart", "optim.learning_rate=nan", "learning_rate=nan: 0 to 10"),
  ("quickstart", "data.genres=('jazz',3)", "=('jazz', 3): values, each text"),
  ("quickstart", "model.name=vgg", "'vgg' mel_cnn resnet"),
  ("quickstart", "data.features=mfc", "'mfc' mfcc_slices"),
  ("quickstart", "data.path=/no/such", "/no/such does not exist folder"),
  ("majority", "train.init_from=x.npz", "init_from=x.npz: remove it"),
  ("mobilenet_v2", "train.epochs=1", "frozen=True init_from"),
  ("mobilenet_v2", "train.init_from=X.SAFETENSORS", "='tf' padding=torch"),
  ("quickstart", "data.path=MUSIC data.protocol=kfold", "'kfold' kfold10"),
  (
    "quickstart",
    "data.path=MUSIC data.protocol=kfold10 data.fold=10",
    "fold 10 'kfold10' 0 to 9",
  ),
  (
    "quickstart",
    "data.path=MUSIC data.protocol=kfold10 data.fold=-1",
    "fold -1 0 to 9",
  ),
  ("quickstart", "data.path=MUSIC data.fold=1", "fold 1 only 0"),
  (
    "quickstart",
    "data.path=MUSIC data.splits=a.csv data.fold=1",
    "fold 1 config.data.splits config.data.fold=0",
  ),
  (
    "quickstart",
    "data.path=MUSIC data.train_fraction=0.0",
    "train_fraction (0, 1]",
  ),
  ("quickstart", "data.path=MUSIC optim.name=lion", "'lion' adamw"),
  ("quickstart", "data.path=MUSIC optim.schedule=step", "'step' cosine"),
]


@pytest.mark.parametrize(("recipe", "given", "words"), WRONG)
def test_a_wrong_value(train, tmp_path, shared_music, recipe, given, words):
  keys = given.replace("MUSIC", str(shared_music)).split()
  flags = [f"--config.{key}" for key in keys]
  assert_one_line(train(*flags, config=f"--config={recipe}"), *words.split())
  assert_nothing_left(tmp_path)
  if "MUSIC" not in given:
    assert not list(tmp_path.glob("prepared/*/tfds_gtzan")), "prepared first"


def test_a_split_that_the_corpus_cannot_carry(train, tmp_path):
  root = write_folder(tmp_path / "music", {"dub": [3.0] * 3, "ska": [3.0] * 3})
  answer = train(
    f"--config.data.path={root}", "--config.data.protocol=stratified"
  )
  assert_one_line(answer, "'stratified'", "GTZAN", "tracks_70_10_20")
  assert_nothing_left(tmp_path)
  (root / "ska" / "ska.00001.wav").write_bytes(b"")
  answer = train(f"--config.data.path={root}")
  assert_one_line(answer, "the genre ska has 2 tracks and needs at least 3")
  assert "skipped: ska.00001: ska.00001.wav: empty file" in answer[1]


def empty(root):
  root.mkdir()
  return "holds no track"


def one_genre(root):
  write_folder(root, {"blues": [3.0, 3.0]})
  return "one genre only (blues)"


def a_folder_of_other_files(root):
  root.mkdir()
  (root / "notes.txt").write_text("nothing to hear")
  return "holds no track"


def zero_bytes(root):
  _spoil(write_folder(root, MUSIC), lambda content: b"")
  return "rock.00000.wav: empty file (0 bytes)"


def truncated(root):
  _spoil(write_folder(root, MUSIC), lambda content: content[:50_000])
  return "rock.00000.wav: truncated"


def renamed(root):
  _spoil(write_folder(root, MUSIC), lambda content: b"%PDF-1.7 " * 999)
  return "rock.00000.wav: not decodable as audio"


def _spoil(root, change):
  """Two tracks of twenty: more than the 5 % that may be skipped."""
  for number in range(2):
    file = root / "rock" / f"rock.{number:05d}.wav"
    file.write_bytes(change(file.read_bytes()))


def a_genre_without_a_readable_track(root):
  write_folder(root, {"blues": [3.0] * 25, "rock": [3.0]})
  (root / "rock" / "rock.00000.wav").write_bytes(b"")
  return "genre rock"


def wrong_shape(root):
  write_archive(root.with_suffix(".npz"), mel=np.zeros((3, 387), np.uint8))
  root.with_suffix(".npz").rename(root)
  return "'mel' is uint8 (3, 387)"


def pickled(root):
  objects = np.array([Pickled(root.with_name("ran"))] * 3)
  write_archive(root.with_suffix(".npz"), genre=objects)
  root.with_suffix(".npz").rename(root)
  return "pickled objects"


def no_archive(root):
  root.write_text("not a zip")
  return "is no .npz archive"


@pytest.mark.parametrize(
  "spoilt",
  [
    empty,
    one_genre,
    a_folder_of_other_files,
    zero_bytes,
    truncated,
    renamed,
    a_genre_without_a_readable_track,
    wrong_shape,
    pickled,
    no_archive,
  ],
)
def test_an_unusable_corpus(train, tmp_path, spoilt):
  message = spoilt(tmp_path / "music")
  answer = train(f"--config.data.path={tmp_path / 'music'}")
  assert_one_line(answer, message)
  assert_nothing_left(tmp_path)
  assert not list((tmp_path / "prepared").glob("*/tfds_gtzan"))
  assert not (tmp_path / "ran").exists(), "a pickled object was run"


def test_one_unreadable_track_in_twenty_is_skipped_by_name(call, tmp_path):
  root = write_folder(tmp_path / "music", MUSIC)
  (root / "rock" / "rock.00003.wav").write_bytes(b"")
  status, out, _ = call(
    *("prepare", QUICKSTART, f"--config.data.path={root}"),
    f"--config.data.dir={tmp_path / 'prepared'}",
  )
  assert status == 0
  assert "skipped: rock.00003: rock.00003.wav: empty file (0 bytes)" in out
  assert "19 tracks" in out


@pytest.mark.parametrize(
  ("arguments", "words"),
  [
    (
      ["prepare", QUICKSTART, "--download", "--config.data.path=/music"],
      ("--download", "--config.data.path=/music", "one of the two"),
    ),
    (
      ["prepare", QUICKSTART, "--columns_per_second=12.9"],
      ("--columns_per_second=12.9", "--archive"),
    ),
    (
      ["prepare", QUICKSTART, "--archive=a.npz", "--columns_per_second=50"],
      ("50", "43.07"),
    ),
    (
      ["prepare", QUICKSTART, "--archive=a.npz", "--config.data.genres=('a',)"],
      ("--config.data.genres", "the whole corpus", "--config.data.path"),
    ),
    (
      ["prepare", QUICKSTART, "--archive=a.npz", "--beam_options=x"],
      ("--beam_options", "in this process"),
    ),
    (
      ["prepare", QUICKSTART, "--archive=a.zip", "--config.data.path=/no"],
      ("a.zip", ".npz"),
    ),
    (["explore", "--config.data.path=/no/such"], ("/no/such", "not exist")),
    (["sweep", "--sweep=no.py"], ("no.py", "configs/sweeps/seeds.py")),
    (["sweep"], ("--sweep is needed", "configs/sweeps/seeds.py")),
  ],
  ids=lambda value: str(value)[:60],
)
def test_a_flag_of_another_verb_or_value(
  call, monkeypatch, tmp_path, arguments, words
):
  monkeypatch.chdir(tmp_path)
  assert_one_line(call(*arguments), *words)


def test_a_protocol_is_checked_before_a_download(call, monkeypatch):
  monkeypatch.setattr(download, "fetch", lambda *_: pytest.fail("downloads"))
  wrong = "--config.data.protocol=kfold"
  assert_one_line(call("prepare", QUICKSTART, "--download", wrong), "'kfold'")


def test_prepare_can_write_an_archive(call, tmp_path):
  root = write_folder(tmp_path / "music", {"blues": [3.0] * 2, "rock": [3.0]})
  out = tmp_path / "out.npz"
  status, said, _ = call(
    *("prepare", QUICKSTART, f"--config.data.path={root}"),
    *(f"--config.data.dir={tmp_path / 'prepared'}", f"--archive={out}"),
  )
  assert status == 0
  assert f"archive: {out}, 3 tracks of 39 columns, 12.90 a second" in said
  with np.load(out) as arrays:
    assert arrays["mel"].shape == (3, 128, 39)


@pytest.mark.slow
def test_explore_writes_a_page(call, tmp_path):
  root = write_folder(tmp_path / "music", {"blues": [3.0] * 2, "rock": [3.0]})
  status, said, _ = call(
    *("explore", f"--config.data.path={root}", f"--out={tmp_path / 'look'}"),
    f"--config.data.dir={tmp_path / 'prepared'}",
  )
  assert status == 0
  assert f"page: {tmp_path / 'look' / 'explore.html'}" in said
  facts = json.loads((tmp_path / "look" / "explore.json").read_text())
  assert facts["genres"] == ["blues", "rock"]


@pytest.mark.parametrize("verb", ["prepare", "train", "crossval", "leak"])
def test_splits_are_no_genres(call, tmp_path, verb):
  """Whatever opens such a corpus refuses it, before it prepares a thing."""
  root = tmp_path / "music"
  for split in ("train", "test"):
    write_folder(root / split, {"blues": [1.0] * 3, "rock": [1.0] * 3})
  given = [
    *(verb, QUICKSTART, f"--config.data.path={root}"),
    f"--config.data.dir={tmp_path / 'prepared'}",
  ]
  if verb != "prepare":
    given.append(f"--workdir={tmp_path / 'run'}")
  if verb == "crossval":
    given.append("--config.data.protocol=kfold10")
  assert_one_line(
    call(*given),
    *("2 of 2 genres are named like splits: test; train", "(blues, rock)"),
    "--config.data.allow=split_names permits it",
  )
  assert not list((tmp_path / "prepared").glob("audio*"))
  assert_one_line(
    call(*given, "--config.data.allow=splits"), "allow=splits", "split_names"
  )
  if verb == "prepare":
    status, said, _ = call(*given, "--config.data.allow=split_names")
    assert status == 0
    assert "warning: 2 of 2 genres are named like splits: test; train" in said
    assert "corpus: audio, 12 tracks, 2 genres (test, train), 12 seg" in said
    groups = "warning: 6 groups of identical tracks across genres: "
    assert f"{groups}test/blues/blues.00000 = train/blues/blues.00000" in said
    config = find_recipe.load(QUICKSTART.partition("=")[2])
    config.data.update(path=str(root), dir=str(tmp_path / "prepared"))
    config.data.allow = ("split_names",)
    found = [one["check"] for one in open_dataset(config).warnings]
    assert found[0] == "split_names"
    assert "identical_genres" in found


def test_waveform_noise_is_refused_on_a_log_mel_archive(train, tmp_path):
  """An archive of enough tracks, so that nothing else is wrong with it."""
  tracks = [f"{genre}.{i:05d}" for genre in MUSIC for i in range(20)]
  path = tmp_path / "music.npz"
  np.savez(path, **archive_arrays(tracks))
  answer = train(
    f"--config.data.path={path}", "--config.augment.noise_probability=0.5"
  )
  assert_one_line(answer, "noise_probability", "waveform")
  assert_nothing_left(tmp_path)


# Workdirs.


@pytest.fixture
def run_of_resnet(tmp_path) -> pathlib.Path:
  """What a run of another recipe leaves when it has just begun."""
  path = tmp_path / "run"
  path.mkdir()
  run = run_json(tmp_path / "prepared")
  (path / workdir.RUN_FILE).write_text(json.dumps(run))
  return path


def _listing(path: pathlib.Path) -> dict[str, bytes]:
  return {
    file.name: file.read_bytes() if file.is_file() else b""
    for file in path.iterdir()
  }


@pytest.mark.slow
def test_the_fingerprint_decides_whether_data_is_the_same(
  train, tmp_path, monkeypatch
):
  """And not its path, which may be written in many ways or have been moved."""
  monkeypatch.chdir(tmp_path)
  music = write_folder(tmp_path / "music", dict.fromkeys(MUSIC, [3.0] * 3))
  (tmp_path / "link").symlink_to(music)

  def again(path):
    return train(
      *("--config.data.features=mfcc_slices", f"--config.data.path={path}"),
      config=f"--config={ROOT / 'configs' / 'majority.py'}",
    )

  assert again("music")[0] == 0
  for path in (music, "music/", tmp_path / "prepared" / ".." / "music", "link"):
    status, said, _ = again(path)
    assert status == 0
    assert "already finished" in said
  music.rename(tmp_path / "moved")
  assert "already finished" in again("moved")[1]
  run = json.loads((tmp_path / "run" / workdir.RUN_FILE).read_text())
  assert run["data_path"] == str(tmp_path / "moved")
  # Other content, under another path and under the same one.
  before = _listing(tmp_path / "prepared")
  write_folder(tmp_path / "other", dict.fromkeys(MUSIC, [3.0] * 4))
  assert_one_line(again("other"), "was trained on data", "is now 'other'")
  one, other = (tmp_path / f"moved/{g}/{g}.00000.wav" for g in MUSIC)
  one.write_bytes(other.read_bytes())
  assert_one_line(again("moved"), "was trained on data", "have changed")
  assert _listing(tmp_path / "prepared") == before


def test_a_folder_of_something_else_is_no_workdir(train, tmp_path):
  (tmp_path / "run").mkdir()
  (tmp_path / "run" / "thesis.tex").write_text("precious")
  assert_one_line(train(), tmp_path / "run", "give an empty or new folder")
  assert _listing(tmp_path / "run") == {"thesis.tex": b"precious"}


def test_a_file_is_no_workdir(train, tmp_path):
  (tmp_path / "run").write_text("precious")
  assert_one_line(train(), tmp_path / "run", "is a file")
  assert (tmp_path / "run").read_text() == "precious"


@pytest.mark.parametrize("verb", ["evaluate", "predict"])
def test_verbs_that_need_a_trained_workdir(call, tmp_path, verb):
  files = [__file__] if verb == "predict" else []
  assert_one_line(call(verb, *files), "--workdir is needed")
  missing = tmp_path / "no"
  answer = call(verb, f"--workdir={missing}", *files)
  assert_one_line(answer, missing, "no such folder", "train first")
  assert not missing.exists()
  answer = call(verb, f"--workdir={tmp_path}", *files)
  assert_one_line(answer, tmp_path, "run.json")
  assert not list(tmp_path.iterdir())
  (tmp_path / "run.json").mkdir()
  answer = call(verb, f"--workdir={tmp_path}", *files)
  assert_one_line(answer, tmp_path / "run.json", "cannot be read")


@pytest.mark.parametrize(
  "text",
  [
    *("{}", "[]", '{"recipe": "resnet"}'),
    json.dumps({key: {} for key in SCHEMA}),
  ],
)
@pytest.mark.parametrize("verb", ["evaluate", "predict"])
def test_a_run_of_other_code(call, run_of_resnet, verb, text):
  (run_of_resnet / workdir.RUN_FILE).write_text(text)
  answer = call(verb, f"--workdir={run_of_resnet}", __file__)
  if verb == "evaluate":
    answer = call(verb, f"--workdir={run_of_resnet}")
  assert_one_line(answer, workdir.RUN_FILE, "does not match this version")


@pytest.mark.parametrize(
  ("arguments", "words"),
  [
    (["--config.train.epochs=3"], ("train.epochs=3", "--config.data.path")),
    (["--config.data.pth=/music"], ("data.pth=/music", "'pth'", "path")),
    (["--config.data.tracks_per_genre=3"], ("tracks_per_genre", "data.path")),
    (["--config.data.path=/no/such"], ("/no/such", "does not exist")),
    (["--out=results"], ("--out=results", "--config.data.path=OTHER")),
    (["--config.data.path="], ("data.path=:", "the run's own corpus")),
    ([QUICKSTART], ("--config is for train", "evaluate does not take it")),
    (["--workdir=b", "--config.data.path=/music"], ("/music", "each run")),
  ],
  ids=lambda value: str(value)[-30:],
)
def test_evaluate_takes_the_workdirs_config(
  call, run_of_resnet, arguments, words
):
  before = _listing(run_of_resnet)
  answer = call("evaluate", f"--workdir={run_of_resnet}", *arguments)
  assert_one_line(answer, *words)
  assert _listing(run_of_resnet) == before


@pytest.mark.slow
def test_an_external_test_of_a_corpus(call, train, tmp_path):
  """Trained on the synthetic corpus; tested on a folder of sound."""
  small = ("--config.train.max_steps=1", "--config.data.features=mfcc_slices")
  config = f"--config={ROOT / 'configs' / 'majority.py'}"
  assert train(*small, config=config)[0] == 0
  music = write_folder(tmp_path / "music", {"Blues": [3.0] * 2, "ska": [3.0]})
  run = tmp_path / "run"
  here = (f"--workdir={run}", f"--config.data.dir={tmp_path / 'prepared'}")
  other = (f"--config.data.path={music}", "--config.log.compilation_cache=")
  status, out, _ = call("evaluate", *here, *other)
  assert status == 0
  assert "external test: 2 of 3 tracks" in out
  (folder,) = run.glob("external-*")
  assert f"report: {folder / 'report.html'}" in out
  report = json.loads((folder / "report.json").read_text())
  assert report["external"]["path"] == str(music)
  page = (folder / "report.html").read_text()
  assert "External test" in page
  assert "Blues as blues" in page
  out = f"--out={tmp_path / 'more'}"
  status, out, _ = call("evaluate", *here, *other, out)
  assert status == 0
  assert (tmp_path / "more" / "report.json").is_file()


def test_a_strangers_config_names_no_place_to_write_or_load_from(
  call, run_of_resnet, shared_music, tmp_path
):
  """They are those of the command line; only data is read, and named."""
  run = run_json(tmp_path / "evil")
  run["config"]["log"]["compilation_cache"] = str(tmp_path / "evil")
  run["data_path"] = str(shared_music)
  (run_of_resnet / workdir.RUN_FILE).write_text(json.dumps(run))
  cache = jax.config.jax_compilation_cache_dir
  for verb in ("robustness", "evaluate", "explain"):
    answer = call(
      verb,
      f"--workdir={run_of_resnet}",
      f"--config.data.dir={tmp_path / 'own'}",
      "--config.log.compilation_cache=",
      *(["blues/0.wav"] if verb == "explain" else []),
    )
    assert answer[0] == 2, answer  # never trained, and of other data
    assert f"data: {shared_music}, as {run_of_resnet}" in answer[1]
  assert jax.config.jax_compilation_cache_dir == cache
  assert not (tmp_path / "evil").exists()
  assert (tmp_path / "own").is_dir()


def test_predict_needs_files(call, run_of_resnet):
  answer = call("predict", f"--workdir={run_of_resnet}")
  assert_one_line(answer, "files or folders")


def test_predict_needs_a_checkpoint(call, run_of_resnet):
  answer = call("predict", f"--workdir={run_of_resnet}", __file__)
  assert_one_line(
    answer, run_of_resnet / "best", "no checkpoint", "train first"
  )
  assert [file.name for file in run_of_resnet.iterdir()] == [workdir.RUN_FILE]


# As a user meets it: another process, whatever libraries print included.


@pytest.mark.slow
def test_the_command_itself(tmp_path):
  began = time.monotonic()
  done = subprocess.run(
    [
      sys.executable,
      ROOT / "launch.py",
      QUICKSTART,
      f"--workdir={tmp_path / 'run'}",
      f"--config.data.dir={tmp_path / 'prepared'}",
      "--config.data.path=no/such",
    ],
    cwd=tmp_path,
    env={**os.environ, "XLA_FLAGS": ""},
    capture_output=True,
    text=True,
    timeout=120,
  )
  answer = done.returncode, done.stdout, done.stderr.splitlines()
  assert_one_line(answer, "no/such", "does not exist")
  assert not done.stdout
  assert_nothing_left(tmp_path)
  assert time.monotonic() - began < 60


def shell(command: str, verb: str = "", **environment: str):
  """launch.py by a shell; `verb` is the body of a verb of that name."""
  program = ROOT / "launch.py"
  if verb:
    body = verb.replace("\n", "\n  ")
    program = f"""
import gc, os, signal, sys, time
sys.argv[0] = "launch.py"
from gtzan_jax.cli.main import VERBS, main
from gtzan_jax.cli.command_line import Verb
def verb(given):
  {body}
  return 0
VERBS["models"] = Verb(verb)
sys.exit(main(["launch.py", "models"]))
"""
  return subprocess.run(
    [
      "bash",
      "-c",
      command,
      sys.executable,
      *(("-c",) if verb else ()),
      program,
    ],
    cwd=ROOT,
    env={**os.environ, "XLA_FLAGS": "", **environment},
    capture_output=True,
    text=True,
    timeout=60,
  )


@pytest.mark.slow
@pytest.mark.parametrize(
  ("command", "status", "err"),
  [
    (
      '"$0" "$@" --help >/dev/full',
      2,
      "error: standard output: No space left on device\n",
    ),
    (
      '"$0" "$@" --help >&-',
      2,
      "error: standard output is closed: give >/dev/null for none\n",
    ),
    ('"$0" "$@" --help 2>&-', 0, ""),
    ('"$0" "$@" --hulp 2>/dev/full', 2, ""),
    ('"$0" "$@" --hulp >&- 2>&-', 2, ""),
  ],
)
def test_a_full_or_closed_console(command, status, err):
  done = shell(command)
  assert (done.returncode, done.stderr) == (status, err)


def test_a_terminal_that_knows_ascii_alone():
  done = shell('"$0" "$@"', "print('jazz', '재즈')", PYTHONIOENCODING="ascii")
  assert (done.returncode, done.stdout) == (0, "jazz \\uc7ac\\uc988\n")


@pytest.mark.parametrize("error", ["ENOSPC", "EDQUOT", "EFBIG", "EROFS"])
def test_what_the_system_refuses_is_one_line(call, monkeypatch, error):
  number = getattr(errno, error)

  def fail(given):
    raise OSError(number, os.strerror(number), "/a/place\n")

  def fail_in_a_library(given):
    raise ValueError(f"UNAVAILABLE: {os.strerror(number)}\n[x.cc:3]")

  for verb, words in ((fail, "/a/place\\n: "), (fail_in_a_library, "error: ")):
    monkeypatch.setitem(VERBS, "models", Verb(verb))
    assert_one_line(call("models"), words + os.strerror(number))


def test_a_value_of_a_million_letters_is_cut_short(call, tmp_path):
  (tmp_path / "train.txt").write_text("x" * 10**6)
  (tmp_path / "test.txt").write_text("y")
  files = [tmp_path / name for name in ("train.txt", "test.txt")]
  answer = call("check-splits", *files)
  assert_one_line(answer, files[0], "none of its 1 names", "xxx ... xxx")
  assert len(answer[2][0]) <= LONGEST + len("error: ")


@pytest.mark.parametrize("verb", ["leaderboard", "verify", "check-splits"])
def test_a_name_that_no_file_can_have(call, verb):
  assert_one_line(call(verb, "x" * 256), "xxx", "File name too long")


@pytest.mark.parametrize("error", [FileNotFoundError(2, "no"), KeyError("x")])
def test_a_defect_is_no_refusal(call, monkeypatch, error):
  def fail(given):
    raise error

  monkeypatch.setitem(VERBS, "models", Verb(fail))
  with pytest.raises(type(error)):
    call("models")


def test_a_folder_that_may_not_be_searched(call, monkeypatch, tmp_path):
  def refuse(self):
    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))

  monkeypatch.setattr(pathlib.Path, "is_dir", refuse)
  assert_one_line(
    call("predict", f"--workdir={tmp_path}", "x.wav"),
    f"{tmp_path}: Permission denied",
  )


@pytest.mark.parametrize("verb", ["leaderboard", "verify"])
def test_no_result_is_passed_over_unseen(call, monkeypatch, tmp_path, verb):
  (tmp_path / "seen").mkdir()
  (tmp_path / "locked").mkdir()
  (tmp_path / "seen" / "report.json").write_text("{}")
  scan = os.scandir

  def refuse(path="."):
    if str(path).endswith("locked"):
      raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    return scan(path)

  monkeypatch.setattr(os, "scandir", refuse)
  answer = call(verb, tmp_path)
  assert_one_line(answer, f"{tmp_path / 'locked'} cannot be listed: Permission")


@pytest.mark.parametrize(
  "lost",
  [
    "gc.callbacks.append(lambda *_: press())\ngc.collect()",
    "class Key:\n  def __del__(self):\n    press()\nKey()",
  ],
  ids=["callback", "finalizer"],
)
def test_a_ctrl_c_is_not_lost(lost):
  """Python prints what is raised there and drops it."""
  press = """
left = [signal.SIGINT]
def press():
  if left:
    os.kill(os.getpid(), left.pop())
    time.sleep(9)
"""
  began = time.monotonic()
  done = shell('exec "$0" "$@"', press + lost + "\ntime.sleep(30)")
  assert (done.returncode, done.stderr) == (130, "interrupted\n")
  assert time.monotonic() - began < 8


@pytest.mark.slow
def test_a_ctrl_c_ends_what_python_cannot_interrupt():
  """As a compiler: half a minute within one call."""
  began = time.monotonic()
  done = shell(
    'exec "$0" "$@"',
    """
import hashlib, threading
threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
hashlib.pbkdf2_hmac("sha256", b"", b"", 50_000_000)
""",
  )
  assert (done.returncode, done.stderr) == (130, "interrupted\n")
  assert time.monotonic() - began < 12


def test_a_ctrl_c_while_launch_is_imported(tmp_path):
  (tmp_path / "tokenize.py").write_text(
    "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n"
  )
  done = shell('exec "$0" "$@"', PYTHONPATH=str(tmp_path))
  assert (done.returncode, done.stderr) == (130, "interrupted\n")


def test_a_ctrl_c_waits_for_an_import_to_end(tmp_path):
  """JAX's modules abort the process at it; others drop it, as this one."""
  (tmp_path / "dropping.py").write_text(
    "import os, signal\n"
    "try:\n  os.kill(os.getpid(), signal.SIGINT)\n  for _ in range(99): pass\n"
    "except BaseException:\n  pass\n"
  )
  done = shell(
    '"$0" "$@"',
    "import dropping\ntime.sleep(1)\nprint('lost')",
    PYTHONPATH=f"{tmp_path}:{ROOT}",
  )
  found = (done.returncode, done.stdout, done.stderr)
  assert found == (130, "", "interrupted\n")
