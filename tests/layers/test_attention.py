"""Self-attention, against sums over pixels in numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import layers


def start(side=4, channels=16, **options):
  """A layer without spectral norm, an image, and its parameters."""
  layer = layers.SelfAttention(spectral=False, **options)
  x = jax.random.normal(jax.random.key(0), (2, side, side, channels))
  params = jax.jit(layer.init)(jax.random.key(1), x)['params']
  return layer, np.array(x), jax.tree.map(np.array, params)


def apply(layer, params, x):
  return np.asarray(jax.jit(layer.apply)({'params': params}, x))


def naive(params, x, gamma):
  """One example and query at a time."""
  kernel = {
    n: np.asarray(p['kernel'])[0, 0] for n, p in params.items() if n != 'gamma'
  }
  x = np.asarray(x, np.float64)
  y = x.copy()
  even = x.shape[1] // 2 * 2

  def pooled(image, name):
    image = (image @ kernel[name])[:even, :even]
    windows = [image[i::2, j::2] for i in (0, 1) for j in (0, 1)]
    return np.max(windows, axis=0).reshape(-1, image.shape[-1])

  for image, out in zip(x, y):
    keys, values = pooled(image, 'phi'), pooled(image, 'g')
    for i in range(x.shape[1]):
      for j in range(x.shape[2]):
        scores = np.exp(keys @ (image[i, j] @ kernel['theta']))
        mixed = scores / scores.sum() @ values
        out[i, j] += gamma * mixed @ kernel['out']
  return y


@pytest.mark.parametrize('side', [4, 5])
def test_known_values(side):
  layer, x, params = start(side)
  y = apply(layer, params | {'gamma': np.float32(0.7)}, x)
  np.testing.assert_allclose(y, naive(params, x, 0.7), atol=1e-5)


def test_it_starts_as_the_identity_and_learns():
  layer, x, params = start()
  assert params['gamma'].shape == () and params['gamma'] == 0
  np.testing.assert_array_equal(apply(layer, params, x), x)
  loss = lambda p: (layer.apply({'params': p}, x) ** 3).sum()
  gradient = jax.device_get(jax.jit(jax.grad(loss))(params))
  assert abs(gradient['gamma']) > 1e-2
  assert not gradient['out']['kernel'].any()


def test_equal_keys_give_the_mean_of_the_values():
  layer, x, params = start()
  params |= {
    'phi': {'kernel': np.zeros_like(params['phi']['kernel'])},
    'gamma': np.float32(1),
  }
  added = apply(layer, params, x) - x
  values = (x @ params['g']['kernel'][0, 0]).reshape(2, 2, 2, 2, 2, 8)
  mean = values.max(axis=(2, 4)).mean(axis=(1, 2), keepdims=True)
  expected = mean @ params['out']['kernel'][0, 0]
  np.testing.assert_allclose(
    added, np.broadcast_to(expected, added.shape), atol=1e-5
  )


def test_weights_of_a_query_sum_to_one():
  """A value that all keys have comes out as it is."""
  layer, x, params = start()
  x[..., 0] = 1
  g, out = (np.zeros_like(params[n]['kernel']) for n in ('g', 'out'))
  g[0, 0, 0] = 2  # of channel 0
  out[0, 0, 0] = 3
  params |= {'g': {'kernel': g}, 'out': {'kernel': out}, 'gamma': np.float32(1)}
  added = apply(layer, params, x) - x
  np.testing.assert_allclose(added, 6, rtol=1e-5)


@pytest.mark.parametrize('channels', [8, 128, 256])
def test_number_of_parameters(channels):
  layer = layers.SelfAttention()
  shapes = jax.eval_shape(
    layer.init, jax.random.key(0), jnp.ones((1, 4, 4, channels))
  )
  leaves = jax.tree.leaves(shapes['params'])
  assert sum(p.size for p in leaves) == 1.25 * channels**2 + 1
  assert len(jax.tree.leaves(shapes['batch_stats'])) == 4 * 3


def test_the_softmax_is_in_float32():
  """Scores of 256 and 257 are the same number in bfloat16."""
  layer, x, params = start(dtype=jnp.bfloat16)
  x = np.zeros_like(x)
  x[..., 0] = x[:, :2, :2, 1] = 1
  matrices = {  # by input and output channel
    'theta': {(0, 0): 16, (0, 1): 1},
    'phi': {(0, 0): 16, (1, 1): 1},
    'g': {(1, 0): 1},
    'out': {(0, 2): 1},
  }
  for name, entries in matrices.items():
    kernel = np.zeros_like(params[name]['kernel'])
    for entry, value in entries.items():
      kernel[0, 0, *entry] = value
    params[name] = {'kernel': kernel}
  params['gamma'] = np.float32(1)
  y = apply(layer, params, x)
  assert y.dtype == jnp.bfloat16
  # One of four keys has a score that is larger by 1.
  expected = np.e / (np.e + 3)
  np.testing.assert_allclose(y[..., 2].astype(np.float32), expected, rtol=0.01)


def test_maps_of_one_pixel_are_refused():
  with pytest.raises(ValueError, match=r'maps of \(1, 4\)'):
    jax.eval_shape(
      layers.SelfAttention().init, jax.random.key(0), jnp.ones((1, 1, 4, 8))
    )
