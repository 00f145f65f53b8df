"""Reading audio files, 16 bit, segments."""

import io
import os
import pathlib
import re
import struct
import subprocess
import sys

import corpora
import numpy as np
import pytest
import soundfile
import soxr

from gtzan_jax.audio import decoding, waveform
from gtzan_jax.data import notices
from gtzan_jax.errors import InputError, StopError

RATE = waveform.SAMPLE_RATE


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
    return waveform.read(tmp_path / name, **options)

  return read


def error(path) -> str:
  """The reason why a file is refused: one line after its name."""
  with pytest.raises(InputError) as caught:
    waveform.read(path)
  message = str(caught.value)
  assert "\n" not in message
  assert message.startswith(f"{path}: ")
  return message.removeprefix(f"{path}: ")


# Files of every format.


@pytest.mark.parametrize(
  ("extension", "tolerance"),
  # 16 bit for lossless formats.
  [
    *(("wav", 4e-5), ("au", 4e-5), ("flac", 4e-5), ("aiff", 4e-5)),
    *(("caf", 4e-5), ("ogg", 0.02), ("mp3", 0.05)),
  ],
)
def test_reads_every_format(tmp_path, extension, tolerance):
  path = tmp_path / f"clip.{extension}"
  soundfile.write(path, TONE, RATE)
  samples = waveform.read(path)
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
  assert pitch(samples) == pytest.approx(440, abs=1)
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
  np.testing.assert_array_equal(waveform.to_int16(samples), pcm)
  np.testing.assert_array_equal(waveform.to_float(pcm), samples)
  assert waveform.to_float(pcm).dtype == np.float32
  rounded = np.array([1.0, 2.0, -2.0, 0.6 / 32768, -0.6 / 32768], np.float32)
  np.testing.assert_array_equal(
    waveform.to_int16(rounded),
    np.array([32767, 32767, -32768, 1, -1], np.int16),
  )


def test_blocks_and_whole_files_are_the_same_samples(tmp_path, monkeypatch):
  noise = np.random.default_rng(0).uniform(-0.5, 0.5, (50_000, 2))
  soundfile.write(tmp_path / "a.wav", noise, 44_100)
  monkeypatch.setattr(decoding, "BLOCK", 6_666)
  blocks = list(waveform.blocks(tmp_path / "a.wav"))
  assert max(map(len, blocks)) < 3_000
  whole, rate = soundfile.read(tmp_path / "a.wav", dtype="float32")
  wanted = soxr.resample(whole.mean(axis=1), rate, RATE, quality="HQ")
  np.testing.assert_array_equal(np.concatenate(blocks), wanted)


@pytest.mark.slow
def test_an_hour_takes_no_more_memory_than_a_minute(tmp_path):
  """Its samples at 22,050 Hz are 318 MB."""
  minute = np.resize(tone(1, 8_000), 60 * 8_000)
  with soundfile.SoundFile(tmp_path / "a.flac", "w", 8_000, 1) as file:
    for _ in range(60):
      file.write(minute)
  code = (
    "import resource, sys; from gtzan_jax.audio import waveform as audio\n"
    "def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
    "before = peak(); level = audio.Level()\n"
    "for block in audio.blocks(sys.argv[1]): level.add(block)\n"
    "print(level.seconds, level.decibels, (peak() - before) / 1024)"
  )
  done = subprocess.run(
    [sys.executable, "-c", code, tmp_path / "a.flac"],
    capture_output=True,
    text=True,
    check=True,
    cwd=pathlib.Path(__file__).parents[2],
  )
  seconds, level, megabytes = map(float, done.stdout.split())
  assert seconds == pytest.approx(3600)
  assert level == pytest.approx(-9.03, abs=0.01)
  assert megabytes < 40


@pytest.mark.parametrize(
  ("rate", "low", "high"), [(8_000, 3_900, 4_310), (44_100, 11_025, 11_025)]
)
def test_bandwidth(tmp_path, rate, low, high):
  """Noise at 8,000 Hz ends at 4,000 Hz, whatever rate it has later."""
  noise = np.random.default_rng(0).normal(0, 0.1, 3 * rate)
  soundfile.write(tmp_path / "a.wav", noise, rate)
  soundfile.write(tmp_path / "b.wav", waveform.read(tmp_path / "a.wav"), RATE)
  samples = waveform.read(tmp_path / "b.wav")
  whole, pieces, silent = waveform.Level(), waveform.Level(), waveform.Level()
  whole.add(samples)
  for block in np.array_split(samples, 99):
    pieces.add(block)
  assert low <= whole.bandwidth == pieces.bandwidth <= high
  assert silent.bandwidth is None
  silent.add(np.zeros(9_999, np.float32))
  assert silent.bandwidth is None


# Files that are refused.


@pytest.mark.parametrize(
  "extension", ["wav", "au", "flac", "ogg", "mp3", "raw"]
)
def test_missing_empty_and_text_files(tmp_path, extension):
  path = tmp_path / f"a.{extension}"
  assert error(path) == "no such audio file"
  assert error(tmp_path) == "no such audio file"
  path.touch()
  assert error(path) == "empty file (0 bytes)"
  # libsndfile would read any text called .au as 8 kHz telephony.
  path.write_text("Not a sound, but a line of text.\n" * 40)
  reason = error(path)
  assert reason.startswith("not decodable as audio (")
  assert "exist" not in reason
  assert "Error opening" not in reason


@pytest.mark.parametrize("extension", ["wav", "au", "aiff"])
def test_truncation_is_counted_in_bytes(tmp_path, extension):
  path = tmp_path / f"a.{extension}"
  soundfile.write(path, TONE, RATE)
  path.write_bytes(path.read_bytes()[:20_000])
  left, whole = re.fullmatch(
    r"truncated \((\d+) of (\d+) bytes of audio\)", error(path)
  ).groups()
  assert int(whole) == pytest.approx(2 * RATE, abs=8)
  assert int(left) == pytest.approx(20_000, abs=60)


@pytest.mark.parametrize("extension", ["wav", "flac", "ogg"])
@pytest.mark.parametrize("keep", [3, 20])
def test_truncated_inside_the_header(tmp_path, extension, keep):
  path = tmp_path / f"a.{extension}"
  soundfile.write(path, TONE, RATE)
  path.write_bytes(path.read_bytes()[:keep])
  assert error(path).startswith("not decodable as audio (")


@pytest.mark.parametrize(
  "extension", [x for x in waveform.EXTENSIONS if x not in decoding.FFMPEG]
)
def test_half_a_file_is_refused_unless_it_is_a_stream(tmp_path, extension):
  path = tmp_path / f"a{extension}"
  rate = 24_000 if extension == ".opus" else RATE
  noise = np.random.default_rng(0).uniform(-0.5, 0.5, 4 * rate)
  corpora.write_sound(path, noise, rate)
  whole = path.read_bytes()
  path.write_bytes(whole[: len(whole) // 2])
  if extension in (".ogg", ".oga", ".opus", ".mp3"):
    assert len(waveform.read(path)) <= 4.1 * RATE
  else:
    assert re.match(r"truncated|not decodable as audio", error(path))


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
def test_samples_that_are_no_signal(tmp_path, samples, reason):
  soundfile.write(tmp_path / "a.wav", samples, RATE, subtype="FLOAT")
  assert error(tmp_path / "a.wav").startswith(reason)


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


def test_the_limit_of_hours(tmp_path, monkeypatch):
  monkeypatch.setenv("GTZAN_JAX_MAX_HOURS", "0.001")
  for name in ("a.wav", "a.flac", "a.mp3"):
    soundfile.write(tmp_path / name, np.resize(TONE, 4 * RATE), RATE)
    assert error(tmp_path / name) == (
      "0.0 hours of audio; accepted are 0.001, or what GTZAN_JAX_MAX_HOURS sets"
    )
  monkeypatch.setenv("GTZAN_JAX_MAX_HOURS", "0.002")
  for name in ("a.wav", "a.flac", "a.mp3"):
    assert len(waveform.read(tmp_path / name)) == 4 * RATE
  monkeypatch.setenv("GTZAN_JAX_MAX_HOURS", "none")
  with pytest.raises(StopError, match="GTZAN_JAX_MAX_HOURS=none: give a numb"):
    waveform.read(tmp_path / "a.wav")


def test_a_long_file_is_refused_before_it_is_resampled(tmp_path, monkeypatch):
  """400 kB at 1 Hz are 55 hours."""
  soundfile.write(tmp_path / "a.wav", np.resize(TONE, 200_000), 1)
  monkeypatch.setattr(waveform, "soxr", None)
  assert error(tmp_path / "a.wav").startswith("55.6 hours of audio; accepted")


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
  tmp_path, monkeypatch, raised, reason
):
  def fails(*_, **__):
    raise raised

  soundfile.write(tmp_path / "a.wav", TONE, RATE)
  monkeypatch.setattr(soundfile.SoundFile, "read", fails)
  assert error(tmp_path / "a.wav") == reason


def test_names_that_are_no_utf8_or_too_long(tmp_path, read):
  name = os.fsdecode(b"caf\xe9\n\x1b[31m.wav")
  assert len(read(name, encoded(TONE))) == RATE
  with pytest.raises(InputError) as caught:
    read(name, b"no sound")
  assert "caf\\xe9\\n\\x1b[31m.wav: not decodable" in str(caught.value)
  assert error(tmp_path / ("a" * 300)) == "File name too long"


# Odd files that are read, with a note.


def flac_of(count, samples):
  """A FLAC whose header gives another number of samples."""
  content = bytearray(encoded(samples, form="FLAC"))
  info = int.from_bytes(content[18:26], "big")  # its last 36 bits
  content[18:26] = (info >> 36 << 36 | count).to_bytes(8, "big")
  return bytes(content)


@pytest.mark.parametrize(
  ("promised", "note"),
  [
    (0, ""),
    (2**36 - 1, ""),
    (
      2 * RATE,
      "a.flac: its header gives 44,100 samples a channel, but more follow: all"
      " are read\n",
    ),
  ],
)
def test_a_flac_of_unknown_or_too_small_length(read, capsys, promised, note):
  samples = read("a.flac", flac_of(promised, tone(4)))
  np.testing.assert_allclose(samples, tone(4), atol=4e-5)
  assert capsys.readouterr().err.endswith(note or "")


def test_bytes_after_a_flac(read, capsys):
  whole = encoded(tone(4), form="FLAC")
  assert len(read("a.flac", whole + b"TAG" + bytes(125))) == 4 * RATE
  assert not capsys.readouterr().err
  assert len(read("b.flac", whole + bytes(len(whole)))) == 4 * RATE
  note = "b.flac: the bytes after its samples are not audio\n"
  assert capsys.readouterr().err.endswith(note)


def test_a_flac_that_promises_more_than_there_is(tmp_path):
  """Truncated where a frame ends, it decodes without a fault."""
  (tmp_path / "a.flac").write_bytes(flac_of(8 * RATE, tone(4)))
  wanted = "truncated (88200 of 176400 samples a channel)"
  assert error(tmp_path / "a.flac") == wanted


def with_size(form, size) -> bytes:
  """A file whose header gives another number of bytes of audio."""
  content = bytearray(encoded(TONE, form=form, subtype="PCM_16"))
  at = {"WAV": content.find(b"data") + 4, "AU": 8}.get(
    form, content.find(b"SSND") + 4
  )
  content[at : at + 4] = size.to_bytes(4, "little" if form == "WAV" else "big")
  return bytes(content)


@pytest.mark.parametrize("promised", [0, RATE])
@pytest.mark.parametrize("form", ["WAV", "AU", "AIFF"])
def test_a_header_that_promises_less_than_there_is(
  read, capsys, form, promised
):
  samples = read("a", with_size(form, promised))
  np.testing.assert_allclose(samples, TONE, atol=4e-5)
  assert re.fullmatch(
    rf"note: .*/a: its header gives {promised:,} bytes of audio, but"
    r" 44,1\d\d follow: all are read\n",
    capsys.readouterr().err,
  )


@pytest.mark.parametrize("form", ["WAV", "AU"])
def test_a_recorder_that_cannot_seek_is_no_truncation(read, form):
  """ffmpeg writing into a pipe leaves 2^32 - 1 as the size."""
  assert len(read("a", with_size(form, 2**32 - 1))) == RATE


def test_chunks_after_the_audio_are_ignored(read, capsys):
  content = encoded(TONE) + b"LIST" + struct.pack("<I", 80_000) + bytes(80_000)
  assert len(read("a.wav", content)) == RATE
  assert not capsys.readouterr().err


@pytest.mark.parametrize("between", [b"TAG" + bytes(125), bytes(3_000)])
def test_tags_and_padding_between_mp3_files(read, capfd, between):
  one = encoded(tone(2), form="MP3") + between
  assert len(read("a.mp3", one)) == 2 * RATE
  assert not capfd.readouterr().err
  assert len(read("b.mp3", one + one)) == 4 * RATE
  assert capfd.readouterr().err.count("note: ") == 1


def test_concatenated_mp3_files(read, capfd):
  """Of any rate and channel count; a decoder stops after the first one."""
  first = encoded(tone(2), form="MP3")
  stereo = np.stack([tone(3, 44_100, hz=880)] * 2, 1)
  samples = read("a.mp3", first + encoded(stereo, 44_100, "MP3"))
  assert len(samples) == 5 * RATE
  assert pitch(samples[: 2 * RATE]) == pytest.approx(440, abs=1)
  assert pitch(samples[2 * RATE :]) == pytest.approx(880, abs=1)
  assert capfd.readouterr().err.endswith(
    "a.mp3: continues after the end given by its header; all of it is read\n"
  )


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
def test_formats_of_pyav(tmp_path, extension):
  path, rate = tmp_path / f"a{extension}", 48_000
  write_by_ffmpeg(path, np.stack([tone(2.0, rate)] * 2, 1), rate)
  samples = waveform.read(path)
  assert len(samples) == pytest.approx(2 * RATE, abs=0.06 * RATE)
  assert pitch(samples) == pytest.approx(440, abs=2)
  assert np.abs(samples).max() == pytest.approx(0.5, abs=0.1)
  whole = path.read_bytes()
  path.write_bytes(b"\0\0\0\x20ftypM4A " + bytes(500))
  assert error(path).startswith("not decodable as audio (")
  path.write_bytes(whole[:40])
  assert error(path)


def test_without_pyav_the_message_says_how_to_install_it(
  tmp_path, monkeypatch, capsys
):
  monkeypatch.setattr(decoding, "HAS_FFMPEG", False)
  (tmp_path / "a.M4A").write_bytes(b"\0\0\0\x20ftypM4A " + bytes(500))
  remedy = "PyAV reads it: pip install 'gtzan_jax[m4a]'"
  assert error(tmp_path / "a.M4A") == f"not decodable as audio; {remedy}"
  notices.passed_over({".m4a": 2, ".txt": 1, ".wma": 1})
  line = f"ignored files: 2 .m4a, 1 .txt, 1 .wma (.m4a, .wma: {remedy})\n"
  assert capsys.readouterr().out == line


# Segments.


@pytest.mark.parametrize(
  ("samples", "segment", "expected"),
  [
    (660_000, 66_000, 10),
    (661_794, 66_000, 10),
    (675_808, 66_000, 10),
    (675_808, 66_150, 10),
    (661_500, 66_150, 10),
    (660_000, 66_150, 9),  # the tenth would be short: dropped
    (15 * RATE, 66_000, 5),
    (2 * RATE, 66_000, 1),  # padded, never lost
    (3 * RATE, 66_150, 1),
    (120 * RATE, 66_000, 10),  # a whole song: its first 30 s
    (1, 66_000, 1),
  ],
)
def test_segments(samples, segment, expected):
  sound = np.arange(1, samples + 1)
  split = waveform.segments(sound, segment, max_segments=10)
  assert split.shape == (expected, segment)
  flat = split.reshape(-1)
  kept = min(samples, expected * segment)
  np.testing.assert_array_equal(flat[:kept], sound[:kept])
  assert not flat[kept:].any()


def test_segments_without_a_limit_keep_the_dtype():
  split = waveform.segments(np.ones(120 * RATE, np.int16), 66_000, None)
  assert split.shape == (40, 66_000)
  assert split.dtype == np.int16


def test_real_clips(gtzan_data):
  """Full clips give ten segments, the shortened ones one."""
  path = gtzan_data / "gtzan" / "genres" / "blues" / "blues.00000.wav"
  full = waveform.read(path)
  assert len(full) == 661_794
  pcm, _ = soundfile.read(path, dtype="int16")
  np.testing.assert_array_equal(waveform.to_int16(full), pcm)
  assert waveform.segments(full, 66_000, 10).shape == (10, 66_000)
  clips = sorted((gtzan_data / "gtzan_cuts" / "genres").glob("*/*.wav"))[::40]
  for clip in clips:
    assert waveform.segments(waveform.read(clip), 66_000, 10).shape == (
      1,
      66_000,
    )
