"""Draws any number of samples from a generator."""

import dataclasses
import functools
from typing import Any, Callable, Sequence

import jax
import numpy as np

from gan_jax import config as config_lib
from gan_jax import prng, training
from gan_jax.distributed import devices as devices_lib


def make_indexed_sampler(
  gan: training.GAN, devices: Sequence[jax.Device] = ()
) -> Callable[..., np.ndarray]:
  """Builds a function that generates the samples with the given indices.

  Args:
    gan: the GAN.
    devices: devices that share each batch; () for the default device.

  Returns:
    Function (weights, indices `[n]`, *, seed=0, label=None) -> `[n, ...]`
    float32 numpy. A sample depends only on the seed and its index. The label is
    `[n]` or None, the weights are as for training.make_sample_fn.
  """
  spread = devices_lib.shard_examples(devices or jax.local_devices()[:1])

  @jax.jit
  def sample(weights, key, indices, label):
    keys = prng.per_example_keys(key, indices)
    z = prng.sample_normal(keys, gan.latent_dim)
    return training.make_sample_fn(gan)(weights, z, label)

  def draw_at(weights, indices, *, seed=0, label=None):
    arguments = spread.put((weights, jax.random.key(seed)))
    rows = (np.asarray(indices), None if label is None else np.asarray(label))
    found = sample(*arguments, *spread.put_batch(rows))
    return np.asarray(found)[: len(indices)]

  return draw_at


def make_sampler(
  gan: training.GAN, devices: Sequence[jax.Device] = ()
) -> Callable[..., np.ndarray]:
  """Builds a function that draws any number of samples, in batches.

  Args:
    gan: the GAN.
    devices: devices that share each batch; () for the default device.

  Returns:
    Function (weights, count, *, seed=0, batch_size=256, label=None) ->
    `[count, ...]` float32 numpy. The i-th sample depends only on the seed and
    i. The label is `[count]` or None, the weights are as for
    training.make_sample_fn. The function raises ValueError if count or
    batch_size is below 1, or the label has another shape.
  """
  draw_at = make_indexed_sampler(gan, devices)

  def draw(weights, count, *, seed=0, batch_size=256, label=None):
    if min(count, batch_size) < 1:
      raise ValueError(
        f'count={count}, batch_size={batch_size}: must be at least 1'
      )
    if label is not None and np.shape(label) != (count,):
      raise ValueError(f'label has shape {np.shape(label)}; must be ({count},)')
    # All batches have the same size; surplus samples of the last are dropped.
    size = min(batch_size, count)
    parts = []
    for start in range(0, count, size):
      indices = np.arange(start, start + size)
      labels = None if label is None else np.take(label, indices, mode='clip')
      parts.append(draw_at(weights, indices, seed=seed, label=labels))
    return np.concatenate(parts)[:count]

  return draw


class GeneratedSource:
  """Samples of a generator as a source of examples (data.Source).

  Attributes:
    shape: shape of one example.
    truth: None.
  """

  distribution = None

  def __init__(
    self,
    draw_at: Callable[..., np.ndarray],
    weights: Any,
    shape: tuple[int, ...],
    count: int,
    *,
    seed: int = 0,
    label: np.ndarray | None = None,
  ):
    """Initializes the source; samples are drawn on access.

    Args:
      draw_at: function from make_indexed_sampler.
      weights: (params, batch_stats) of the generator.
      shape: shape of one example.
      count: number of samples.
      seed: seed of the latents.
      label: `[count]` classes for a conditional generator, or None.
    """
    self.shape = shape
    self._count, self._label = count, label
    self._draw = functools.partial(draw_at, weights, seed=seed)

  def __len__(self) -> int:
    return self._count

  def __getitem__(self, indices: np.ndarray) -> dict[str, np.ndarray]:
    if self._label is None:
      return {'x': self._draw(indices)}
    label = np.asarray(self._label[indices], np.int32)
    return {'x': self._draw(indices, label=label), 'label': label}


@dataclasses.dataclass(frozen=True)
class Sampler:
  """The generator of a finished run, as a function.

  Attributes:
    config: config of the run.
    shape: shape of one example.
    step: number of train steps of the checkpoint.
    weights: (params, batch_stats) of the generator.
    gan: the GAN.
  """

  config: config_lib.Config
  shape: tuple[int, ...]
  step: int
  weights: Any
  gan: training.GAN

  @functools.cached_property
  def _draw(self) -> Callable[..., np.ndarray]:
    return make_sampler(self.gan)

  def __call__(
    self,
    count: int,
    *,
    seed: int = 0,
    batch_size: int = 256,
    label: np.ndarray | None = None,
  ) -> np.ndarray:
    """Draws samples; the i-th depends only on the seed and i.

    Args:
      count: number of samples.
      seed: seed of the latents.
      batch_size: number of samples per batch.
      label: `[count]` classes for a conditional generator, or None.

    Returns:
      `[count, *shape]` float32, images in [-1, 1].

    Raises:
      ValueError: if count or batch_size is below 1, or the label has another
        shape.
    """
    options = dict(seed=seed, batch_size=batch_size, label=label)
    return self._draw(self.weights, count, **options)

  def source(
    self, count: int, *, seed: int = 0, devices: Sequence[jax.Device] = ()
  ) -> GeneratedSource:
    """Returns `count` samples as a source of examples, drawn on `devices`."""
    draw_at = make_indexed_sampler(self.gan, devices)
    return GeneratedSource(draw_at, self.weights, self.shape, count, seed=seed)
