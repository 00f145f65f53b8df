"""Reading audio files, 16 bit, segments."""

import io
import os
import re
import struct
import tracemalloc
from unittest import mock

import corpora
import numpy as np
import pytest
import soundfile
import soxr

from gtzan_jax.audio import decoding, mono_waveform
from gtzan_jax.data import notices
from gtzan_jax.errors import InputError, StopError

RATE = mono_waveform.SAMPLE_RATE


def tone(seconds=1.0, rate=RATE, hz=440.0, level=0.5):
  t = np.arange(int(seconds * rate)) / rate
  return (level * np.sin(2 * np.pi * hz * t)).astype(np.float32)


TONE = tone()


def pitch(samples, rate=RATE):
  """The frequency of the strongest line of the spectrum, Hz."""
  spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
  return np.argmax(spectrum) * rate / len(samples)


def encoded(samples, rate=RATE, form="WAV", **options) -> bytes:
  file = io.BytesIO()
  soundfile.write(file, samples, rate, format=form, **options)
  return file.getvalue()


@pytest.fixture
def read(tmp_path):
  """Reads bytes under a name."""

  def read(name, content, **options):
    (tmp_path / name).write_bytes(content)
    return mono_waveform.read(tmp_path / name, **options)

  return read


@pytest.fixture
def error(read, tmp_path):
  """Why bytes under a name are refused: one line after the file's name."""

  def error(name, content) -> str:
    with pytest.raises(InputError) as caught:
      read(name, content)
    file, _, reason = str(caught.value).partition(": ")
    assert file == str(tmp_path / name)
    assert "\n" not in reason
    return reason

  return error


# Files of every format.


@pytest.mark.parametrize(
  ("extension", "tolerance"),
  # 16 bit for lossless formats.
  [
    *(("wav", 4e-5), ("au", 4e-5), ("flac", 4e-5), ("aiff", 4e-5)),
    *(("caf", 4e-5), ("ogg", 0.02), ("mp3", 0.05)),
  ],
)
def test_reads_every_format(read, extension, tolerance):
  samples = read(f"a.{extension}", encoded(TONE, form=extension))
  assert samples.dtype == np.float32
  assert samples.shape == (RATE,)
  middle = slice(4000, -4000)  # codecs smear the edges
  np.testing.assert_allclose(
    samples[middle], TONE[middle], atol=tolerance, rtol=0
  )


@pytest.mark.parametrize(
  ("form", "subtype", "rate"),
  [
    ("OGG", "OPUS", 24_000),
    # Codecs that cannot seek: soundfile refuses to read them in one go.
    *(("WAV", "GSM610", 8_000), ("WAV", "G721_32", 8_000)),
    *(("WAV", "NMS_ADPCM_16", 8_000), ("AU", "G721_32", 8_000)),
    *(("AU", "G723_24", 8_000), ("XI", "DPCM_16", 44_100)),
  ],
)
def test_reads_other_codecs(read, form, subtype, rate):
  samples = read("a", encoded(tone(rate=rate), rate, form, subtype=subtype))
  assert len(samples) == pytest.approx(RATE, abs=900)  # whole frames
  assert pitch(samples) == pytest.approx(440, abs=2)


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000])
def test_resamples_keeping_pitch_level_and_duration(read, rate):
  samples = read("a.wav", encoded(tone(2.0, rate), rate))
  assert samples.dtype == np.float32
  assert abs(len(samples) - 2 * RATE) <= 1
  np.testing.assert_allclose(
    samples[2000:-2000], tone(2.0)[2000 : len(samples) - 2000], atol=2e-3
  )


def test_rate_is_an_argument_and_channels_are_averaged(read):
  assert len(read("a.wav", encoded(TONE), sample_rate=16_000)) == 16_000
  left, right = tone(hz=440), tone(hz=880, level=0.25)
  stereo = encoded(np.stack([left, right], 1), subtype="FLOAT")
  np.testing.assert_allclose(
    read("b.wav", stereo), (left + right) / 2, atol=1e-6
  )
  eight_bit = read("c.wav", encoded(TONE, subtype="PCM_U8"))
  np.testing.assert_allclose(eight_bit, TONE, atol=1.01 / 128)


def test_every_16_bit_value_survives_the_round_trip(read):
  pcm = np.arange(-32768, 32768).astype(np.int16)
  samples = read("a.wav", encoded(pcm, subtype="PCM_16"))
  np.testing.assert_array_equal(mono_waveform.to_int16(samples), pcm)
  np.testing.assert_array_equal(mono_waveform.to_float(pcm), samples)
  assert mono_waveform.to_float(pcm).dtype == np.float32
  rounded = np.array([1.0, 2.0, -2.0, 0.6 / 32768, -0.6 / 32768], np.float32)
  np.testing.assert_array_equal(
    mono_waveform.to_int16(rounded),
    np.array([32767, 32767, -32768, 1, -1], np.int16),
  )


def test_blocks_and_whole_files_are_the_same_samples(tmp_path, monkeypatch):
  noise = np.random.default_rng(0).uniform(-0.5, 0.5, (50_000, 2))
  soundfile.write(tmp_path / "a.wav", noise, 44_100)
  monkeypatch.setattr(decoding, "BLOCK", 6_666)
  blocks = list(mono_waveform.blocks(tmp_path / "a.wav"))
  assert max(map(len, blocks)) < 3_000
  whole, rate = soundfile.read(tmp_path / "a.wav", dtype="float32")
  wanted = soxr.resample(whole.mean(axis=1), rate, RATE, quality="HQ")
  np.testing.assert_array_equal(np.concatenate(blocks), wanted)


@pytest.mark.slow
def test_an_hour_takes_no_more_memory_than_a_minute(tmp_path):
  """Its samples at 22,050 Hz are 318 MB; soxr's buffers are not counted."""
  minute = np.resize(tone(1, 8_000), 60 * 8_000)
  with soundfile.SoundFile(tmp_path / "a.flac", "w", 8_000, 1) as file:
    for _ in range(60):
      file.write(minute)
  level = mono_waveform.Level()
  tracemalloc.start()
  for block in mono_waveform.blocks(tmp_path / "a.flac"):
    level.add(block)
  _, peak = tracemalloc.get_traced_memory()
  tracemalloc.stop()
  assert level.seconds == pytest.approx(3600)
  assert level.decibels == pytest.approx(-9.03, abs=0.01)
  assert peak < 40 * 2**20


@pytest.mark.parametrize(
  ("rate", "low", "high"), [(8_000, 3_900, 4_310), (44_100, 11_025, 11_025)]
)
def test_bandwidth(tmp_path, rate, low, high):
  """Noise at 8,000 Hz ends at 4,000 Hz, whatever rate it has later."""
  noise = np.random.default_rng(0).normal(0, 0.1, 3 * rate)
  soundfile.write(tmp_path / "a.wav", noise, rate)
  soundfile.write(
    tmp_path / "b.wav", mono_waveform.read(tmp_path / "a.wav"), RATE
  )
  samples = mono_waveform.read(tmp_path / "b.wav")
  whole, pieces, silent = (
    mono_waveform.Level(),
    mono_waveform.Level(),
    mono_waveform.Level(),
  )
  whole.add(samples)
  for block in np.array_split(samples, 99):
    pieces.add(block)
  assert low <= whole.bandwidth == pieces.bandwidth <= high
  assert silent.bandwidth is None
  silent.add(np.zeros(9_999, np.float32))
  assert silent.bandwidth is None


# Files that are refused.


@pytest.mark.parametrize("name", ["a.wav", ".", "a" * 300])
def test_missing_files(tmp_path, name):
  with pytest.raises(InputError) as caught:
    mono_waveform.read(tmp_path / name)
  reason = "no such audio file" if len(name) < 300 else "File name too long"
  assert str(caught.value) == f"{tmp_path / name}: {reason}"


@pytest.mark.parametrize(
  "extension", ["wav", "au", "flac", "ogg", "mp3", "raw"]
)
def test_empty_and_text_files(error, extension):
  assert error(f"a.{extension}", b"") == "empty file (0 bytes)"
  # libsndfile would read any text called .au as 8 kHz telephony.
  text = b"Not a sound, but a line of text.\n" * 40
  reason = error(f"a.{extension}", text)
  assert reason.startswith("not decodable as audio (")
  assert "exist" not in reason
  assert "Error opening" not in reason


@pytest.mark.parametrize("form", ["wav", "au", "aiff"])
def test_truncation_is_counted_in_bytes(error, form):
  reason = error("a", encoded(TONE, form=form)[:20_000])
  pattern = r"truncated \((\d+) of (\d+) bytes of audio\)"
  left, whole = re.fullmatch(pattern, reason).groups()
  assert int(whole) == pytest.approx(2 * RATE, abs=8)
  assert int(left) == pytest.approx(20_000, abs=60)


@pytest.mark.parametrize(
  "extension", [x for x in mono_waveform.EXTENSIONS if x not in decoding.FFMPEG]
)
def test_half_a_file_is_refused_unless_it_is_a_stream(
  tmp_path, read, error, extension
):
  rate, name = 24_000 if extension == ".opus" else RATE, f"a{extension}"
  noise = np.random.default_rng(0).uniform(-0.5, 0.5, 4 * rate)
  corpora.write_sound(tmp_path / name, noise, rate)
  content = (tmp_path / name).read_bytes()
  for inside_header in (3, 20):
    reason = error(name, content[:inside_header])
    assert reason.startswith("not decodable as audio (")
  half = content[: len(content) // 2]
  if extension in (".ogg", ".oga", ".opus", ".mp3"):
    assert len(read(name, half)) <= 4.1 * RATE
  else:
    assert re.match(r"truncated|not decodable as audio", error(name, half))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
  ("samples", "reason"),
  [
    (np.zeros(0), "no audio samples in it"),
    (TONE[:3], "0.0001361 s of audio; accepted"),
    (TONE[:2204], "0.09995 s of audio; accepted are 0.1 s or more"),
    (np.where(np.arange(RATE) == 9, np.nan, TONE), "samples that are not fin"),
    (np.where(np.arange(RATE) == 9, -np.inf, TONE), "samples that are not fin"),
    (np.tile(np.float32([np.inf, -np.inf]), (9_000, 1)), "samples that are"),
    (np.tile(np.float32([3e38, 3e38]), (9_000, 1)), "samples that are not fin"),
    (np.zeros(RATE), "no signal: in 16 bits its samples are 0 throughout"),
    (np.full(RATE, 0.5), "no signal: in 16 bits its samples are 0.5 through"),
    (1e-6 * TONE, "no signal: in 16 bits its samples are 0 throughout"),
    (1e-3 * TONE, "hardly any signal: its peak is -66 dB of full scale; acc"),
    (np.stack([TONE, -TONE], 1), "no signal: its channels cancel each other"),
    (
      np.stack([TONE + 0.3, 0.2 - 0.98 * TONE], 1),
      "no signal: its channels cancel each other",
    ),
    (32767 * TONE, "its samples reach 16,38"),
    (127 * TONE, "its samples reach 63: they were not scaled to -1..1"),
  ],
)
def test_samples_that_are_no_signal(error, samples, reason):
  content = encoded(samples, subtype="FLOAT")
  assert error("a.wav", content).startswith(reason)


@pytest.mark.parametrize(
  "samples",
  [
    TONE[:2205],
    4e-3 * TONE,
    8 * TONE,  # a mix beyond full scale, as floating point may have
    TONE + 0.4,
    np.stack([TONE, 0 * TONE], 1),
    np.stack([TONE, -0.8 * TONE], 1),
  ],
)
def test_short_quiet_loud_or_one_sided_audio_is_read(read, samples):
  assert len(read("a.wav", encoded(samples, subtype="FLOAT"))) == len(samples)


@pytest.mark.parametrize("form", ["wav", "flac", "mp3"])
def test_the_limit_of_hours(read, error, monkeypatch, form):
  content = encoded(tone(4), form=form)
  monkeypatch.setenv("GTZAN_JAX_MAX_HOURS", "0.001")
  assert error("a", content) == (
    "0.0 hours of audio; accepted are 0.001, or what GTZAN_JAX_MAX_HOURS sets"
  )
  monkeypatch.setenv("GTZAN_JAX_MAX_HOURS", "0.002")
  assert len(read("a", content)) == 4 * RATE
  monkeypatch.setenv("GTZAN_JAX_MAX_HOURS", "none")
  with pytest.raises(StopError, match="GTZAN_JAX_MAX_HOURS=none: give a numb"):
    read("a", content)


def test_a_long_file_is_refused_before_it_is_resampled(error, monkeypatch):
  """400 kB at 1 Hz are 55 hours."""
  monkeypatch.setattr(mono_waveform, "soxr", None)
  reason = error("a.wav", encoded(np.resize(TONE, 200_000), 1))
  assert reason.startswith("55.6 hours of audio; accepted")


@pytest.mark.parametrize(
  ("raised", "reason"),
  [
    (PermissionError(13, "Permission denied"), "Permission denied"),
    (MemoryError(), "it asks for more memory than there is"),
    (RuntimeError("odd\nbytes"), "cannot be read (RuntimeError: odd bytes)"),
    (ValueError(), "cannot be read (ValueError: no reason given)"),
  ],
)
def test_whatever_a_reader_raises_is_an_input_error(
  error, monkeypatch, raised, reason
):
  monkeypatch.setattr(
    soundfile.SoundFile, "read", mock.Mock(side_effect=raised)
  )
  assert error("a.wav", encoded(TONE)) == reason


def test_names_that_are_no_utf8(read):
  name = os.fsdecode(b"caf\xe9\n\x1b[31m.wav")
  assert len(read(name, encoded(TONE))) == RATE
  with pytest.raises(
    InputError, match=r"caf\\xe9\\n\\x1b\[31m.wav: not decodable"
  ):
    read(name, b"no sound")


# Odd files that are read, with a note.


def flac_of(count, samples):
  """A FLAC whose header gives another number of samples."""
  content = bytearray(encoded(samples, form="FLAC"))
  info = int.from_bytes(content[18:26], "big")  # its last 36 bits
  content[18:26] = (info >> 36 << 36 | count).to_bytes(8, "big")
  return bytes(content)


def with_size(form, size) -> bytes:
  """A file whose header gives another number of bytes of audio."""
  content = bytearray(encoded(TONE, form=form, subtype="PCM_16"))
  chunk = {"WAV": b"data", "AIFF": b"SSND"}.get(form)
  at = content.find(chunk) + 4 if chunk else 8
  content[at : at + 4] = size.to_bytes(4, "little" if form == "WAV" else "big")
  return bytes(content)


FLAC, MP3 = encoded(tone(4), form="FLAC"), encoded(tone(2), form="MP3")
TAG, PADDING = b"TAG" + bytes(125), bytes(3_000)
LIST = b"LIST" + struct.pack("<I", 80_000) + bytes(80_000)
CONTINUES = "continues after the end given by its header; all of it is read"


@pytest.mark.parametrize(
  ("name", "content", "seconds", "note"),
  [
    # Of unknown length, and of more than the header gives.
    ("a.flac", flac_of(0, tone(4)), 4, ""),
    ("a.flac", flac_of(2**36 - 1, tone(4)), 4, ""),
    (
      *("a.flac", flac_of(2 * RATE, tone(4)), 4),
      "its header gives 44,100 samples a channel, but more follow: all are"
      " read",
    ),
    *(
      (
        *("a", with_size(form, promised), 1),
        f"its header gives {promised:,} bytes of audio, but 44,1.. follow: all"
        " are read",
      )
      for form in ("WAV", "AU", "AIFF")
      for promised in (0, RATE)
    ),
    # ffmpeg writing into a pipe leaves 2^32 - 1 as the size.
    ("a", with_size("WAV", 2**32 - 1), 1, ""),
    ("a", with_size("AU", 2**32 - 1), 1, ""),
    # With something behind the audio.
    ("a.wav", encoded(TONE) + LIST, 1, ""),
    ("a.flac", FLAC + TAG, 4, ""),
    (
      "a.flac",
      FLAC + bytes(len(FLAC)),
      4,
      "the bytes after its samples are not audio",
    ),
    ("a.mp3", MP3 + TAG, 2, ""),
    ("a.mp3", MP3 + PADDING, 2, ""),
    ("a.mp3", 2 * (MP3 + TAG), 4, CONTINUES),
    ("a.mp3", 2 * (MP3 + PADDING), 4, CONTINUES),
  ],
)
def test_odd_files_are_read_with_a_note(
  read, capfd, name, content, seconds, note
):
  samples = read(name, content)
  assert len(samples) == seconds * RATE
  if name != "a.mp3":
    np.testing.assert_allclose(samples, tone(seconds), atol=4e-5)
  pattern = rf"note: .*/{name}: {note}\n" if note else ""
  assert re.fullmatch(pattern, capfd.readouterr().err)


def test_a_flac_that_promises_more_than_there_is(error):
  """Truncated where a frame ends, it decodes without a fault."""
  wanted = "truncated (88200 of 176400 samples a channel)"
  assert error("a.flac", flac_of(8 * RATE, tone(4))) == wanted


def test_concatenated_mp3_files_of_any_rate_and_channels(read):
  """A decoder stops after the first one."""
  stereo = np.stack([tone(3, 44_100, hz=880)] * 2, 1)
  samples = read("a.mp3", MP3 + encoded(stereo, 44_100, "MP3"))
  assert len(samples) == 5 * RATE
  assert pitch(samples[: 2 * RATE]) == pytest.approx(440, abs=1)
  assert pitch(samples[2 * RATE :]) == pytest.approx(880, abs=1)


def test_garbage_inside_an_mp3(read, capfd):
  """libmpg123's own lines name no file and do not reach the console."""
  content = encoded(tone(6), form="MP3")
  garbage = np.random.default_rng(0).bytes(3000)
  half = len(content) // 2
  samples = read("a.mp3", content[:half] + garbage + content[half:])
  assert 5.8 * RATE < len(samples) <= 6 * RATE
  (line,) = capfd.readouterr().err.splitlines()
  assert re.match(r"note: .*a\.mp3: damaged", line)


def test_an_mp3_of_variable_bitrate_without_its_length(read):
  """libsndfile estimates the length from the first frame's bitrate."""
  quiet, loud = 1e-3 * tone(1, hz=220), tone(4, hz=440)
  noise = np.random.default_rng(0).uniform(-0.3, 0.3, 4 * RATE)
  content = encoded(np.concatenate([noise, quiet, loud]), form="MP3")
  assert content.find(b"Xing") > 0
  content = content[content.find(b"\xff\xf3", 4) :]
  assert len(read("a.mp3", content)) == pytest.approx(9 * RATE, abs=5_000)


def test_other_output_during_decoding_is_passed_on(read, capfd, monkeypatch):
  decode = soundfile.SoundFile.read

  def prints(*args, **kwargs):
    os.write(2, b"Note: Illegal Audio-MPEG-Header\nskipped: another\n")
    return decode(*args, **kwargs)

  monkeypatch.setattr(soundfile.SoundFile, "read", prints)
  read("a.mp3", encoded(TONE, form="MP3"))
  lines = capfd.readouterr().err.splitlines()
  assert re.match(r"note: .*a\.mp3: damaged", lines.pop())
  assert set(lines) == {"skipped: another"}


# PyAV, where it is installed.


M4A_HEAD = b"\0\0\0\x20ftypM4A " + bytes(500)


def write_by_ffmpeg(path, samples, rate):
  """AAC (or Opus in .webm) by PyAV; samples `[n, 2]`."""
  av = pytest.importorskip("av")
  codec = "libopus" if path.suffix == ".webm" else "aac"
  form = {".aac": "adts", ".m4a": "ipod", ".m4b": "ipod"}.get(path.suffix)
  with av.open(str(path), "w", format=form) as container:
    stream = container.add_stream(codec, rate=rate, layout="stereo")
    planes = np.ascontiguousarray(samples.T, np.float32)
    frame = av.AudioFrame.from_ndarray(planes, "fltp", "stereo")
    frame.sample_rate = rate
    for packet in [*stream.encode(frame), *stream.encode(None)]:
      container.mux(packet)


@pytest.mark.parametrize("extension", [".m4a", ".aac", ".mp4", ".webm"])
def test_formats_of_pyav(tmp_path, error, extension):
  path, rate = tmp_path / f"a{extension}", 48_000
  write_by_ffmpeg(path, np.stack([tone(2.0, rate)] * 2, 1), rate)
  samples = mono_waveform.read(path)
  assert len(samples) == pytest.approx(2 * RATE, abs=0.06 * RATE)
  assert pitch(samples) == pytest.approx(440, abs=2)
  assert np.abs(samples).max() == pytest.approx(0.5, abs=0.1)
  cut = path.read_bytes()[:40]
  assert error(path.name, M4A_HEAD).startswith("not decodable as audio (")
  assert error(path.name, cut)


def test_without_pyav_the_message_says_how_to_install_it(
  error, monkeypatch, capsys
):
  monkeypatch.setattr(decoding, "HAS_FFMPEG", False)
  remedy = "PyAV reads it: pip install 'gtzan_jax[m4a]'"
  assert error("a.M4A", M4A_HEAD) == f"not decodable as audio; {remedy}"
  notices.passed_over({".m4a": 2, ".txt": 1, ".wma": 1})
  line = f"ignored files: 2 .m4a, 1 .txt, 1 .wma (.m4a, .wma: {remedy})\n"
  assert capsys.readouterr().out == line


# Segments.


@pytest.mark.parametrize(
  ("samples", "segment", "most", "expected"),
  [
    (660_000, 66_000, 10, 10),
    (661_794, 66_000, 10, 10),
    (675_808, 66_000, 10, 10),
    (675_808, 66_150, 10, 10),
    (661_500, 66_150, 10, 10),
    (660_000, 66_150, 10, 9),  # the tenth would be short: dropped
    (15 * RATE, 66_000, 10, 5),
    (2 * RATE, 66_000, 10, 1),  # padded, never lost
    (3 * RATE, 66_150, 10, 1),
    (120 * RATE, 66_000, 10, 10),  # a whole song: its first 30 s
    (120 * RATE, 66_000, None, 40),
    (1, 66_000, 10, 1),
  ],
)
def test_segments(samples, segment, most, expected):
  sound = np.arange(1, samples + 1, dtype=np.int32)
  split = mono_waveform.segments(sound, segment, most)
  assert split.shape == (expected, segment)
  assert split.dtype == np.int32
  kept = min(samples, split.size)
  np.testing.assert_array_equal(split.ravel()[:kept], sound[:kept])
  assert not split.ravel()[kept:].any()


def test_real_clips(gtzan_data):
  """Full clips give ten segments, the shortened ones one."""
  path = gtzan_data / "gtzan" / "genres" / "blues" / "blues.00000.wav"
  full = mono_waveform.read(path)
  assert len(full) == 661_794
  pcm, _ = soundfile.read(path, dtype="int16")
  np.testing.assert_array_equal(mono_waveform.to_int16(full), pcm)
  assert len(mono_waveform.segments(full, 66_000, 10)) == 10
  clips = sorted((gtzan_data / "gtzan_cuts" / "genres").glob("*/*.wav"))[::40]
  for clip in clips:
    assert (
      len(mono_waveform.segments(mono_waveform.read(clip), 66_000, 10)) == 1
    )
