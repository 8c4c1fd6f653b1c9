"""A generator as a function of few inputs, which every export shares."""

from typing import Any, Callable, NamedTuple

import jax
import jax.numpy as jnp
from jax import export

from gan_jax import sampling, training
from gan_jax.layers import convolution

Array = jax.Array


class Generator(NamedTuple):
  """The function that is exported, and its weights.

  Attributes:
    function: function (weights, *inputs) -> examples `[B, *shape]`.
    weights: (params, batch_stats).
    inputs: name -> shape of one example's, dtype. Latents 'z' `[B, Z]`, the
      class 'label' `[B]` of a conditional generator, and of one with styles the
      truncation 'psi', a scalar, and 'shift' `[B, W]`, if it was asked for,
      which is added to all styles.
    shape: shape of one example.
  """

  function: Callable[..., Array]
  weights: Any
  inputs: dict[str, tuple[tuple[int, ...], Any]]
  shape: tuple[int, ...]

  def specs(self, batch: Any) -> dict[str, jax.ShapeDtypeStruct]:
    """Returns shapes and types of the inputs.

    Args:
      batch: number of examples, which may be symbolic.
    """
    return {
      name: jax.ShapeDtypeStruct(
        shape if name == 'psi' else (batch, *shape), dtype
      )
      for name, (shape, dtype) in self.inputs.items()
    }


def make_generator(
  sampler: sampling.Sampler,
  *,
  noise_seed: int | None = None,
  shifts_styles: bool = False,
) -> Generator:
  """Returns the function of a sampler that is exported.

  A trace of the function has plain convolutions, which every platform has.

  Args:
    sampler: sampler of a run.
    noise_seed: seed of the noise of a generator that has noise, which is then
      the same in all examples; None for no noise.
    shifts_styles: whether a generator with styles has the input 'shift'.

  Raises:
    ValueError: if the generator takes labels that are no single array, or is
      given noise that it does not take.
  """
  gan = sampler.gan
  if noise_seed is not None and not gan.generator.takes_keys:
    raise ValueError(
      f'noise_seed={noise_seed}: the generator '
      f'{sampler.config.generator.name!r} has no noise; must be None'
    )
  inputs: dict[str, Any] = {'z': ((gan.latent_dim,), jnp.float32)}
  inputs |= _label_input(sampler)
  if gan.generator.mapping is not None:
    inputs['psi'] = ((), jnp.float32)
    if shifts_styles:
      width = sampling.mean_style(sampler.weights).shape
      inputs['shift'] = (width, jnp.float32)

  def generate(weights, z, *others):
    named = dict(zip(list(inputs)[1:], others))
    keys = None
    if noise_seed is not None:
      keys = jax.random.key(noise_seed)[None]  # one for all examples
    with convolution.plain_convolutions():
      if 'psi' not in inputs:
        sample = training.make_sample_fn(gan)
        return sample(weights, z, named.get('label'), keys)
      w = training.make_mapping_fn(gan)(weights, z, named.get('label'))
      mean = sampling.mean_style(weights)
      w = sampling.truncate_styles(w, mean, named['psi'])
      if shifts_styles:
        w = w + named['shift'][:, None]
      return training.make_synthesis_fn(gan)(weights, w, keys)

  weights = jax.tree.map(jnp.asarray, sampler.weights)
  return Generator(generate, weights, inputs, tuple(sampler.shape))


def _label_input(sampler: sampling.Sampler) -> dict[str, Any]:
  if sampler.gan.classes:
    return {'label': ((), jnp.int32)}
  if sampler.label is None:
    return {}
  leaves = jax.tree.leaves(sampler.label)
  if leaves != [sampler.label]:
    raise ValueError(
      f'the generator takes labels {sampler.label}; exports have one array of '
      'labels at most'
    )
  return {'label': (tuple(leaves[0].shape), leaves[0].dtype)}


def symbolic_batch() -> Any:
  """Returns a batch size that stands for any."""
  return export.symbolic_shape('b')[0]
