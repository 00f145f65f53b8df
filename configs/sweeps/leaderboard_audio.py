"""The rest of the leaderboard: recipes that need audio or a table.

  python launch.py sweep --sweep=configs/sweeps/leaderboard_audio.py \\
    --config.data.path=/path/to/gtzan

As leaderboard.py: three seeds under the protocol filtered, one under the
source's own. On 371 cuts of 2 to 3 s, by the seconds in results: 25 minutes on
two CPU cores, nearly all of it fusion_cnn, and about 10 more under the sources'
protocols. On the thousand clips of 30 s it has not been measured.
"""

from gtzan_jax.recipes.sweeps import leaderboard

RECIPES = ("lstm", "lstm_standardised", "mlp", "fusion_cnn")


def get_sweep():
  return [
    *(
      leaderboard.run(recipe, "filtered", seed)
      for recipe in RECIPES
      for seed in leaderboard.SEEDS
    ),
    *leaderboard.own(RECIPES),
  ]
