"""Who plays when: the balance of a band, and the parts that pause."""

SECTIONS = 8  # of four bars; then the song begins again


def arrangement(artist, song, parts) -> list[list[float]]:
  """Gains by section and part, about 1, or 0 where a part is silent.

  The balance between the parts is the artist's. Which of them pause in a
  section is the song's: none to almost half of them, as in intros, breaks
  and solos. So three seconds of a song need not show all that marks its
  genre, while ten seconds or more nearly always do.
  """
  balance = 10 ** (artist.normal(0, 2.5, size=parts) / 20)
  gains = []
  for _ in range(SECTIONS):
    pause = song.permutation(parts)[: song.integers(0, (parts + 1) // 2)]
    gains.append([0.0 if i in pause else balance[i] for i in range(parts)])
  return gains
