"""Who plays when: the balance of a band, and the parts that pause."""

SECTIONS = 8  # of four bars; then the song begins again


def arrangement(artist, song, parts) -> list[list[float]]:
  """Gains by section and part, about 1, or 0 where a part is silent.

  The balance is the artist's, the pauses (of up to half the parts) the song's.
  """
  balance = 10 ** (artist.normal(0, 2.5, size=parts) / 20)
  gains = []
  for _ in range(SECTIONS):
    pause = song.permutation(parts)[: song.integers(0, (parts + 1) // 2)]
    gains.append([0.0 if i in pause else balance[i] for i in range(parts)])
  return gains
