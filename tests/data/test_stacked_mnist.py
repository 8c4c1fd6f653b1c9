"""Stacked MNIST: the source, the classifier and the count of modes."""

import functools
import itertools
import json

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import data
from gan_jax.data import ArraySource, images, tfds
from gan_jax.evaluation.networks import mnist_classifier
from gan_jax.metrics import stacked_mnist
from gan_jax.pixels import to_float

RECORD = json.loads(mnist_classifier.WEIGHTS.with_suffix('.json').read_text())
COMBINATIONS = jnp.array(list(itertools.product(range(10), repeat=3)))


@pytest.fixture(scope='module')
def classifier():
  params, _ = mnist_classifier.load_digit_classifier()
  return jax.jit(functools.partial(mnist_classifier.digit_logits, params))


class TestClassifier:
  def test_the_file_is_that_of_the_record(self):
    params, sha256 = mnist_classifier.load_digit_classifier()
    assert sha256 == RECORD['sha256']
    assert sum(x.size for x in params.values()) == RECORD['parameters']
    assert mnist_classifier.WEIGHTS.stat().st_size < 500_000
    chex.assert_tree_all_finite(params)
    assert {x.dtype for x in params.values()} == {jnp.dtype('float32')}

  def test_its_recorded_accuracy_is_enough_for_the_protocol(self):
    assert RECORD['test']['accuracy'] >= 0.992
    assert RECORD['test']['digits'] == 10_000

  @pytest.mark.parametrize('side', [28, 32, 14])
  def test_shapes(self, classifier, side):
    params, _ = mnist_classifier.load_digit_classifier()
    x = jnp.zeros((3, side, side, 1))
    assert classifier(x).shape == (3, 10)
    features = mnist_classifier.digit_features(params, x)
    assert features.shape == (3, 128) and features.min() >= 0

  def test_logits_are_the_last_layer_of_the_features(self, classifier):
    params, _ = mnist_classifier.load_digit_classifier()
    x = jax.random.uniform(jax.random.key(0), (4, 28, 28, 1), minval=-1)
    features = mnist_classifier.digit_features(params, x)
    expected = features @ params['logits/kernel'] + params['logits/bias'][None]
    np.testing.assert_allclose(classifier(x), expected, rtol=1e-5, atol=1e-5)

  def test_recognises_digits_of_other_writers(self, classifier):
    """Scikit-learn's, of 8 x 8 pixels, set in a margin as MNIST's are."""
    source = data.make_source({'name': 'digits', 'size': 20})
    x = np.zeros((len(source), 28, 28, 1), np.uint8)
    x[:, 4:24, 4:24] = source.x
    found = classifier(to_float(jnp.asarray(x))).argmax(axis=-1)
    assert (found == source.label).mean() > 0.9  # 0.951 measured

  @pytest.mark.parametrize(
    'x', [jnp.zeros((2, 28, 28, 3)), jnp.zeros((2, 28, 28, 1), jnp.uint8)]
  )
  def test_refuses_colours_and_integers(self, classifier, x):
    with pytest.raises(AssertionError):
      classifier(x)

  def test_refuses_other_weights(self, tmp_path):
    path = tmp_path / 'x.npz'
    np.savez(path, kernel=np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"'kernel': \(2, 3\).*must be"):
      mnist_classifier.load_digit_classifier(str(path))
    with pytest.raises(FileNotFoundError):
      mnist_classifier.load_digit_classifier(str(tmp_path / 'none.npz'))

  @pytest.mark.slow
  @pytest.mark.parametrize(('size', 'name'), [(28, 'test'), (32, 'test_at_32')])
  def test_accuracy_on_mnist_is_that_of_the_record(
    self, classifier, size, name
  ):
    """Needs MNIST where TFDS looks for it (TFDS_DATA_DIR)."""
    pytest.importorskip('tensorflow_datasets')
    spec = {'name': 'tfds', 'dataset': 'mnist', 'size': size, 'channels': 1}
    try:
      source = data.make_source(spec, 'test')
    except (FileNotFoundError, ModuleNotFoundError) as error:
      pytest.skip(str(error))
    x = to_float(jnp.asarray(source.x)).reshape(20, 500, size, size, 1)
    found = jax.lax.map(lambda x: classifier(x).argmax(axis=-1), x)
    accuracy = float((found.reshape(-1) == source.label).mean())
    assert accuracy >= 0.992
    # A logit's last bits may differ from machine to machine.
    assert abs(accuracy - RECORD[name]['accuracy']) < 3e-4


class TestModes:
  @pytest.mark.parametrize('jit', [False, True])
  def test_known_histograms(self, jit):
    score = (
      jax.jit(stacked_mnist.stacked_modes)
      if jit
      else stacked_mnist.stacked_modes
    )
    modes, kl = score(COMBINATIONS)
    assert modes == 1000
    np.testing.assert_allclose(kl, 0, atol=1e-6)
    modes, kl = score(jnp.tile(jnp.array([[3, 0, 9]]), (50, 1)))
    assert modes == 1
    np.testing.assert_allclose(kl, np.log(1000), rtol=1e-6)
    half = COMBINATIONS[:500]  # the first digit below 5
    modes, kl = score(jnp.concatenate([half, half]))
    assert modes == 500
    np.testing.assert_allclose(kl, np.log(2), rtol=1e-5)
    # 3/4 and 1/4 of two modes.
    two = jnp.array([[1, 2, 3]] * 3 + [[3, 2, 1]])
    modes, kl = score(two)
    assert modes == 2
    entropy = -0.75 * np.log(0.75) - 0.25 * np.log(0.25)
    np.testing.assert_allclose(kl, np.log(1000) - entropy, rtol=1e-6)

  def test_floor_of_uniform_draws(self):
    draws = np.random.default_rng(0).integers(10, size=(10, 26_000, 3))
    score = jax.jit(stacked_mnist.stacked_modes)
    kl = [float(score(jnp.asarray(draw)).reverse_kl) for draw in draws]
    np.testing.assert_allclose(np.mean(kl), 999 / 52_000, rtol=0.05)

  def test_channels_are_the_digits_in_their_order(self):
    """A classifier that reads the class off a picture's brightness."""
    levels = COMBINATIONS[::3][:, None, None] / 10  # 334: not of whole batches
    pictures = jnp.broadcast_to(levels, (334, 4, 4, 3))
    ten = jnp.arange(10)[None] / 10
    logits_fn = lambda x: -jnp.abs(x.mean(axis=(1, 2)) - ten)
    found = stacked_mnist.stacked_digits(logits_fn, pictures)
    np.testing.assert_array_equal(found, COMBINATIONS[::3])
    scores = stacked_mnist.stacked_mode_scores(logits_fn, pictures)
    assert scores.modes == 334
    np.testing.assert_allclose(scores.reverse_kl, np.log(1000 / 334), rtol=1e-5)

  @pytest.mark.parametrize(
    'digits',
    [jnp.zeros((5, 2), int), jnp.zeros((5, 3)), jnp.zeros((0, 3), int)],
  )
  def test_refuses_what_are_no_digits(self, digits):
    with pytest.raises(AssertionError):
      stacked_mnist.stacked_modes(digits)

  @pytest.mark.parametrize(
    'x', [jnp.zeros((2, 28, 28, 1)), jnp.zeros((2, 28, 28, 3), jnp.uint8)]
  )
  def test_refuses_what_are_no_stacks(self, classifier, x):
    with pytest.raises(AssertionError):
      stacked_mnist.stacked_mode_scores(classifier, x)


@pytest.fixture
def twenty(monkeypatch):
  """In place of MNIST, 20 pictures of noise a split; the labels it saw."""
  seen = []

  def fake(split, *, size, channels, **options):
    seen.append(options)
    rng = np.random.default_rng(len(split))
    x = rng.integers(0, 256, (20, 28, 28, 1), np.uint8)
    return ArraySource(
      images.crop_and_resize_arrays(x, size, channels), rng.permutation(20) % 10
    )

  monkeypatch.setattr(tfds, 'tfds', fake)
  return seen


def open_stacks(split='train', **options):
  return data.make_source({'name': 'stacked_mnist', **options}, split)


class TestSource:
  def test_sizes_are_the_protocols(self, twenty):
    assert len(open_stacks()) == 128_000
    assert len(open_stacks('test')) == 26_000
    assert len(open_stacks(stacks=7)) == 7
    assert open_stacks(size=16).shape == (16, 16, 3)
    assert open_stacks().distribution == ('mnist', 1000)

  def test_channels_are_the_digits_of_the_label(self, twenty):
    source = open_stacks(data_dir='here')
    assert twenty == [{'dataset': 'mnist', 'data_dir': 'here'}]
    batch = source[np.array([5, 127_999, 0, 5])]
    assert batch['x'].shape == (4, 28, 28, 3)
    assert batch['x'].dtype == np.uint8 and batch['label'].dtype == np.int32
    np.testing.assert_array_equal(batch['x'][0], batch['x'][3])
    for x, label in zip(batch['x'], batch['label']):
      for channel, place in enumerate((100, 10, 1)):
        same = (source.digits[..., 0] == x[..., channel]).all(axis=(1, 2))
        (number,) = np.flatnonzero(same)
        assert source.digit_classes[number] == label // place % 10

  def test_every_combination_is_drawn_about_equally(self, twenty):
    source = open_stacks()
    label = source[np.arange(128_000)]['label']
    counts = np.bincount(label, minlength=1000)
    assert counts.shape == (1000,)
    # 128 each; the largest deviation of 1,000 is some 3.3 sigma.
    assert np.abs(counts - 128).max() < 5 * np.sqrt(128)
    np.testing.assert_allclose(
      ((counts - 128) ** 2 / 128).sum(), 999, atol=5 * np.sqrt(2 * 999)
    )

  def test_draws_are_fixed_by_seed_and_split(self, twenty):
    index = lambda *args, **options: open_stacks(*args, **options).index[:50]
    np.testing.assert_array_equal(index(), index())
    np.testing.assert_array_equal(index(seed=3), index(seed=3))
    assert (index() != index(seed=1)).any(axis=1).mean() > 0.9
    assert (index() != index('test')).any(axis=1).mean() > 0.9

  def test_refuses_a_negative_number(self, twenty):
    with pytest.raises(ValueError, match='stacks=-1: '):
      open_stacks(stacks=-1)

  @pytest.mark.parametrize('label', [None, np.arange(20)])
  def test_refuses_other_than_ten_classes(self, monkeypatch, label):
    x = np.zeros((20, 28, 28, 1), np.uint8)
    fake = lambda split, **_: ArraySource(x, label)
    monkeypatch.setattr(tfds, 'tfds', fake)
    with pytest.raises(ValueError, match="dataset='cub'"):
      open_stacks(dataset='cub')

  def test_not_prepared_names_the_command(self, tmp_path):
    pytest.importorskip('tensorflow_datasets')
    command = f'python -m gan_jax.data.prepare mnist --data_dir={tmp_path}'
    with pytest.raises(FileNotFoundError) as caught:
      open_stacks(data_dir=str(tmp_path))
    assert str(caught.value).endswith(command)
