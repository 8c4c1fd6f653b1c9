"""The FID network and its preprocessing, beside plain formulas."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from gan_jax.evaluation.networks import inception, preprocess


def draw(seed, *shape):
  rng = np.random.default_rng(seed)
  return rng.normal(size=shape).astype(np.float32)


def pixels(seed, *shape):
  return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


@functools.cache
def random_weights():
  """Kernels that keep the size of what passes through them."""
  weights = {}
  for i, (name, shape) in enumerate(inception.LAYERS.items()):
    scale = np.float32(np.sqrt(2 / np.prod(shape[:3])))
    bias = 0.1 * draw(1000 + i, shape[3])
    weights[name] = {'kernel': scale * draw(i, *shape), 'bias': bias}
  return weights


# ---- The network.


def naive_pool(x, function, stride, pad, value):
  x = np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)), constant_values=value)
  rows, columns = (range(0, n - 2, stride) for n in x.shape[1:3])
  windows = [[x[:, i : i + 3, j : j + 3] for j in columns] for i in rows]
  pooled = [[function(w, axis=(1, 2)) for w in row] for row in windows]
  return np.stack([np.stack(row, axis=1) for row in pooled], axis=1)


def test_pools():
  x = draw(0, 2, 7, 9, 3)
  for ours, arguments in {
    inception._max_pool: (np.max, 2, 0, 0),
    inception._same_max_pool: (np.max, 1, 1, -np.inf),
    inception._mean_pool: (np.nanmean, 1, 1, np.nan),
  }.items():
    expected = naive_pool(x, *arguments)
    np.testing.assert_allclose(jax.jit(ours)(x), expected, atol=1e-6)


@pytest.mark.parametrize(
  'size,stride,same',
  [
    ((1, 1), 1, True),
    ((3, 3), 1, True),
    ((3, 3), 1, False),
    ((3, 3), 2, True),
    ((5, 5), 1, True),
    ((1, 7), 1, True),
    ((7, 1), 1, True),
  ],
)
def test_convolutions(size, stride, same):
  x, kernel, bias = draw(0, 2, 9, 9, 4), draw(1, *size, 4, 5), draw(2, 5)
  weights = {'a': {'kernel': kernel, 'bias': bias}}
  found = jax.jit(
    lambda x: inception._convolve(weights, 'a', x, stride=stride, same=same)
  )(x)
  pad = [(n // 2,) * 2 if same and stride == 1 else (0, 0) for n in size]
  x = np.pad(x, ((0, 0), *pad, (0, 0)))
  windows = np.lib.stride_tricks.sliding_window_view(x, size, axis=(1, 2))
  expected = np.einsum('bhwcij,ijco->bhwo', windows, kernel)
  expected = expected[:, ::stride, ::stride] + bias
  np.testing.assert_allclose(found, np.maximum(expected, 0), atol=1e-4)


def reference_features(weights, images):
  """The network of the FID paper's file, channels first, op by op."""

  def conv(name, x, stride=1, pad=(0, 0)):
    y = jax.lax.conv(
      jnp.pad(x, ((0, 0), (0, 0), (pad[0],) * 2, (pad[1],) * 2)),
      weights[name]['kernel'].transpose(3, 2, 0, 1),
      (stride, stride),
      'VALID',
    )
    return jnp.maximum(y + weights[name]['bias'].reshape(1, -1, 1, 1), 0)

  def pool(x, start, function, stride, pad):
    window = lambda n: (1, 1, n, n)
    pads = ((0, 0), (0, 0), (pad, pad), (pad, pad))
    return jax.lax.reduce_window(
      x, start, function, window(3), window(stride), pads
    )

  largest = lambda x, **o: pool(x, -np.inf, jax.lax.max, **o)
  total = lambda x: pool(x, 0.0, jax.lax.add, stride=1, pad=1)
  mean = lambda x: total(x) / total(jnp.ones((1, 1, *x.shape[2:])))
  join = lambda *x: jnp.concatenate(x, axis=1)

  x = conv('Conv2d_1a_3x3', images.transpose(0, 3, 1, 2), stride=2)
  x = conv('Conv2d_2b_3x3', conv('Conv2d_2a_3x3', x), pad=(1, 1))
  x = conv('Conv2d_3b_1x1', largest(x, stride=2, pad=0))
  x = largest(conv('Conv2d_4a_3x3', x), stride=2, pad=0)
  for block in ('5b', '5c', '5d'):
    c = lambda name, x, b=block, **o: conv(f'Mixed_{b}.branch{name}', x, **o)
    double = c('3x3dbl_2', c('3x3dbl_1', x), pad=(1, 1))
    x = join(
      c('1x1', x),
      c('5x5_2', c('5x5_1', x), pad=(2, 2)),
      c('3x3dbl_3', double, pad=(1, 1)),
      c('_pool', mean(x)),
    )
  c = lambda name, x, **o: conv(f'Mixed_6a.branch{name}', x, **o)
  double = c('3x3dbl_2', c('3x3dbl_1', x), pad=(1, 1))
  x = join(
    c('3x3', x, stride=2),
    c('3x3dbl_3', double, stride=2),
    largest(x, stride=2, pad=0),
  )
  wide, tall = {'pad': (0, 3)}, {'pad': (3, 0)}
  for block in ('6b', '6c', '6d', '6e'):
    c = lambda name, x, b=block, **o: conv(f'Mixed_{b}.branch{name}', x, **o)
    double = c('7x7dbl_2', c('7x7dbl_1', x), **tall)
    double = c('7x7dbl_4', c('7x7dbl_3', double, **wide), **tall)
    x = join(
      c('1x1', x),
      c('7x7_3', c('7x7_2', c('7x7_1', x), **wide), **tall),
      c('7x7dbl_5', double, **wide),
      c('_pool', mean(x)),
    )
  c = lambda name, x, **o: conv(f'Mixed_7a.branch{name}', x, **o)
  long = c('7x7x3_3', c('7x7x3_2', c('7x7x3_1', x), **wide), **tall)
  x = join(
    c('3x3_2', c('3x3_1', x), stride=2),
    c('7x7x3_4', long, stride=2),
    largest(x, stride=2, pad=0),
  )
  for block in ('7b', '7c'):
    c = lambda name, x, b=block, **o: conv(f'Mixed_{b}.branch{name}', x, **o)
    wide, tall = {'pad': (0, 1)}, {'pad': (1, 0)}
    single = c('3x3_1', x)
    double = c('3x3dbl_2', c('3x3dbl_1', x), pad=(1, 1))
    pooled = mean(x) if block == '7b' else largest(x, stride=1, pad=1)
    x = join(
      c('1x1', x),
      c('3x3_2a', single, **wide),
      c('3x3_2b', single, **tall),
      c('3x3dbl_3a', double, **wide),
      c('3x3dbl_3b', double, **tall),
      c('_pool', pooled),
    )
  return x.mean(axis=(2, 3))


@pytest.mark.slow
def test_features_of_random_weights():
  weights, x = random_weights(), np.clip(draw(0, 1, 299, 299, 3), -1, 1)
  found = jax.jit(inception.inception_features)(weights, x)
  assert found.shape == (1, inception.FEATURES) and found.dtype == jnp.float32
  expected = jax.jit(reference_features)(weights, x)
  error = np.linalg.norm(found - expected) / np.linalg.norm(expected)
  assert error < 1e-5
  assert found.std() > 1e-2 * found.mean() > 0


def test_shapes_of_layers_fit_one_another():
  shapes = jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), random_weights()
  )
  images = jax.ShapeDtypeStruct((3, 299, 299, 3), jnp.float32)
  found = jax.eval_shape(inception.inception_features, shapes, images)
  assert found.shape == (3, 2048)
  assert len(inception.LAYERS) == 94
  # Of the kernels in the published file.
  count = sum(np.prod(shape) for shape in inception.LAYERS.values())
  assert count == 21_751_136


@pytest.mark.parametrize(
  'shape', [(299, 299, 3), (1, 299, 299, 1), (1, 9, 9, 3)]
)
def test_images_of_another_shape(shape):
  with pytest.raises(AssertionError):
    inception.inception_features(random_weights(), jnp.zeros(shape))


def test_missing_layers():
  weights = dict(random_weights())
  del weights['Mixed_7c.branch_pool']
  with pytest.raises(ValueError, match='Mixed_7c.branch_pool'):
    inception.inception_features(weights, jnp.zeros((1, 299, 299, 3)))


def test_class_logits_have_no_bias():
  head = {'kernel': draw(0, 2048, 1008), 'bias': np.full(1008, 1e6)}
  features = draw(1, 3, 2048)
  found = inception.class_logits({'fc': head}, features)
  np.testing.assert_allclose(found, features @ head['kernel'], atol=1e-3)
  with pytest.raises(ValueError, match='no class head .*Inception Score'):
    inception.class_logits({}, features)
  with pytest.raises(AssertionError):
    inception.class_logits({'fc': head}, features[:, :9])


# ---- Preprocessing.

resize = jax.jit(preprocess.resize, static_argnums=1)
SIZES = [(32, 32), (28, 40), (299, 299), (400, 311), (64, 700)]


def pillow(x):
  bands = [
    np.stack(
      [
        Image.fromarray(band).resize((299, 299), Image.Resampling.BICUBIC)
        for band in np.moveaxis(image.astype(np.float32), -1, 0)
      ]
    )
    for image in x
  ]
  return np.moveaxis(np.stack(bands), 1, -1)


@pytest.mark.parametrize('size', SIZES)
def test_clean_is_pillow(size):
  x = pixels(0, 1, *size, 3)
  found = resize(x.astype(np.float32), preprocess.clean_matrix)
  np.testing.assert_allclose(found, pillow(x), atol=1e-3)


def bilinear_loop(x, position, target=299):
  """Both axes, pixel by pixel; position is that of a target pixel."""
  height, width = x.shape
  found = np.zeros((target, target))
  for i in range(target):
    for j in range(target):
      v, u = position(i, height), position(j, width)
      top, left = int(np.floor(v)), int(np.floor(u))
      low, right = min(top + 1, height - 1), min(left + 1, width - 1)
      upper = x[top, left] + (x[top, right] - x[top, left]) * (u - left)
      lower = x[low, left] + (x[low, right] - x[low, left]) * (u - left)
      found[i, j] = upper + (lower - upper) * (v - top)
  return found


@pytest.mark.parametrize(
  'protocol,position',
  [
    ('legacy_tensorflow', lambda i, n: i * n / 299),
    ('legacy_pytorch', lambda i, n: max((i + 0.5) * n / 299 - 0.5, 0)),
  ],
)
@pytest.mark.parametrize('size', [(32, 32), (28, 40), (311, 17)])
def test_bilinear_by_a_loop(size, protocol, position):
  x = pixels(0, *size)
  expected = bilinear_loop(x.astype(np.float64), position)
  matrix = preprocess.PREPROCESSORS[protocol].matrix
  found = resize(x.astype(np.float32)[None, ..., None], matrix)
  # Positions are float32, as in the libraries: off by 3e-5 of 311 pixels.
  np.testing.assert_allclose(found[0, ..., 0], expected, atol=255 * 3e-5)


@pytest.mark.parametrize('protocol', preprocess.PREPROCESSORS)
def test_constants_and_range(protocol):
  how = preprocess.PREPROCESSORS[protocol]
  for value in (0, 100, 255):
    x = np.full((2, 20, 30, 3), value, np.uint8)
    found = preprocess.preprocess(x, protocol)
    assert found.shape == (2, 299, 299, 3) and found.dtype == jnp.float32
    np.testing.assert_allclose(found, (value - how.center) / how.scale, 1e-5)
  # Checks overshoot where bicubic is not clipped.
  edges = 255 * (pixels(0, 1, 20, 20, 3) > 127).astype(np.uint8)
  found = preprocess.preprocess(edges, protocol)
  assert -1 - 1e-5 <= found.min() and found.max() <= 1 + 1e-5


@pytest.mark.parametrize('protocol', preprocess.PREPROCESSORS)
def test_size_of_the_network_is_left_alone(protocol):
  how = preprocess.PREPROCESSORS[protocol]
  x = pixels(0, 1, 299, 299, 3)
  found = jax.jit(preprocess.preprocess, static_argnums=1)(x, protocol)
  expected = (x.astype(np.float32) - how.center) / how.scale
  np.testing.assert_allclose(found, expected, atol=1e-5)


def test_grey_is_repeated():
  x = pixels(0, 1, 28, 28, 1)
  found = preprocess.preprocess(x, 'clean')
  expected = preprocess.preprocess(np.repeat(x, 3, axis=-1), 'clean')
  np.testing.assert_allclose(found, expected, atol=1e-6)


def test_what_preprocess_refuses():
  x = pixels(0, 1, 8, 8, 3)
  with pytest.raises(ValueError, match="'cleen': must be one of legacy_tens"):
    preprocess.preprocess(x, 'cleen')
  with pytest.raises(ValueError, match=r'float32: must be uint8; quantize\(\)'):
    preprocess.preprocess(x.astype(np.float32), 'clean')
  for channels in (2, 4):
    with pytest.raises(ValueError, match=rf'\b{channels} channels'):
      preprocess.preprocess(pixels(0, 1, 8, 8, channels), 'clean')
  with pytest.raises(AssertionError):
    preprocess.preprocess(x[0], 'clean')


def test_quantize():
  x = jnp.array([-2.0, -1.0, -1 + 0.9 / 255, 0.0, 1.0, 9.0])
  np.testing.assert_array_equal(
    preprocess.quantize(x), [0, 0, 0, 128, 255, 255]
  )
  levels = np.arange(256)
  again = preprocess.quantize(jnp.float32(levels / 127.5 - 1))
  np.testing.assert_array_equal(again, levels)
  assert again.dtype == jnp.uint8
  with pytest.raises(AssertionError):
    preprocess.quantize(levels)
