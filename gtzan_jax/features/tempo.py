"""Tempo from onsets, and the tuning, of a whole clip: small, and in NumPy.

Sources: D. Ellis, "Beat tracking by dynamic programming", JNMR 36(1), 2007;
P. Grosche, M. Müller and F. Kurth, "Cyclic tempogram", ICASSP 2010, as librosa
computes them.
"""

import numpy as np

WINDOW_S = 8.0  # of the autocorrelation
CENTRE_BPM = 120.0  # most likely tempo; one octave is the standard deviation
FASTEST_BPM = 320.0


def onset_strength(db: np.ndarray, delay: int) -> np.ndarray:
  """Median over the bands of what a frame's level exceeds the last one's by.

  Log-mel with its floor, float32 `[frames, n_mels]`, to `[frames]`, `delay`
  frames later for windows that see an onset before it is at their centre.
  """
  rise = np.maximum(db[1:] - db[:-1], 0)
  onsets = np.zeros(len(db), np.float32)
  onsets[1 + delay :] = np.median(rise, -1)[: max(0, len(db) - 1 - delay)]
  return onsets


def tempo(onsets: np.ndarray, frame_rate: float) -> float:
  """Beats a minute, librosa's `feature.tempo`; 0 without onsets.

  The mean over all windows of 8 s of the autocorrelation (1 at no lag),
  weighted with a log-normal prior, is largest at the beat's period.

  Args:
    onsets: float32 `[frames]`.
    frame_rate: frames a second.
  """
  if not onsets.any():
    return 0.0
  import scipy.fft  # 0.3 s to load

  width = int(WINDOW_S * frame_rate)
  edge = width // 2
  padded = np.pad(onsets, edge, mode="linear_ramp")
  windows = np.lib.stride_tricks.sliding_window_view(padded, width)
  hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(width) / width)
  size = scipy.fft.next_fast_len(2 * width - 1, real=True)
  spectrum = scipy.fft.rfft(windows[: len(onsets)] * hann, size)
  power = spectrum.real**2 + spectrum.imag**2
  lags = scipy.fft.irfft(power, size)[:, :width]
  top = np.abs(lags).max(1, keepdims=True)
  lags /= np.where(top < np.finfo(lags.dtype).tiny, 1, top)
  bpm = 60 * frame_rate / np.arange(1, width)
  prior = -0.5 * np.log2(bpm / CENTRE_BPM) ** 2
  prior[bpm >= FASTEST_BPM] = -np.inf
  return float(bpm[np.argmax(np.log1p(1e6 * lags.mean(0)[1:]) + prior)])
