"""The command line: which verb, with which flags, of which config.

Every mistake in it is an InputError that names what was given and what is
accepted.
"""

import os
import pathlib
import re
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import ml_collections
from absl import flags
from ml_collections import config_flags

from gtzan_jax import ranges
from gtzan_jax.errors import InputError
from gtzan_jax.training import recipes

_HELP = {"--help", "-help", "-h"}
_FILE = re.compile(r"--?config=")
_KEY = re.compile(r"--?(?:no)?config\.([^=]+)")


class Given(NamedTuple):
  """A command line that has been understood.

  Attributes:
    verb: what to do; None where help was asked for and no verb was named.
    flags: the values of all flags, `flags.out` and so on.
    files: the words left over.
    config: the recipe's, with the overrides; None where the verb needs none.
    recipe: the file that `config` is from.
    overrides: {"train.epochs": 3}, from --config.train.epochs=3.
    help: was help asked for? Then nothing but `verb` was looked at.
  """

  verb: str | None
  flags: flags.FlagValues
  files: Sequence[str] = ()
  config: ml_collections.ConfigDict | None = None
  recipe: str | None = None
  overrides: Mapping[str, object] = {}
  help: bool = False

  def workdir(self, default: pathlib.Path | None = None) -> pathlib.Path:
    """The one that --workdir names, or else the default.

    Raises:
      InputError: several, or none and there is no default.
    """
    if len(self.flags.workdir) > 1:
      raise InputError(
        f"--workdir={self.flags.workdir[1]}: one is enough; evaluate and"
        " compare take several"
      )
    if not self.flags.workdir and default is None:
      raise InputError("--workdir is needed: the folder of a trained run")
    return pathlib.Path(
      self.flags.workdir[0] if self.flags.workdir else default
    )

  def refuse(self, own: Mapping[str, str]) -> None:
    """For a verb that trains several classifiers of one recipe.

    Args:
      own: keys of the config that cannot be given, and why.

    Raises:
      InputError: one of them is given, or the recipe is a GAN's.
    """
    if self.config.task == "gan":
      raise InputError(
        f"--config: {self.config.recipe!r} is a GAN, which tells no genres:"
        " give the recipe of a classifier"
      )
    for key, why in own.items():
      if key in self.overrides:
        raise InputError(
          f"--config.{key}={self.overrides[key]}: leave it out; {why}"
        )


class Verb(NamedTuple):
  """What a word after launch.py does.

  Attributes:
    function: does it and returns the exit status.
    flags: the names of the flags that it takes; "config" is --config=FILE.
    keys: the keys of a config that it takes, as --config.KEY; None: every one.
    config: the recipe whose keys they are, with its values where they are not
      given, where --config is left out; None: it is needed.
    files: does it take other words, such as files?
  """

  function: Callable[[Given], int]
  flags: tuple[str, ...]
  keys: tuple[str, ...] | None = ()
  config: str | None = None
  files: bool = False


# What defines a flag whose values are of a type, and its value if not given.
_DEFINE = {
  str: (flags.DEFINE_string, None),
  int: (flags.DEFINE_integer, None),
  float: (flags.DEFINE_float, None),
  bool: (flags.DEFINE_bool, False),
  list: (flags.DEFINE_multi_string, []),
}
Flags = Mapping[str, tuple[type, str]]


def parse(
  argv: Sequence[str],
  defined: Flags,
  verbs: Mapping[str, Verb],
  default: str,
  known: str,
) -> Given:
  """Reads the flags and loads the config.

  Args:
    argv: the program's name and the words after it.
    defined: all flags, {name: (type, what it is)}, the types those of _DEFINE;
      of a list each value is given by a flag of its own.
    verbs: all there are.
    default: the verb where none is given.
    known: the files that --config may name, for messages.

  Raises:
    InputError: an unknown flag or key, a value of another type, a config that
      cannot be read, a flag or a word that the verb does not take.
  """
  values = flags.FlagValues()
  for name, (kind, text) in defined.items():
    define, unset = _DEFINE[kind]
    define(name, unset, text, flag_values=values)
  at = argv.index("--") if "--" in argv else len(argv)
  words, rest = _in_one_word_each(argv[1:at], values), argv[at:]
  first = next((word for word in words if not word.startswith("-")), None)
  named = first if first in verbs else None
  if _HELP & set(words):
    return Given(named, values, help=True)
  if first and not named and not verbs[default].files:
    raise InputError(f"unexpected {first!r}: the verbs are {', '.join(verbs)}")
  name = named or default
  _check_flags(words, name, defined, verbs)
  recipe, config = _config(words, name, verbs, known)
  words = [word for word in words if not _FILE.match(word)]
  rest = _set([argv[0], *words, *rest], values, config)
  if named:
    rest.remove(named)
  if rest and not verbs[name].files:
    raise InputError(
      f"unexpected {rest[0]!r}: {name} takes flags alone"
      f" ({', '.join(f'--{flag}' for flag in verbs[name].flags)})"
    )
  if "" in rest:
    raise InputError("'': an empty word names nothing; leave it out")
  _check_values(values)
  overrides = {}
  if config is not None:
    overrides = config_flags.get_override_values(values["config"])
    flat = ranges.flatten(config.to_dict())
    for problem in ranges.config_problems(flat):
      raise InputError(f"config.{problem}")
  return Given(name, values, rest, config, recipe and str(recipe), overrides)


def _in_one_word_each(
  words: Iterable[str], values: flags.FlagValues
) -> list[str]:
  """`--out folder` as `--out=folder`: what is left without a dash is no value.

  A key takes the next word as well; but not a flag, for it may be a switch.
  """
  whole, rest = [], list(words)
  while rest:
    word = rest.pop(0)
    name = word.lstrip("-")
    takes_next = rest and word.startswith("-") and "=" not in word
    if takes_next and name in values:
      takes_next = not values[name].boolean
    elif takes_next:
      takes_next = _KEY.match(word) and not rest[0].startswith("-")
    whole.append(f"{word}={rest.pop(0)}" if takes_next else word)
  return whole


def _check_flags(
  words: Iterable[str], name: str, defined: Flags, verbs: Mapping[str, Verb]
) -> None:
  for word in words:
    flag = word.lstrip("-").split("=")[0]
    flag = flag if flag in defined else flag.removeprefix("no")
    if word.startswith("-") and flag in defined:
      _check_takes(f"--{flag}", flag, name, verbs)
      if word.endswith(f"-{flag}="):
        raise InputError(f"{word}: give a value, or leave it out")


def _check_values(values: flags.FlagValues) -> None:
  """Numbers in their range, places as a file system takes them, ~ at home."""
  for name, accepted in ranges.FLAGS.items():
    value = values[name].value if name in values else None
    if value is not None and not accepted.holds(value):
      raise InputError(f"--{name}={value}: give {accepted.accepted}")
  for name in ranges.PATH_FLAGS:
    given = values[name].value if name in values else None
    several = isinstance(given, list)
    for place in given if several else [given] if given else []:
      if not ranges.NAME.holds(place):
        raise InputError(
          f"--{name}={ranges.brief(place)}: give {ranges.NAME.accepted}"
        )
    if given:
      home = os.path.expanduser
      values[name].value = list(map(home, given)) if several else home(given)


def _check_takes(
  word: str, flag: str, name: str, verbs: Mapping[str, Verb]
) -> None:
  if flag not in verbs[name].flags:
    others = [other for other, one in verbs.items() if flag in one.flags]
    what = word if word == f"--{flag}" else f"{word}: --{flag}"
    raise InputError(
      f"{what} is for {', '.join(others)}; {name} does not take it"
    )


def _config(
  words: Sequence[str], name: str, verbs: Mapping[str, Verb], known: str
) -> tuple[str | pathlib.Path | None, ml_collections.ConfigDict | None]:
  """The recipe's file and config, if the verb needs one; checks the keys."""
  verb = verbs[name]
  files = [word for word in words if _FILE.match(word)]
  keys = {word: match[1] for word in words if (match := _KEY.match(word))}
  if keys and verb.keys == ():
    _check_takes(next(iter(keys)), "config", name, verbs)
  if not keys and "config" not in verb.flags and verb.config is None:
    return None, None
  recipe = files[-1].split("=", 1)[1] if files else verb.config
  if recipe is None:
    raise InputError(f"--config is needed: one of {known}")
  if not os.path.isfile(recipe):
    given, recipe = recipe, recipes.find(recipe)
  if recipe is None:
    raise InputError(f"--config={given}: no such file; give one of {known}")
  config = recipes.load(recipe)
  for word, key in keys.items():
    recipes.check_key(word, key, config)
    if verb.keys is not None and key not in verb.keys:
      raise InputError(
        f"{word}: {name} makes no use of it; it takes"
        f" {', '.join(f'--config.{one}' for one in verb.keys)}"
      )
    if word.endswith("data.path="):
      corpus = "synthetic" if "config" in verb.flags else "run's own"
      raise InputError(
        f"{word}: give a path, or leave it out for the {corpus} corpus"
      )
  return recipe, config


def _set(
  argv: list[str],
  values: flags.FlagValues,
  config: ml_collections.ConfigDict | None,
) -> list[str]:
  """Sets flags and keys; returns the words that are neither."""
  try:
    if config is not None:
      config_flags.DEFINE_config_dict(
        "config", config, flag_values=values, sys_argv=argv, allow_override=True
      )
    return values(argv)[1:]
  except (flags.Error, ValueError) as error:
    text = " ".join(str(error).split())
    text = re.sub("invalid literal for int.*", "an int is wanted", text)
    text = re.sub("could not convert string.*", "a float is wanted", text)
    raise InputError(text) from error


def help_text(
  about: str, defined: Flags, verbs: Mapping[str, Verb], verb: str | None
) -> str:
  """What --help prints: `about`, and the flags of a verb or all of them."""
  names = verbs[verb].flags if verb else defined
  lines = [about.strip(), "", f"Flags of {verb}:" if verb else "Flags:"]
  for name in names:
    lines += _entry(f"--{name}", defined[name][1])
  keys = verbs[verb].keys if verb else None
  if keys != ():
    text = ", ".join(keys) if keys else "any key of configs/default.py"
    lines += _entry("--config.KEY", text)
  return "\n".join(lines)


def _entry(name: str, text: str) -> list[str]:
  return textwrap.wrap(
    f"{name:<22}{text}",
    78,
    initial_indent="  ",
    subsequent_indent=" " * 24,
    break_on_hyphens=False,
  )
