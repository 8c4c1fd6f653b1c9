"""Our scores beside those of the packages that papers use; docs/parity.md.

Skipped unless those packages, their weights and CIFAR-10 are there. Rows of
the tables in docs/parity.md are what `-s` prints. With 16 images a quick
version runs: GAN_JAX_PARITY_IMAGES=16 GAN_JAX_PARITY_SIDE=32.
"""

import os
from typing import NamedTuple

import jax
import numpy as np
import pytest

from gan_jax.data import make_source
from gan_jax.evaluation.networks import inception, inception_weights, preprocess
from gan_jax.metrics import frechet, mmd, precision_recall

IMAGES = int(os.environ.get('GAN_JAX_PARITY_IMAGES', 256))
SIDE = int(os.environ.get('GAN_JAX_PARITY_SIDE', 2000))
BATCH = 16
COMMAND = "pip install '.[parity]'"
pytestmark = [
  pytest.mark.slow,
  pytest.mark.filterwarnings('ignore'),  # of the packages compared with
]


def package(name):
  return pytest.importorskip(name, reason=f'{name} is not there: {COMMAND}')


def report(what, reference, ours, theirs, difference):
  print(f'\n| {what} | {reference} | {ours} | {theirs} | {difference:.2g} |')


def relative(found, expected):
  return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


@pytest.fixture(scope='module')
def path():
  found = os.environ.get('GAN_JAX_INCEPTION_PTH')
  if not found:
    pytest.skip(
      f'set GAN_JAX_INCEPTION_PTH to {inception_weights.URL}; {COMMAND}'
    )
  return found


@pytest.fixture(scope='module')
def images():
  """Real CIFAR-10, and other such images with noise as fakes."""
  directory = os.environ.get('TFDS_DATA_DIR')
  if not directory:
    pytest.skip(f'set TFDS_DATA_DIR to where TFDS has cifar10; {COMMAND}')
  source = make_source(
    {'name': 'tfds', 'dataset': 'cifar10', 'data_dir': directory}
  )
  found = source[np.arange(2 * max(SIDE, IMAGES))]['x']
  real, other = np.split(found, 2)
  noise = np.random.default_rng(0).normal(size=other.shape) * 10
  return real, np.uint8(np.clip(np.round(other + noise), 0, 255))


@pytest.fixture(scope='module')
def features_of(path):
  """(protocol, uint8 images) -> our features."""
  loaded = inception_weights.load_weights(path)
  assert loaded.is_reference_inception
  params = jax.device_put(loaded.params)

  def run(protocol, x):
    prepared = preprocess.preprocess(x, protocol)
    return inception.inception_features(params, prepared)

  run = jax.jit(run, static_argnums=0)
  return lambda protocol, x: np.asarray(run(protocol, x))


def in_batches(function, x):
  starts = range(0, len(x), BATCH)
  return np.concatenate([function(x[i : i + BATCH]) for i in starts])


@pytest.fixture(scope='module')
def pytorch_fid_features(path):
  """(uint8 images, or prepared ones) -> features of pytorch-fid's network."""
  torch = package('torch')
  module = package('pytorch_fid.inception')
  state = torch.load(path, weights_only=True)
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(module, 'load_state_dict_from_url', lambda *_, **__: state)
    nets = {
      np.uint8: module.InceptionV3().eval(),
      np.float32: module.InceptionV3(
        resize_input=False, normalize_input=False
      ).eval(),
    }

  def run(x):
    tensor = torch.from_numpy(x.transpose(0, 3, 1, 2).copy())
    if x.dtype == np.uint8:
      tensor = tensor.float() / 255
    with torch.no_grad():
      return nets[x.dtype.type](tensor)[0][:, :, 0, 0].numpy()

  return run


@pytest.mark.parametrize('protocol', ['clean', 'legacy_pytorch'])
def test_resizers(images, protocol):
  resizer = package('cleanfid.resize').build_resizer(protocol)
  matrix = preprocess.PREPROCESSORS[protocol].matrix
  rng = np.random.default_rng(0)
  large = rng.integers(0, 256, (1, 400, 520, 3)).astype(np.uint8)
  for x in (images[0][:16], large):
    expected = np.stack([resizer(image) for image in x])
    found = np.clip(preprocess.resize(x.astype(np.float32), matrix), 0, 255)
    difference = np.abs(found - expected).max()
    size = '{} x {}'.format(*x.shape[1:3])
    report(f'`{protocol}`, {size} to 299', 'clean-fid', '', '', difference)
    assert difference < 1e-3


def test_features_of_pytorch_fid(images, features_of, pytorch_fid_features):
  x = images[0][:IMAGES]
  found = in_batches(lambda x: features_of('legacy_pytorch', x), x)
  expected = in_batches(pytorch_fid_features, x)
  difference = relative(found, expected)
  report(
    f'`legacy_pytorch` features of {len(x)} images',
    'pytorch-fid',
    *(f'norm {np.linalg.norm(y):.5f}' for y in (found, expected)),
    difference,
  )
  assert difference < 1e-4


def test_features_of_clean_fid(images, features_of, pytorch_fid_features):
  # Its resizer, then the network of pytorch-fid in place of its own file.
  x = images[0][:IMAGES]
  resizer = package('cleanfid.resize').build_resizer('clean')

  def reference(x):
    prepared = (np.stack([resizer(image) for image in x]) - 128) / 128
    return pytorch_fid_features(prepared.astype(np.float32))

  found = in_batches(lambda x: features_of('clean', x), x)
  expected = in_batches(reference, x)
  difference = relative(found, expected)
  report(
    f'`clean` features of {len(x)} images',
    'clean-fid resizer, pytorch-fid network',
    *(f'norm {np.linalg.norm(y):.5f}' for y in (found, expected)),
    difference,
  )
  assert difference < 1e-4


class Sides(NamedTuple):
  """Features of real and fake images."""

  real: np.ndarray
  fake: np.ndarray


@pytest.fixture(scope='module')
def sides(images, features_of, path):
  """(ours, torch-fidelity's)."""
  torch = package('torch')
  module = package('torch_fidelity.feature_extractor_inceptionv3')
  net = module.FeatureExtractorInceptionV3(
    'fid', ['2048'], feature_extractor_weights_path=path
  )

  def theirs(x):
    with torch.no_grad():
      tensor = torch.from_numpy(x.transpose(0, 3, 1, 2).copy())
      return net(tensor)[0].numpy()

  ours = lambda x: features_of('legacy_tensorflow', x)
  return [
    Sides(*(in_batches(run, side[:SIDE]) for side in images))
    for run in (ours, theirs)
  ]


def test_features_of_torch_fidelity(sides):
  ours, theirs = (np.concatenate([s.real, s.fake]) for s in sides)
  difference = relative(ours, theirs)
  report(
    f'`legacy_tensorflow` features of {len(ours)} images',
    'torch-fidelity',
    *(f'norm {np.linalg.norm(y):.5f}' for y in (ours, theirs)),
    difference,
  )
  assert difference < 1e-4


def test_frechet_distance(sides):
  torch = package('torch')
  module = package('torch_fidelity.metric_fid')
  ours, theirs = sides
  statistics = [
    module.fid_features_to_statistics(torch.from_numpy(np.float64(x)))
    for x in (theirs.real, theirs.fake)
  ]
  expected = module.fid_statistics_to_metric(*statistics, False)
  expected = expected['frechet_inception_distance']
  empty = frechet.init_moments(inception.FEATURES)
  moments = [frechet.update_moments(empty, x) for x in ours]
  found = float(frechet.frechet_from_moments(*moments))
  report(
    f'FID, {SIDE} a side',
    'torch-fidelity',
    f'{found:.6f}',
    f'{expected:.6f}',
    abs(found - expected),
  )
  assert abs(found - expected) < 1e-3


def test_kernel_distance(sides):
  # One subset that is the whole set: no chance in either.
  torch = package('torch')
  module = package('torch_fidelity.metric_kid')
  ours, theirs = sides
  expected = module.kid_features_to_metric(
    *(torch.from_numpy(x) for x in theirs),
    kid_subsets=1,
    kid_subset_size=SIDE,
    verbose=False,
  )['kernel_inception_distance_mean']
  found = mmd.unbiased_mmd(*ours, mmd.polynomial_kernel)
  report(
    f'KID, {SIDE} a side',
    'torch-fidelity',
    f'{float(found):.6f}',
    f'{expected:.6f}',
    abs(float(found) - expected),
  )
  assert abs(float(found) - expected) < 1e-3


def test_manifold_scores(sides):
  # On our features: the packages' counts, not the networks, are compared.
  module = package('prdc')
  ours, _ = sides
  expected = module.compute_prdc(ours.real, ours.fake, nearest_k=5)
  found = precision_recall.compute_prdc(ours.real, ours.fake, k=5)
  for name, value in found._asdict().items():
    report(
      f'{name}, {SIDE} a side',
      'prdc',
      f'{float(value):.6f}',
      f'{expected[name]:.6f}',
      abs(float(value) - expected[name]),
    )
  # Counts are equal; their mean is rounded to float32 here.
  np.testing.assert_allclose(
    found, [expected[name] for name in found._fields], rtol=1e-6
  )
