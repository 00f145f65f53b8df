"""Parses the command line: verb, flags, files, config.

argparse reads the flags, config_flags --config.KEY=VALUE. InputErrors
name the value received and the values accepted.
"""

import argparse
import functools
import os
import pathlib
import re
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import ml_collections
from absl import flags as absl_flags
from ml_collections import config_flags

from gtzan_jax import config_ranges
from gtzan_jax.errors import InputError
from gtzan_jax.training import find_recipe

PROGRAM = "gtzan"
DEFAULT = "train"  # the verb where none is given
_HELP = {"--help", "-help", "-h"}
_KEY = re.compile(r"--(?:no)?config\.([^=]+)")
# All flags: type (a list has a flag for each value) and description.
FLAGS = {
  "config": (str, "recipe: a name, such as resnet, or a file"),
  "workdir": (list, "run folder; train: runs/<recipe>-<config hash>"),
  "out": (str, "folder for the results"),
  "sweep": (str, "a file in configs/sweeps/"),
  "retry": (bool, "restart failed runs"),
  "download": (bool, "first download GTZAN's original archive (1.2 GB)"),
  "archive": (str, "only write the log-mel of the audio to this .npz"),
  "columns_per_second": (float, "for --archive: 1 to 43.07; default 12.9"),
  "beam_options": (str, "prepare with Apache Beam, see docs/beam.md"),
  "json": (bool, "print JSON"),
  "genre": (str, "genre to generate"),
  "count": (int, "number of examples; default 1"),
  "seeds": (
    int,
    "runs of each; leak: at least 2, default 3; crossval: default 1",
  ),
  "protocol": (
    list,
    "protocol to run beside the arms, or none; default: all possible",
  ),
  "seed": (int, "noise seed; the same seed gives the same examples; default 0"),
}


class Given(NamedTuple):
  """A parsed command line. Flags not given are None, False or []; `config` is
  the recipe's with `overrides` ({"train.epochs": 3}), None if the verb needs
  none."""

  verb: str
  flags: argparse.Namespace
  files: Sequence[str] = ()
  config: ml_collections.ConfigDict | None = None
  recipe: str | None = None
  overrides: Mapping[str, object] = {}

  def workdir(self, default: pathlib.Path | None = None) -> pathlib.Path:
    """The one run folder of --workdir, or else the default; InputError for
    several, or for none without a default."""
    if len(self.flags.workdir) > 1:
      raise InputError(
        f"--workdir={self.flags.workdir[1]}: this verb takes one run folder;"
        " evaluate and compare take several"
      )
    if not self.flags.workdir and default is None:
      raise InputError("--workdir is needed: the folder of a trained run")
    return pathlib.Path(
      self.flags.workdir[0] if self.flags.workdir else default
    )


class Verb(NamedTuple):
  """A verb: a function (its docstring is the help), the flags, config `keys`
  (None: all) and words (`files`, "" for none) that it takes, and the default
  recipe (None: --config is required)."""

  function: Callable[[Given], int]
  flags: tuple[str, ...] = ()
  keys: tuple[str, ...] | None = ()
  config: str | None = None
  files: str = ""
  example: str = ""


class _Parser(argparse.ArgumentParser):
  def error(self, message: str):
    text = re.sub(r"^argument \S+: (?=--)", "", message)
    raise InputError(text.removeprefix("argument "))


def _parser(names: Iterable[str], prog: str = PROGRAM, **about) -> _Parser:
  parser = _Parser(
    prog=prog,
    add_help=False,
    allow_abbrev=False,
    formatter_class=argparse.RawDescriptionHelpFormatter,
    **about,
  )
  parser.color = False  # of Python 3.14: control characters are escaped here
  for name in names:
    kind, text = FLAGS[name]
    if kind is bool:
      add = functools.partial(parser.add_argument, dest=name, default=None)
      add(f"--{name}", action="store_true", help=text)
      add(f"--no{name}", action="store_false", help=argparse.SUPPRESS)
    else:
      parser.add_argument(
        f"--{name}",
        action="append" if kind is list else "store",
        type=functools.partial(_value, name),
        metavar="VALUE",
        help=text,
      )
  return parser


def _value(name: str, text: str) -> object:
  """A flag's value: numbers in their range, ~ at the front of a path."""
  if not text:
    raise argparse.ArgumentTypeError(
      f"--{name}=: give a value, or leave it out"
    )
  value, accepted = text, config_ranges.FLAGS.get(name)
  if accepted:
    try:
      value = FLAGS[name][0](text)
    except ValueError:
      value = None
  elif name in config_ranges.PATH_FLAGS:
    value, accepted = os.path.expanduser(text), config_ranges.NAME
  if accepted and not accepted.holds(value):
    shown = text if name in config_ranges.FLAGS else config_ranges.brief(text)
    raise argparse.ArgumentTypeError(
      f"--{name}={shown}: give {accepted.accepted}"
    )
  return value


def parse(argv: Sequence[str], verbs: Mapping[str, Verb]) -> Given:
  """Reads flags and config; InputError for anything that the verb does not
  take."""
  at = argv.index("--") if "--" in argv else len(argv)
  words = _one_word_each(argv[:at])
  keys = [word for word in words if _KEY.match(word)]
  flags, rest = _parser(FLAGS).parse_known_args(
    [word for word in words if word not in keys]
  )
  files = [word for word in rest if not word.startswith("-")]
  name = DEFAULT
  if is_named := bool(files):
    name = files.pop(0)
    if name not in verbs:
      raise InputError(f"unexpected {name!r}: the verbs are {', '.join(verbs)}")
  verb = verbs[name]
  taken = ", ".join(f"--{flag}" for flag in verb.flags) or "no flags"
  for word in rest:
    if word.startswith("-"):
      raise InputError(f"{word}: unknown flag; {name} takes {taken}")
  for flag, value in vars(flags).items():
    if value is not None and flag not in verb.flags:
      _refuse_flag(f"--{flag}", flag, name, verbs)
    if value is None:
      setattr(flags, flag, {list: [], bool: False}.get(FLAGS[flag][0]))
  files += argv[at + 1 :]
  if files and is_named and not flags.config and "config" in verb.flags:
    flags.config = files.pop(0)  # gtzan train resnet
  if files and not verb.files:
    raise InputError(
      f"unexpected {files[0]!r}: {name} takes only flags ({taken})"
    )
  if "" in files:
    raise InputError("'': empty argument; remove it")
  recipe, config = _config(flags.config, keys, name, verbs)
  overrides = {} if config is None else _override(config, keys)
  return Given(name, flags, files, config, recipe and str(recipe), overrides)


def _one_word_each(argv: Sequence[str]) -> list[str]:
  """`--out folder` and `-out=folder` as `--out=folder`. A key takes the next
  word as well, but not a flag, for it may be a switch."""
  whole, rest = [], list(argv)
  while rest:
    word = rest.pop(0)
    name, has_value, value = word.lstrip("-").partition("=")
    if not (name and word.startswith("-")):
      whole.append(word)
      continue
    kind = FLAGS.get(name, [None])[0]
    if kind is bool and value.lower() in ("true", "false"):
      name, has_value = "no" * (value.lower() == "false") + name, ""
    elif not has_value and rest and kind is not bool:
      is_key = _KEY.match(f"--{name}") and not rest[0].startswith("-")
      if kind or is_key:
        has_value, value = "=", rest.pop(0)
    whole.append(f"--{name}={value}" if has_value else f"--{name}")
  return whole


def _refuse_flag(
  word: str, flag: str, name: str, verbs: Mapping[str, Verb]
) -> None:
  others = [other for other, one in verbs.items() if flag in one.flags]
  raise InputError(
    f"{word} is for {', '.join(others)}; {name} does not take it"
  )


def _config(
  given: str | None, words: Sequence[str], name: str, verbs: Mapping[str, Verb]
) -> tuple[str | pathlib.Path | None, ml_collections.ConfigDict | None]:
  """The recipe's file and config, if the verb needs one; checks the keys."""
  verb = verbs[name]
  if words and verb.keys == ():
    _refuse_flag(f"{words[0]}: --config", "config", name, verbs)
  if not words and "config" not in verb.flags and verb.config is None:
    return None, None
  recipe = find_recipe.locate(given or verb.config)
  config = find_recipe.load(recipe)
  for word in words:
    key = _KEY.match(word)[1]
    find_recipe.check_key(word, key, config)
    if verb.keys is not None and key not in verb.keys:
      raise InputError(
        f"{word}: not used by {name}, which accepts"
        f" {', '.join(f'--config.{one}' for one in verb.keys)}"
      )
    if word.endswith("data.path="):
      corpus = "synthetic" if "config" in verb.flags else "run's own"
      raise InputError(
        f"{word}: give a path, or leave it out for the {corpus} corpus"
      )
  return recipe, config


def _override(
  config: ml_collections.ConfigDict, words: Sequence[str]
) -> dict[str, object]:
  """Sets keys in `config`; returns them, flat."""
  values = absl_flags.FlagValues()
  argv = [PROGRAM, *words]
  try:
    config_flags.DEFINE_config_dict(
      "config", config, flag_values=values, sys_argv=argv, allow_override=True
    )
    values(argv)
  except (absl_flags.Error, ValueError) as error:
    text = " ".join(str(error).split())
    text = re.sub("invalid literal for int.*", "an int is wanted", text)
    text = re.sub("could not convert string.*", "a float is wanted", text)
    raise InputError(text) from error
  for problem in config_ranges.config_problems(
    config_ranges.flatten(config.to_dict())
  ):
    raise InputError(f"config.{problem}")
  return config_flags.get_override_values(values["config"])


def help_text(argv: Sequence[str], verbs: Mapping[str, Verb]) -> str | None:
  """The help that `argv` requests: one verb's, or all; None if it does not."""
  if not _HELP & set(argv[: argv.index("--") if "--" in argv else None]):
    return None
  name = next((word for word in argv if word in verbs), None)
  if name is None:
    about = ((name, _about(verb).rstrip(".")) for name, verb in verbs.items())
    examples = (f"  {PROGRAM} {verb.example}" for verb in verbs.values())
    return _parser(
      FLAGS,
      usage="%(prog)s [VERB] [--FLAG=VALUE ...] [--config.KEY=VALUE ...]"
      " [WORD ...]",
      description=_listed(f"verbs (default: {DEFAULT}):", about),
      epilog="\n".join(
        ["examples:", *examples, "", f"{PROGRAM} VERB --help: a verb's flags"]
      ),
    ).format_help()
  verb = verbs[name]
  listed = [(f"--config.{key}", "") for key in verb.keys or ()]
  if verb.keys is None:
    listed = [("--config.KEY", "any key of configs/default.py")]
  parser = _parser(
    verb.flags,
    prog=f"{PROGRAM} {name}",
    description=textwrap.fill(_about(verb), 78),
    epilog=_listed("config:", listed)
    + f"\nexample:\n  {PROGRAM} {verb.example}",
  )
  if verb.files:
    parser.add_argument(verb.files, nargs="*")
  elif "config" in verb.flags:
    parser.add_argument("RECIPE", nargs="?", help="instead of --config")
  return parser.format_help()


def _about(verb: Verb) -> str:
  return " ".join((verb.function.__doc__ or "").split())


def _listed(title: str, entries: Iterable[tuple[str, str]]) -> str:
  """Names and texts below a title; "" if there are none."""
  lines = [
    line
    for name, text in entries
    for line in textwrap.wrap(
      f"  {name:<16}{text}", 78, subsequent_indent=" " * 18
    )
    or [f"  {name}"]
  ]
  return "\n".join([title, *lines, ""]) if lines else ""
