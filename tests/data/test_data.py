"""Sources that need no download, and the pipeline."""

import itertools
import threading

import numpy as np
import pytest

from gan_jax import data, shuffle
from gan_jax.data import ArraySource, images
from gan_jax.data.array_source import split_indices

SPLITS = ('train', 'test')


class TestSynthetic:
  def test_gaussian_is_that_of_d2l(self):
    source = data.make_source({'name': 'gaussian', 'size': 200_000})
    covariance = [[1.01, 1.95], [1.95, 4.25]]
    np.testing.assert_allclose(source.distribution.covariance, covariance)
    np.testing.assert_array_equal(source.distribution.mean, [1, 2])
    np.testing.assert_allclose(np.cov(source.x.T), covariance, atol=0.05)
    np.testing.assert_allclose(source.x.mean(0), [1, 2], atol=0.02)

  @pytest.mark.parametrize(
    ('name', 'modes', 'sigma'), [('ring', 8, 0.01), ('grid', 25, 0.05)]
  )
  def test_mixtures_fill_their_modes_evenly(self, name, modes, sigma):
    source = data.make_source({'name': name})
    centers = source.distribution.centers
    squared = ((source.x[:, None] - centers) ** 2).sum(-1)
    counts = np.bincount(squared.argmin(1), minlength=modes)
    assert len(centers) == modes
    np.testing.assert_allclose(counts, 100_000 / modes, rtol=0.1)
    np.testing.assert_allclose(
      np.sqrt(squared.min(1).mean() / 2), sigma, rtol=0.02
    )

  def test_centres_are_those_of_pacgan(self):
    ring = data.make_source({'name': 'ring', 'size': 1}).distribution.centers
    np.testing.assert_allclose(np.hypot(*ring.T), 1)
    angles = np.sort(np.arctan2(ring[:, 1], ring[:, 0]))
    np.testing.assert_allclose(np.diff(angles), np.pi / 4)
    grid = data.make_source({'name': 'grid', 'size': 1}).distribution.centers
    ticks = (-4, -2, 0, 2, 4)
    assert set(map(tuple, grid)) == set(itertools.product(ticks, ticks))

  @pytest.mark.parametrize('name', ['gaussian', 'ring', 'grid'])
  def test_splits_and_seeds_are_other_draws(self, name):
    def draw(split, seed):
      return data.make_source({'name': name, 'size': 50, 'seed': seed}, split).x

    assert draw('train', 0).shape == (50, 2)
    assert draw('train', 0).dtype == np.float32
    np.testing.assert_array_equal(draw('train', 3), draw('train', 3))
    for split, seed in [('test', 0), ('train', 1)]:
      assert not np.isin(draw('train', 0), draw(split, seed)).any()

  @pytest.mark.parametrize(
    ('spec', 'message'),
    [
      ({'name': 'gaussian', 'size': 0}, 'size=0'),
      ({'name': 'ring', 'modes': 0}, 'modes=0'),
    ],
  )
  def test_refuses_to_draw_nothing(self, spec, message):
    with pytest.raises(ValueError, match=message):
      data.make_source(spec)


class TestDigits:
  def test_are_those_of_scikit_learn(self):
    import sklearn.datasets

    bunch = sklearn.datasets.load_digits()
    for split, size in zip(SPLITS, (1438, 359)):
      source = data.make_source({'name': 'digits', 'size': 8}, split)
      chosen = split_indices(1797, split, 0.2)
      assert len(source) == size == len(chosen)
      expected = np.round(bunch.images[chosen] * (255 / 16))
      np.testing.assert_array_equal(source.x[..., 0], expected)
      np.testing.assert_array_equal(source.label, bunch.target[chosen])
      assert source.x.dtype == np.uint8 and source.label.dtype == np.int32

  @pytest.mark.parametrize('channels', [1, 3, 4])
  def test_upsampled(self, channels):
    spec = {'name': 'digits', 'size': 16, 'channels': channels}
    source = data.make_source(spec, 'test')
    assert source.x.shape == (359, *source.shape) == (359, 16, 16, channels)
    assert (source.x.min(), source.x.max()) == (0, 255)
    colors = source.x[..., : min(3, channels)]
    assert (colors == colors[..., :1]).all()
    if channels == 4:
      assert (source.x[..., 3] == 255).all()


class TestImages:
  def test_upsampling_clips_and_does_not_wrap(self):
    edge = np.zeros((1, 8, 8, 1), np.uint8)
    edge[:, :, 4:] = 255
    big = images.crop_and_resize_arrays(edge, 32, 1)[0, ..., 0].astype(int)
    assert (big[:, :12] <= 8).all() and (big[:, 20:] >= 247).all()
    assert big.min() == 0 and big.max() == 255

  def test_downsampling_averages(self):
    chequered = np.indices((64, 64)).sum(0) % 2 * 255
    small = images.crop_and_resize_arrays(
      chequered.astype(np.uint8)[None, ..., None], 8, 1
    )
    np.testing.assert_allclose(small, 127.5, atol=8)

  @pytest.mark.parametrize(
    ('size', 'channels', 'message'), [(0, 3, 'size=0'), (8, 2, 'channels=2')]
  )
  def test_refuses_bad_formats(self, size, channels, message):
    with pytest.raises(ValueError, match=message):
      images.check_format(size, channels)
    with pytest.raises(ValueError, match=message):
      data.make_source({'name': 'digits', 'size': size, 'channels': channels})


@pytest.mark.parametrize('size', [2, 10, 1797])
def test_held_out_is_disjoint_and_complete(size):
  train, test = (split_indices(size, split, 0.2) for split in SPLITS)
  assert sorted([*train, *test]) == list(range(size))
  assert len(test) == max(1, round(size * 0.2))
  np.testing.assert_array_equal(test, split_indices(size, 'test', 0.2))


@pytest.mark.parametrize(
  ('size', 'fraction', 'message'),
  [(9, 0.0, 'test_fraction=0.0'), (9, 1.0, 'between 0 and 1'), (1, 0.5, '^1 ')],
)
def test_held_out_refuses(size, fraction, message):
  with pytest.raises(ValueError, match=message):
    split_indices(size, 'test', fraction)


class TestMakeSource:
  def test_fills_in_the_options(self):
    assert data.source_options({'name': 'gaussian', 'seed': 3}) == {
      'name': 'gaussian',
      'size': 1000,
      'seed': 3,
    }

  @pytest.mark.parametrize(
    ('spec', 'split', 'message'),
    [
      ({'name': 'digit'}, 'train', "'digit'. Did you mean 'digits'"),
      ({}, 'train', 'Allowed: audio, custom, digits'),
      ({'name': 'ring', 'mode': 3}, 'train', "'mode'. Did you mean 'modes'"),
      ({'name': 'ring', 'modes': '3'}, 'train', "modes='3' is of type str"),
      ({'name': 'ring', 'modes': True}, 'train', 'must be int'),
      ({'name': 'ring'}, 'val', "split='val': choose one of ('train'"),
    ],
  )
  def test_names_what_is_wrong(self, spec, split, message):
    with pytest.raises(ValueError) as caught:
      data.make_source(spec, split)
    assert message in str(caught.value)


def numbers(size):
  """A source whose examples are their own numbers."""
  return ArraySource(np.arange(size)[:, None], np.arange(size) % 3)


class Failing:
  shape = (1,)

  def __len__(self):
    return 8

  def __getitem__(self, indices):
    raise OSError('the disk is gone')


class TestPipeline:
  def take(self, source, count, **options):
    with data.BatchIterator(source, seed=0, **options) as batches:
      return [next(batches) for _ in range(count)]

  def test_batch_depends_on_seed_and_step_alone(self):
    source = numbers(20)
    all_five = self.take(source, 5, batch_size=6)
    for got, expected in zip(
      self.take(source, 2, batch_size=6, start=3), all_five[3:]
    ):
      np.testing.assert_array_equal(got['x'], expected['x'])
      np.testing.assert_array_equal(got['label'], expected['label'])
    with data.BatchIterator(source, seed=1, batch_size=6) as other:
      assert not np.array_equal(next(other)['x'], all_five[0]['x'])

  def test_batches_of_d_steps_follow_one_another(self):
    for step, batch in enumerate(
      self.take(numbers(20), 4, batch_size=3, d_steps=2)
    ):
      assert batch['x'].shape == (2, 3, 1) and batch['label'].shape == (2, 3)
      for i in range(2):
        expected = shuffle.batch_indices(0, 2 * step + i, 20, 3)
        np.testing.assert_array_equal(batch['x'][i, :, 0], expected)
        np.testing.assert_array_equal(batch['label'][i], expected % 3)

  def test_every_example_once_an_epoch(self):
    batches = self.take(numbers(12), 6, batch_size=4)
    epochs = np.concatenate([b['x'].ravel() for b in batches]).reshape(2, 12)
    assert (np.sort(epochs) == np.arange(12)).all()
    assert (epochs[0] != epochs[1]).any()

  def test_puts_batches_where_it_is_told(self):
    (batch,) = self.take(
      numbers(4), 1, batch_size=4, put=lambda batch: sorted(batch)
    )
    assert batch == ['label', 'x']

  def test_error_of_the_source_comes_up_at_next(self):
    with data.BatchIterator(Failing(), seed=0, batch_size=2) as batches:
      with pytest.raises(OSError, match='the disk is gone'):
        next(batches)
      with pytest.raises(ValueError, match='closed'):
        next(batches)

  @pytest.mark.parametrize('batch_size', [0, 21])
  def test_refuses_a_batch_that_the_source_cannot_fill(self, batch_size):
    message = f'batch_size={batch_size}: .* the 20 examples'
    with pytest.raises(ValueError, match=message):
      data.BatchIterator(numbers(20), seed=0, batch_size=batch_size)

  def test_close_ends_the_thread(self):
    def alive():
      return [t for t in threading.enumerate() if 'ahead' in t.name]

    batches = data.BatchIterator(numbers(20), seed=0, batch_size=2)
    assert len(alive()) == 1
    batches.close()
    assert not alive()
    with pytest.raises(ValueError, match='closed'):
      next(batches)
