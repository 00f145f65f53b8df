"""Reports of ten genres, and pages of HTML as a test reads them."""

import html.parser
import re

import numpy as np
import stored

from gtzan_jax.reports import report
from gtzan_jax.scores.predictions import Predictions
from tfds_gtzan.corpora.types import GENRES

INLINE = ("a", "b", "small", "span")
VOID = ("meta", "link", "br", "img", "input", "hr", "path", "use", "rect")


class Page(html.parser.HTMLParser):
  """Elements, addresses, ids and words of a page that stands alone.

  Every element that is opened must be closed; there is no script, nothing is
  fetched, and no id stands twice.
  """

  def __init__(self, text: str):
    super().__init__()
    self.tags, self.links, self.ids = set(), [], []
    self._open, self._text = [], ""
    self.feed(text)
    self.close()
    assert not self._open
    assert not self.tags & {"script", "iframe", "object", "base", "form"}
    assert all(link.startswith(("data:", "#", "https:")) for link in self.links)
    assert not re.search(r"@import|url\((?!#)", text)
    assert len(self.ids) == len(set(self.ids))
    inner = {link[1:] for link in self.links if link.startswith("#")}
    assert inner <= set(self.ids)

  def handle_starttag(self, tag, attrs):
    self.tags.add(tag)
    for name, value in attrs:
      assert not name.startswith("on")
      if name in ("src", "href", "xlink:href", "srcset"):
        self.links.append(value)
    self.ids += [value for name, value in attrs if name == "id"]
    if tag not in VOID:
      self._open.append(tag)

  def handle_startendtag(self, tag, attrs):
    self.handle_starttag(tag, attrs)
    if tag not in VOID:
      self._open.pop()

  def handle_endtag(self, tag):
    if tag not in VOID:
      assert self._open.pop() == tag
    if tag not in INLINE:
      self._text += " "

  def handle_data(self, data):
    if "style" not in self._open:
      self._text += data

  @property
  def text(self) -> str:
    """All words, with one space between."""
    return " ".join(self._text.split())


# Reports.

RUN = stored.FACTS | {
  **{"corpus": "audio", "source": "audio", "num_params": 391_114},
  **{"commit": "9f2c1ab7e01d4b58f6a7", "versions": {"jax": "0.12.0"}},
  "config": {"data": {"protocol": "filtered"}, "model": {"sizes": (16, 32)}},
  **{"device": "cpu", "tracks": 929},
  "skipped": [{"track": "jazz.00054", "reason": "not <audio>"}],
}


def made(tracks=40, segments=3, seed=0) -> Predictions:
  return stored.made(tracks, segments, seed, genres=GENRES)


def history(epochs=3) -> list[dict]:
  return [
    {
      "epoch": e,
      "step": 10 * e,
      "train/loss": 2.3 / e,
      "train/accuracy": 0.2 * e,
      "validation/loss": np.float32(2.3 / e),
      "validation/accuracy": 0.15 * e,
      "validation/track_accuracy": float("nan") if e == 1 else 0.2 * e,
      "learning_rate": 1e-3,
      "time/epoch": np.random.default_rng().random(),
    }
    for e in range(1, epochs + 1)
  ]


def built(run=(), splits=("test",), missing=(), **kwargs):
  tables = {name: made(seed=i) for i, name in enumerate(splits)}
  shas = {name: f"{name:0<64}" for name in ("train", "validation", "test")}
  facts = RUN | dict(run)
  result = report.build(facts, tables, history(), dict(missing), shas, **kwargs)
  return result, tables
