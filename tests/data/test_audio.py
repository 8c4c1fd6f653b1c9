"""Clips of wav files in a directory or a zip."""

import os
import shutil
import warnings
import zipfile

import numpy as np
import pytest

from gan_jax import data
from gan_jax.data import audio, check
from gan_jax.data.array_source import split_indices
from tests.data.test_check import problems
from tests.data.test_wav_files import TONE, wav

FEW = 'clips to train on; with fewer than 200'


def sine(frequency, rate, seconds=0.1, loudness=0.5):
  times = np.arange(round(rate * seconds)) / rate
  return loudness * np.sin(2 * np.pi * frequency * times)


def fill(path, count, classes=('',)):
  """Clips of constant levels 0.01, 0.02, ..., dealt to directories in turn."""
  for i in range(count):
    folder = path / classes[i % len(classes)]
    folder.mkdir(exist_ok=True, parents=True)
    (folder / f'{i:03}.wav').write_bytes(wav([(i + 1) / 100] * 20, 16))
  return path


def read(path, split='test', **options):
  options = {'length': 32, 'normalize': 'none', 'test_fraction': 0.5} | options
  return data.make_source(
    {'name': 'audio', 'path': str(path), **options}, split
  )


def pitch(x, rate):
  """Frequency of the highest peak of a spectrum, in Hz."""
  spectrum = np.abs(np.fft.rfft(x * np.hanning(len(x)), 2**16))
  return spectrum.argmax() * rate / 2**16


def clip_of(x, rate=8000, **options):
  x = np.asarray(x, np.float32).reshape(len(x), -1)
  return audio.make_clip(x, rate, audio.ClipFormat(**options))


class TestClip:
  def test_channels_are_averaged_and_zeros_added_at_the_end(self):
    made = clip_of([[0.5, 0.1], [-0.2, -0.4]], length=4, normalize='none')
    np.testing.assert_allclose(made.x[:, 0], [0.3, -0.3, 0, 0], atol=1e-7)
    assert made.x.dtype == np.float32 and made.channels == 2
    assert not (made.is_cut or made.is_clipped or made.is_silent)

  def test_the_loudest_sample_becomes_one(self):
    made = clip_of([0.1, -0.2, 0.05], length=3)
    np.testing.assert_allclose(made.x[:, 0], [0.5, -1, 0.25], rtol=1e-6)

  def test_silence_stays_silent(self):
    made = clip_of(np.zeros(5), length=3, trim_silence=0.1)
    assert made.is_silent and made.is_cut and not made.x.any()

  def test_the_beginning_of_a_long_recording_is_kept(self):
    made = clip_of(np.linspace(0, 1, 11), length=3, normalize='none')
    np.testing.assert_allclose(made.x[:, 0], [0, 0.1, 0.2], atol=1e-6)
    assert made.is_cut

  def test_loud_floats_are_clipped(self):
    made = clip_of([2, -3, 0.5], length=3, normalize='none')
    np.testing.assert_array_equal(made.x[:, 0], [1, -1, 0.5])
    assert made.is_clipped
    assert not clip_of([2, -3, 0.5], length=3).is_clipped

  def test_silence_at_both_ends_is_trimmed(self):
    x = [0.01, 0, 0.5, 0.01, -1, 0.09]
    made = clip_of(x, length=4, trim_silence=0.1, normalize='none')
    np.testing.assert_allclose(made.x[:, 0], [0.5, 0.01, -1, 0], atol=1e-7)

  @pytest.mark.parametrize('rate', [4000, 11025, 16000, 44100, 48000])
  def test_a_tone_keeps_its_pitch_when_it_is_resampled(self, rate):
    made = clip_of(sine(440, rate), rate, length=800, normalize='none')
    assert abs(pitch(made.x[:, 0], 8000) - 440) < 1
    expected = sine(440, 8000)
    inner = slice(50, -50)  # the filter reaches beyond the ends
    np.testing.assert_allclose(made.x[inner, 0], expected[inner], atol=2e-3)
    assert not made.is_cut

  def test_a_cut_recording_is_as_if_it_was_resampled_as_a_whole(self):
    x = np.random.default_rng(0).uniform(-0.5, 0.5, 5000)
    whole, cut = (
      clip_of(x, 44100, length=n, normalize='none').x for n in (950, 100)
    )
    np.testing.assert_allclose(cut, whole[:100], atol=1e-6)

  @pytest.mark.parametrize(
    'options, message',
    [
      ({'length': 0}, 'length=0: must be at least 1'),
      ({'sample_rate': 0}, 'sample_rate=0'),
      ({'trim_silence': 1.0}, 'trim_silence=1.0: .* below 1'),
      ({'normalize': 'rms'}, "normalize='rms': choose one of"),
    ],
  )
  def test_bad_formats(self, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
      read(fill(tmp_path, 2), **options)


def test_a_directory_is_read(tmp_path):
  fill(tmp_path, 10)
  source = read(tmp_path)
  chosen = split_indices(10, 'test', 0.5)
  assert source.x.shape == (5, 32, 1) and source.x.dtype == np.float32
  assert source.label is None and source.sample_rate == 8000
  levels = (chosen + 1) / 100
  np.testing.assert_allclose(source.x[:, 19, 0], levels, atol=1e-4)
  assert not source.x[:, 20:].any()


def test_few_clips_are_warned_of_in_training_alone(tmp_path):
  with pytest.warns(UserWarning, match=f'has 5 {FEW}'):
    read(fill(tmp_path, 10), 'train')
  with warnings.catch_warnings():
    warnings.simplefilter('error')
    read(tmp_path)


def test_directories_are_classes_also_in_a_zip(tmp_path):
  fill(tmp_path / 'set', 12, ('wolf/young', 'ant', 'bee', '.hidden'))
  (tmp_path / 'set' / 'README.md').write_text('about them')
  with zipfile.ZipFile(tmp_path / 'set.zip', 'w') as packed:
    for path in sorted(tmp_path.glob('set/**/*')):
      packed.write(path, path.relative_to(tmp_path))
    packed.writestr('__MACOSX/set/ant/1.wav', b'')
  folder, packed = read(tmp_path / 'set'), read(tmp_path / 'set.zip')
  assert folder.class_names == packed.class_names == ('ant', 'bee', 'wolf')
  np.testing.assert_array_equal(folder.x, packed.x)
  np.testing.assert_array_equal(folder.label, packed.label)
  number = np.round(folder.x[:, 0, 0] * 100).astype(int) - 1
  np.testing.assert_array_equal(folder.label, np.array([2, 0, 1])[number % 4])
  assert '1 md' in packed.description and '3 classes: ant' in packed.description
  assert folder.listing == packed.listing != ''


def test_numbers_that_classes_leave_out_are_no_gaps(tmp_path):
  source = read(fill(tmp_path, 12, ('3', '7')))
  assert source.class_names == ('3', '7') and source.classes == 2
  assert read(tmp_path, classes='none').label is None


def test_splits_are_asked_about(tmp_path):
  fill(tmp_path, 6, ('train', 'test'))
  with pytest.raises(
    ValueError, match='which one is meant.*data.audio.classes'
  ):
    read(tmp_path)


def test_what_was_done_is_counted_and_said_once(tmp_path):
  fill(tmp_path, 2)
  (tmp_path / 'a.wav').write_bytes(wav(sine(440, 16000), 16, rate=16000))
  (tmp_path / 'b.wav').write_bytes(wav(np.zeros((9, 2)), 16))
  form = audio.ClipFormat(32)
  with audio.WavReader(audio.find_wavs(str(tmp_path)), form) as reader:
    clips = [reader.read(f'{name}.wav') for name in ('000', 'a', 'b')]
  text = audio.describe_changes(clips, form)
  assert text == (
    'resampled to 8,000 Hz: 1 of 16,000 Hz; 1 of several channels were mixed '
    'down; 1 are longer than 32 samples, of which the beginning is kept; 1 are '
    'silent'
  )
  assert audio.describe_changes(clips[:1], form) == ''
  with pytest.warns(UserWarning, match='test wav files in .*resampled') as said:
    read(tmp_path, test_fraction=0.9)
  assert len(said) == 1


BROKEN = {
  'text.wav': b'not sound',
  'empty.wav': b'',
  'short.wav': wav(TONE, 16)[:-9],
  'nan.wav': wav([np.nan, 0], 32, coding=3),
}


def test_broken_files_are_named_or_skipped_and_counted(tmp_path):
  fill(tmp_path, 30)
  for name, content in BROKEN.items():
    (tmp_path / name).write_bytes(content)
  with pytest.raises(ValueError, match=f'broken wav file {tmp_path}/.*wav: '):
    read(tmp_path, test_fraction=0.9)
  with pytest.warns(UserWarning, match='skipped 4 of the 31 test wav files'):
    source = read(tmp_path, test_fraction=0.92, skip_broken=True)
  assert len(source) == 27
  folder = fill(tmp_path / 'classes', 20, ('a', 'b'))
  (folder / 'a' / 'broken.wav').write_bytes(b'')
  with pytest.warns(UserWarning, match='skipped 1 of the 20'):
    source = read(folder, test_fraction=0.95, skip_broken=True)
  number = np.round(source.x[:, 0, 0] * 100).astype(int) - 1
  np.testing.assert_array_equal(source.label, number % 2)
  shutil.rmtree(folder)
  for i in range(30):
    (tmp_path / f'{i:03}.wav').unlink()
  with pytest.raises(ValueError, match='none of the 2 test wav files'):
    read(tmp_path, skip_broken=True)


def test_all_broken_files_are_listed(tmp_path):
  fill(tmp_path, 5)
  for name, content in BROKEN.items():
    (tmp_path / name).write_bytes(content)
  found = problems(name='audio', path=str(tmp_path))
  assert [text.split(': ')[0] for text in found] == [
    f'broken wav file {tmp_path / name}' for name in sorted(BROKEN)
  ]
  (tmp_path / 'two.wav').write_bytes(wav(np.ones((20_000, 2)), 16))
  with pytest.warns(UserWarning, match='of the 6 .*1 of several channels'):
    problems(name='audio', path=str(tmp_path))


def test_damaged_zips(tmp_path):
  path = tmp_path / 'a.zip'
  path.write_bytes(b'PK no zip')
  with pytest.raises(ValueError, match='a.zip cannot be read as a zip'):
    read(path)
  with zipfile.ZipFile(path, 'w') as packed:
    for i in range(4):
      packed.writestr(f'{i}.wav', wav([0.1] * 9, 16))
  content = bytearray(path.read_bytes())
  content[content.index(b'data') + 9] ^= 1
  path.write_bytes(content)
  with pytest.raises(ValueError, match=r'broken wav file .*a.zip/0.wav.*CRC'):
    read(path, test_fraction=0.9), read(path, 'train', test_fraction=0.1)
  with zipfile.ZipFile(path, 'w') as packed:
    packed.writestr('a.txt', b'')
  with pytest.raises(FileNotFoundError, match='no wav files in .*1 txt'):
    read(path)


def test_bad_paths(tmp_path):
  for path, message in (
    ('', 'data.audio.path is empty'),
    (tmp_path / 'none', 'is not a directory of wav files'),
    (tmp_path, 'no wav files in .*looked for .wav'),
  ):
    with pytest.raises(FileNotFoundError, match=message):
      read(path)
  fill(tmp_path / 'in', 3)
  os.symlink(tmp_path / 'in', tmp_path / 'in' / 'loop')
  assert len(read(tmp_path / 'in', test_fraction=0.1)) == 1
  os.symlink('/etc/passwd', tmp_path / 'in' / 'x.wav')
  with pytest.raises(ValueError, match='outside of .*data.audio.follow_syml'):
    read(tmp_path / 'in')


def test_music_of_other_kinds_is_warned_of(tmp_path):
  fill(tmp_path, 3)
  (tmp_path / 'a.mp3').touch()
  with pytest.warns(UserWarning, match='1 mp3 are left out; convert'):
    read(tmp_path)


def test_clips_that_do_not_fit_are_refused_before_they_are_read(tmp_path):
  with pytest.raises(
    ValueError, match='2 clips of 1,000,000 samples take 8 MB'
  ):
    read(fill(tmp_path, 4), length=1_000_000, memory_mb=1)


def test_sound_that_is_too_loud_is_named():
  source = data.ArraySource(np.full((3, 8, 1), 2, np.float32))
  track = lambda *_: lambda _: None
  assert not list(check.check_source(source, 'own', track))
  source.sample_rate = 8000
  found = list(check.check_source(source, 'own', track))
  assert len(found) == 3 and 'float clips must be from -1 to 1' in found[0]


class TestTones:
  def test_pitches_are_those_of_the_classes(self):
    source = data.make_source({'name': 'tones', 'size': 20, 'length': 2048})
    assert source.x.shape == (20, 2048, 1) and source.x.dtype == np.float32
    assert source.sample_rate == 8000 and source.classes == 10
    assert source.class_share == (0.1,) * 10
    np.testing.assert_array_equal(source.label, np.arange(20) % 10)
    loudest = np.abs(source.x).max(axis=(1, 2))
    assert 0.5 <= loudest.min() <= loudest.max() <= 0.951
    for x, label in zip(source.x[..., 0], source.label):
      # Of the product spectrum, the pitch is the peak.
      spectrum = np.abs(np.fft.rfft(x * np.hanning(2048), 2**15))
      bins = np.arange(800, 4200)
      product = spectrum[bins] * spectrum[2 * bins] * spectrum[3 * bins]
      found = bins[product.argmax()] * 8000 / 2**15
      octaves = np.log2(found / (200 * 2 ** (label / 4)))
      assert abs(octaves) < 0.03, (label, found)

  def test_splits_and_seeds_are_other_tones_of_the_same_pitches(self):
    make = lambda split='train', **options: data.make_source(
      {'name': 'tones', 'size': 10, 'length': 64, **options}, split
    )
    np.testing.assert_array_equal(make().x, make().x)
    for other in (make('test'), make(seed=1)):
      assert np.abs(other.x - make().x).max() > 0.1
      assert other.class_names == make().class_names

  def test_bad_options(self):
    for options, message in (
      ({'size': 0}, 'size=0: must be at least 1'),
      ({'length': 0}, 'length=0'),
      ({'seed': -1}, 'seed=-1: must be at least 0'),
      ({'sample_rate': 2000}, 'sample_rate=2000: must be at least 2144 Hz'),
    ):
      with pytest.raises(ValueError, match=message):
        data.make_source({'name': 'tones', **options})
