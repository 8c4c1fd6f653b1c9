"""Sound as wav files and as pictures."""

import numpy as np
import pytest
import scipy.io.wavfile
from PIL import Image

from gan_jax.report import audio


def sine(frequency, rate=8000, length=4096):
  return np.sin(2 * np.pi * frequency * np.arange(length) / rate)


def test_a_wav_has_the_samples_at_16_bits(tmp_path):
  path = tmp_path / 'deep' / 'a.wav'
  audio.write_wav(path, np.array([0, 0.5, -1, 1, 7, -7]), 8000)
  rate, levels = scipy.io.wavfile.read(path)
  assert rate == 8000 and levels.dtype == np.int16
  expected = [0, 16384, -32767, 32767, 32767, -32767]
  np.testing.assert_array_equal(levels, expected)
  assert not list(path.parent.glob('*.tmp'))
  audio.write_wav(path, np.zeros((5, 2), np.float32), 44100)
  assert scipy.io.wavfile.read(path)[1].shape == (5, 2)


def test_samples_that_no_wav_can_hold(tmp_path):
  for wrong, message in (
    (np.zeros((1, 2, 3)), r'\(1, 2, 3\) .*must be floats \[T\]'),
    (np.zeros(3, np.int16), 'int16: must be floats'),
    (np.array([0, np.nan]), '1 samples are not finite'),
  ):
    with pytest.raises(ValueError, match=message):
      audio.write_wav(tmp_path / 'a.wav', wrong, 8000)
  assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('rate', [8000, 44100])
@pytest.mark.parametrize('share', [0.1, 0.5, 0.9])
def test_the_brightest_row_is_that_of_the_tone(rate, share):
  frequency = share * rate / 2
  found = audio.spectrogram(sine(frequency, rate)[None], rate)
  assert found.shape == (1, 64, 128)
  middle = found[0, :, 10:-20]  # the ends have the padding's silence
  assert (np.abs(middle.argmax(axis=0) - share * 64) <= 1).all()
  np.testing.assert_allclose(middle.max(axis=0), 0, atol=1.5)  # dB


def test_low_tones_are_at_the_bottom_and_time_runs_to_the_right():
  x = np.concatenate([sine(500, length=2048), np.zeros(2048)])
  picture = audio.spectrogram_image(x[None, :, None], 8000).astype(int)
  panel = picture[audio.GAP : -audio.GAP, audio.GAP : -audio.GAP].sum(axis=2)
  row, column = np.unravel_index(panel.argmax(), panel.shape)
  assert abs(row - (63 - 8)) <= 1 and column < 64
  assert panel[:, 70:].max() < 20  # silence is black


def test_clips_have_places_between_white_gaps():
  clips = np.zeros((5, 1024, 1), np.float32)
  clips[4] = 0.5 * sine(1000, length=1024)[:, None]
  picture = audio.spectrogram_image(clips, 8000, columns=3)
  height, width = 64, 128
  assert picture.shape == (2 * height + 12, 3 * width + 16, 3)
  gaps = [picture[: audio.GAP], picture[:, -audio.GAP :]]
  gaps.append(picture[height + 4 : height + 8])
  assert all((gap == 255).all() for gap in gaps)
  second = picture[height + 8 : -4, width + 8 : 2 * width + 8]
  assert second.max() > 150 and picture[4 : height + 4, 4 : width + 4].max() < 9
  assert (picture[height + 8 : -4, 2 * width + 12 : -4] == 255).all()  # none


@pytest.mark.parametrize('length', [1, 7, 256, 8193])
def test_clips_of_any_length(length):
  picture = audio.spectrogram_image(np.zeros((3, length, 1)), 8000)
  assert picture.dtype == np.uint8 and 100 < picture.shape[1] < 600


def test_refuses_other_shapes():
  for shape in ((2, 8), (2, 8, 2), (0, 8, 1)):
    with pytest.raises(ValueError, match=r'must be \[N, T, 1\]'):
      audio.spectrogram_image(np.zeros(shape), 8000)


def test_a_picture_and_its_wav(tmp_path):
  clips = np.stack([sine(500, length=800), np.full(800, np.nan)])[..., None]
  audio.save_clips(tmp_path / 'a.png', clips, 8000, columns=1)
  with Image.open(tmp_path / 'a.png') as picture:  # a column is 7 samples
    assert picture.size == (115 + 8, 2 * 64 + 12)
  rate, levels = scipy.io.wavfile.read(tmp_path / 'a.wav')
  assert rate == 8000 and len(levels) == 2 * (800 + 1200)
  np.testing.assert_allclose(levels[:800] / 32767, clips[0, :, 0], atol=1e-4)
  assert not levels[800:].any()
