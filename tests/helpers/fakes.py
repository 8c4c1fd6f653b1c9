"""Small sets, pictures in files and a network, for the tests of scores."""

import jax.numpy as jnp
import numpy as np
from PIL import Image

from gan_jax import evaluation
from gan_jax.data import ArraySource


def draw(seed, *shape):
  """Standard normal numbers of a shape, float32."""
  rng = np.random.default_rng(seed)
  return rng.normal(size=shape).astype(np.float32)


def points(seed, n=400, shift=0.0, label=None):
  x = np.random.default_rng(seed).normal(size=(n, 3)) + shift
  return ArraySource(x.astype(np.float32), label)


def pictures(seed, n=60, size=6, channels=1):
  rng = np.random.default_rng(seed)
  return ArraySource(rng.integers(0, 256, (n, size, size, channels), np.uint8))


def fid_like(calls=None):
  """An extractor that passes for the FID network, three numbers an image."""

  def apply(params, x):
    if calls is not None:
      calls.append(x.shape)  # when traced
    return x.astype(jnp.float32).mean(axis=(1, 2)) * params

  return evaluation.FeatureExtractor(
    'inception',
    apply,
    jnp.float32(2),
    8,
    'clean',
    'ab12',
    is_reference_inception=True,
    fits_shapes=True,
  )


def save_png(path, shape=(5, 4), mode='RGB'):
  path.parent.mkdir(parents=True, exist_ok=True)
  channels = len(Image.new(mode, (1, 1)).getbands())
  rng = np.random.default_rng(len(str(path)))
  x = rng.integers(0, 256, (*shape, channels), np.uint8).squeeze()
  Image.fromarray(x).save(path)
  return x
