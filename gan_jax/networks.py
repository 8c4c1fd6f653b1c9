"""Networks as two pure functions, and their conversion from Flax.

  init(key, x, label) -> (params, batch_stats)
  apply(params, batch_stats, x, label, *, train, key, axis_name) -> (y, batch_stats)

A generator maps latents `[B, Z]` to examples `[B, ...]`. A discriminator maps
examples to logits `[B]` (`[B, h, w]` for patches), or to `DiscriminatorOutput`
if its features are needed too. Any pair of functions can be used: a renderer,
a formula, another library. Only `from_linen` depends on Flax.
"""

from typing import Any, Callable, NamedTuple

import flax.linen as nn
import jax

__all__ = [
  'DiscriminatorOutput',
  'Network',
  'from_linen',
]

Array = jax.Array
PyTree = Any


class DiscriminatorOutput(NamedTuple):
  """Logits of a discriminator together with its features.

  Attributes:
    logits: logits `[B]`, or `[B, h, w]` for patches; a discriminator without
      features returns these alone.
    features: activations of the last hidden layer, `[B, F]`, float.
  """

  logits: Array
  features: Array


class Network(NamedTuple):
  """A network as two pure functions.

  Attributes:
    init: function (key, x, label) -> (params, batch_stats). Optimizers update
      params; batch_stats are arrays that change as a side effect of training
      (running means, power-iteration vectors), `{}` for none.
    apply: function (params, batch_stats, x, label, *, train, key, axis_name) ->
      (y, batch_stats). With train=False it returns the statistics unchanged.
      axis_name is the name of the mapped device axis (or None), for statistics
      over the whole batch. The key, for dropout, differs per device and
      micro-batch. Unlike latents, dropout depends on their number.
  """

  init: Callable[..., tuple[PyTree, PyTree]]
  apply: Callable[..., tuple[Any, PyTree]]


def from_linen(module: nn.Module) -> Network:
  """Converts a Flax Linen module to a Network.

  The module's `__call__(x, label, *, train)` may use the collections `params`
  and `batch_stats` and the random stream `dropout`. If the module has a field
  `axis_name` (for `nn.BatchNorm(axis_name=...)`), `apply` sets it.

  Args:
    module: an unbound Linen module.

  Returns:
    The network. Its `init` raises ValueError if the module creates other
    collections.
  """

  def init(key, x, label=None):
    variables = dict(
      module.init({'params': key, 'dropout': key}, x, label, train=False)
    )
    params = variables.pop('params', {})
    batch_stats = variables.pop('batch_stats', {})
    if variables:
      raise ValueError(
        f'{type(module).__name__} creates the collections {sorted(variables)}; '
        "allowed are 'params' and 'batch_stats'"
      )
    return params, batch_stats

  def apply(
    params, batch_stats, x, label=None, *, train, key=None, axis_name=None
  ):
    bound = module
    several = axis_name is not None and jax.lax.axis_size(axis_name) > 1
    if several and hasattr(module, 'axis_name'):
      bound = module.clone(axis_name=axis_name)
    variables = {'params': params, 'batch_stats': batch_stats}
    rngs = {} if key is None else {'dropout': key}
    y, updates = bound.apply(
      variables, x, label, train=train, rngs=rngs, mutable=['batch_stats']
    )
    return y, updates.get('batch_stats', batch_stats) if train else batch_stats

  return Network(init, apply)
