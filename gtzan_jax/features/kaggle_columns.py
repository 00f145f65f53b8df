"""The 57 columns of Kaggle's features_30_sec.csv, with librosa's definitions.

Mean and variance over a clip of 28 features, and its tempo (the ResNet project,
phase 1).
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from gtzan_jax.features import chroma, mel, mfcc, separation, spectral, stft
from gtzan_jax.features import tempo as rhythm

_NAMES = (
  *("chroma_stft", "rms", "spectral_centroid", "spectral_bandwidth", "rolloff"),
  *("zero_crossing_rate", "harmony", "perceptr"),
  *(f"mfcc{i}" for i in range(1, 21)),
)
_BOTH = [f"{name}_{what}" for name in _NAMES for what in ("mean", "var")]
_BEFORE_TEMPO = 16
COLUMNS = (*_BOTH[:_BEFORE_TEMPO], "tempo", *_BOTH[_BEFORE_TEMPO:])
# librosa's defaults.
N_FFT, HOP = 2048, 512
N_MELS, N_MFCC = 128, 20
TOP_DB = 80.0
BLOCK = 256  # frames; clips are padded to a multiple: few programs


def from_audio(samples: np.ndarray, sample_rate: int) -> np.ndarray:
  """The row of a clip, float32 `[n]`: float32 `[57]`, as `COLUMNS`.

  May be called from any thread.
  """
  # Reflection needs a window's length.
  samples = np.pad(samples, (0, max(0, N_FFT - len(samples))))
  count = stft.frames(len(samples), N_FFT, HOP, center=True)
  frames = -(-count // BLOCK) * BLOCK
  plain = np.zeros((frames - 1) * HOP + 2 * N_FFT, np.float32)
  reflected = plain.copy()
  plain[N_FFT // 2 :][: len(samples)] = samples
  # "reflect" was librosa's default when the table was made.
  both_edges = np.pad(samples, N_FFT // 2, mode="reflect")
  reflected[: len(both_edges)] = both_edges
  by_frame, waveforms, db, power, peaks = jax.tree.map(
    np.asarray,
    _analyse(reflected, plain, len(samples), count, sample_rate=sample_rate),
  )
  tuning = chroma.tuning(*(x[:count] for x in peaks))
  bank = chroma.filterbank(sample_rate, N_FFT, tuning)
  classes = np.asarray(_chroma(power, bank))[:count]
  # As in librosa.beat.beat_track, which also places the beats.
  onsets = rhythm.onset_strength(db[:count], N_FFT // 2 // HOP)
  tempo = rhythm.tempo(onsets, sample_rate / HOP)
  rows = (
    classes.ravel(),
    *by_frame[:count, :5].T,
    *(x[: len(samples)] for x in waveforms),
    *by_frame[:count, 5:].T,
  )
  values = [
    value
    for row in rows
    for value in (np.mean(row, dtype=float), np.var(row, dtype=float))
  ]
  values.insert(_BEFORE_TEMPO, tempo)
  return np.asarray(values, np.float32)


@functools.partial(jax.jit, static_argnames="sample_rate")
def _analyse(
  reflected: jax.Array,
  plain: jax.Array,
  samples: jax.Array,
  count: jax.Array,
  sample_rate: int,
) -> tuple:
  """All that has the size of a spectrogram, but chroma.

  `[size]` both, the clip between 1024 reflected samples or zeros, then zeros;
  the lengths of the clip in samples and frames.

  Returns:
    by_frame: `[frames, 25]`.
    waveforms: harmonic and percussive, `[(frames - 1) * 512]` both.
    db: log-mel of `plain`, `[frames, 128]`.
    power: `[frames, 1025]`.
    peaks: `chroma.peaks` of it.
  """
  used = (jnp.arange((len(plain) - N_FFT) // HOP + 1) < count)[:, None]

  def level(power: jax.Array) -> jax.Array:
    db = mel.power_to_db(mel.mel(power, sample_rate, N_MELS))
    return mel.floor_db(db, TOP_DB, used)

  framing = (N_FFT, HOP, False)
  spectrum = jnp.fft.rfft(stft.frame(reflected, *framing))
  power = stft.squared(spectrum)
  magnitude = jnp.sqrt(power)
  by_frame = [
    spectral.rms(reflected, *framing),
    spectral.centroid(magnitude, sample_rate),
    spectral.bandwidth(magnitude, sample_rate),
    spectral.rolloff(magnitude, sample_rate),
    spectral.zero_crossing_rate(
      plain[N_FFT // 2 :], N_FFT, HOP, samples=samples
    )[: len(used)],
    mfcc.mfcc(level(power), N_MFCC),
  ]
  waveforms = [
    separation.waveform(spectrum * mask, HOP, count)
    for mask in separation.masks(magnitude, count)
  ]
  db = level(stft.power(stft.frame(plain, *framing)))
  peaks = chroma.peaks(power, sample_rate)
  return jnp.concatenate(by_frame, -1), waveforms, db, power, peaks


_chroma = jax.jit(chroma.chroma)
