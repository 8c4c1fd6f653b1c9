"""Optimizers by name, built from hyper-parameters in the train state.

`OPTIMIZERS[name](learning_rate, **options)` returns an optax transform. Each
step rebuilds it from `state.hparams`, whose entries may be traced arrays, so
that a sweep over learning rates is a vmap over states instead of a loop of
compilations. (optax.inject_hyperparams would not do: a sweep also covers
penalty weights and the EMA decay.)
"""

from typing import Any, Callable, Mapping

import jax
import jax.numpy as jnp
import optax

from gan_jax import tracing
from gan_jax.validation import keyword_defaults

Hparams = Mapping[str, Any]
PyTree = Any


def _sgd(learning_rate, *, momentum: float = 0.0):
  return optax.sgd(learning_rate, momentum=momentum)


def _adam(
  learning_rate, *, b1: float = 0.5, b2: float = 0.999, eps: float = 1e-8
):
  return optax.adam(learning_rate, b1=b1, b2=b2, eps=eps)


def _adamw(
  learning_rate,
  *,
  b1: float = 0.5,
  b2: float = 0.999,
  eps: float = 1e-8,
  weight_decay: float = 1e-4,
):
  return optax.adamw(
    learning_rate, b1=b1, b2=b2, eps=eps, weight_decay=weight_decay
  )


def _rmsprop(learning_rate, *, decay: float = 0.99, eps: float = 1e-8):
  return optax.rmsprop(learning_rate, decay=decay, eps=eps)


def _optimistic_sgd(learning_rate, *, optimism: float = 1.0):
  return optax.optimistic_gradient_descent(learning_rate, beta=optimism)


def _optimistic_adam(
  learning_rate,
  *,
  b1: float = 0.5,
  b2: float = 0.999,
  eps: float = 1e-8,
  optimism: float = 1.0,
):
  return optax.optimistic_adam_v2(
    learning_rate, beta=optimism, b1=b1, b2=b2, eps=eps, nesterov=False
  )


OPTIMIZERS: dict[str, Callable[..., optax.GradientTransformation]] = {
  'sgd': _sgd,
  'adam': _adam,
  'adamw': _adamw,
  'rmsprop': _rmsprop,
  # Daskalakis et al., https://arxiv.org/abs/1711.00141, 2018: each update adds
  # `optimism` times its change since the previous one.
  'optimistic_sgd': _optimistic_sgd,
  'optimistic_adam': _optimistic_adam,
}


def clip_weights(bound: Any) -> optax.GradientTransformation:
  """Clips every parameter to [-bound, bound]; use it last in a chain.

  Args:
    bound: scalar above 0, which may be traced; 0.01 in the paper.

  Returns:
    An optax transform after whose updates the parameters are in range. Its
    update function needs params.

  Raises:
    ValueError: if the bound is not traced and not above 0; in the update, if
      params are missing.

  References:
    Arjovsky et al., Wasserstein GAN, https://arxiv.org/abs/1701.07875, 2017,
    algorithm 1.
  """
  if tracing.fails(lambda bound: bound > 0, bound):
    raise ValueError(f'bound={bound}: must be above 0')

  def update(updates, state, params=None):
    if params is None:
      raise ValueError('clip_weights needs the parameters: update(..., params)')
    clip = lambda u, p: jnp.clip(p + u, -bound, bound).astype(p.dtype) - p
    return jax.tree.map(clip, updates, params), state

  return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def freeze(frozen: PyTree) -> optax.GradientTransformation:
  """Keeps some parameters as they are; use it last in a chain.

  Args:
    frozen: tree of the parameters' structure, with True for those to keep.

  Returns:
    An optax transform whose updates of these parameters are 0.

  References:
    Mo et al., Freeze the Discriminator, https://arxiv.org/abs/2002.10964, 2020.
  """
  return optax.masked(optax.set_to_zero(), frozen)


def hparam_defaults(name: str) -> dict[str, float]:
  """Returns the hyper-parameters of an optimizer except its learning rate.

  Args:
    name: a key of OPTIMIZERS.

  Returns:
    Their names and defaults.
  """
  return keyword_defaults(OPTIMIZERS[name])


def from_hparams(
  name: str,
  prefix: str,
  *,
  clip: bool = False,
  frozen: PyTree = None,
) -> Callable[[Hparams], optax.GradientTransformation]:
  """Returns a function that builds an optimizer from `state.hparams`.

  Args:
    name: a key of OPTIMIZERS.
    prefix: prefix of its entries in hparams: 'd' reads 'd_learning_rate',
      'd_b1', ...
    clip: whether to clip parameters to hparams[f'{prefix}_weight_clip'].
    frozen: parameters to keep as they are, see `freeze`; None for none.

  Returns:
    Function hparams -> optax transform.
  """
  names = hparam_defaults(name)

  def build(hparams):
    rate = hparams[f'{prefix}_learning_rate']
    options = {n: hparams[f'{prefix}_{n}'] for n in names}
    transforms = [OPTIMIZERS[name](rate, **options)]
    if clip:
      transforms.append(clip_weights(hparams[f'{prefix}_weight_clip']))
    if frozen is not None:
      transforms.append(freeze(frozen))
    return optax.chain(*transforms) if len(transforms) > 1 else transforms[0]

  return build
