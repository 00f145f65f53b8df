"""The command line: which verb, with which flags, of which config.

Every mistake in it is an InputError that names what was given and what is
accepted.
"""

import pathlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import ml_collections
from absl import flags

from gtzan_jax.errors import InputError


class Verb(NamedTuple):
  """What a word after launch.py does.

  Attributes:
    function: (the words left over) -> the exit status.
    flags: the names of the flags that it takes.
    config: the config whose keys it takes where --config is left out; None
      where --config is either needed or nothing to it.
  """

  function: Callable[[list[str]], int]
  flags: frozenset[str]
  config: pathlib.Path | None = None


def parse(
  argv: Sequence[str],
  values: flags.FlagValues,
  verbs: Mapping[str, Verb],
  default: str,
  config: Callable[[], ml_collections.ConfigDict],
  known: str,
) -> tuple[str, list[str]]:
  """Sets the flags.

  Args:
    argv: the program's name and the words after it.
    values: where the flags are defined.
    verbs: all there are.
    default: the verb where none is given.
    config: makes a config with every key, for messages.
    known: the files that --config may name, for messages.

  Returns:
    the verb and the words left over.

  Raises:
    InputError: an unknown flag or key, a value of another type, a config that
      cannot be read, a flag that is another verb's.
  """
  # --config first, wherever it was given: the others change what it loads
  words = sorted(argv[1:], key=lambda word: not word.startswith("--config="))
  meant = next((verbs[word] for word in words if word in verbs), None)
  if meant and meant.config and not words[0].startswith("--config="):
    words.insert(0, f"--config={meant.config}")
  rest = _parse([argv[0], *words], values, config, known)
  verb = rest.pop(0) if rest and rest[0] in verbs else default
  for name in sorted(set().union(*(one.flags for one in verbs.values()))):
    if values[name].present and name not in verbs[verb].flags:
      others = [other for other, one in verbs.items() if name in one.flags]
      raise InputError(
        f"--{name} is for {', '.join(others)}; {verb} does not take it"
      )
  return verb, rest


def _parse(
  argv: list[str],
  values: flags.FlagValues,
  config: Callable[[], ml_collections.ConfigDict],
  known: str,
) -> list[str]:
  try:
    rest = values(argv)[1:]
    if values["config"].value is not None:
      # a file that could not be loaded fails here
      values["config"].value.to_dict()
    return rest
  except flags.Error as error:
    text = " ".join(str(error).split())
    text = re.sub("invalid literal for int.*", "an int is wanted", text)
    text = re.sub("could not convert string.*", "a float is wanted", text)
    raise InputError(text) from error
  except OSError as error:
    given = [word for word in argv if word.startswith("--config=")]
    raise InputError(
      f"{' '.join(given)} cannot be read: give one of {known}"
    ) from error
  except (AttributeError, KeyError) as error:
    # "'epoch'\nDid you mean ...", in one or two pairs of quotes
    key = re.search(r"\w+", str(error))[0]
    paths = {word: word.split("=")[0].split(".")[1:] for word in argv}
    given = next((word for word, path in paths.items() if key in path), None)
    if given is None:
      raise  # not a flag's doing
    section = config()
    for name in paths[given][: paths[given].index(key)]:
      section = section[name]
    raise InputError(
      f"{given}: there is no key {key!r}; there are {', '.join(section)}"
    ) from error
