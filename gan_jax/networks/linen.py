"""Converts Flax Linen modules to networks."""

import functools
import inspect
import warnings

import flax.linen as nn
import jax

from gan_jax import tracing
from gan_jax.networks import calls
from gan_jax.networks.network import Network


def from_linen(module: nn.Module) -> Network:
  """Converts a Flax Linen module to a Network.

  The module's `__call__` takes x and, by name, `label`, `train` and `keys` (a
  key per example, or None) if it has them. It may use the collections `params`
  and `batch_stats` and the random stream `dropout`. If the module has a field
  `axis_name` (for `nn.BatchNorm(axis_name=...)`), `apply` sets it. If it has
  methods `mapping` and `synthesis`, so has the network. If its property
  `takes_batches` is true, `apply` takes `batches` and sets the field of this
  name.

  Args:
    module: an unbound Linen module.

  Returns:
    The network. Its `init` raises ValueError if the module creates other
    collections.

  Raises:
    TypeError: if it is not an instance of a Linen module; the message shows
      what to pass.
    ValueError: if the call has other arguments.
  """
  if not isinstance(module, nn.Module):
    raise TypeError(not_linen_message(module))
  name = type(module).__name__
  arguments = {
    method: calls.accepted_arguments(
      getattr(module, method), name, ('label', 'train', 'keys'), ('keys',)
    )
    for method in ('__call__', *_halves(module))
  }

  def select(method, **options):
    return {name: options[name] for name in arguments[method]}

  @tracing.compile_for_one_call
  def variables_of(key, x, label):
    rngs = {'params': key, 'dropout': key}
    options = select('__call__', label=label, train=False, keys=None)
    return module.init(rngs, x, **options)

  def init(key, x, label=None):
    variables = dict(variables_of(key, x, label))
    params = variables.pop('params', {})
    batch_stats = variables.pop('batch_stats', {})
    if variables:
      raise ValueError(
        f'{type(module).__name__} creates the collections {sorted(variables)}; '
        "allowed are 'params' and 'batch_stats'"
      )
    return params, batch_stats

  def apply(
    method,
    params,
    batch_stats,
    x,
    label=None,
    *,
    train,
    key=None,
    axis_name=None,
    keys=None,
    batches=1,
  ):
    bound = module if batches == 1 else module.clone(batches=batches)
    several = axis_name is not None and jax.lax.axis_size(axis_name) > 1
    if several and hasattr(module, 'axis_name'):
      bound = bound.clone(axis_name=axis_name)
    elif several and train and _has_batch_norm(batch_stats):
      warnings.warn(
        f'{name} has batch norm and no field axis_name: each device normalizes '
        'by its own part of the batch. Give it the field axis_name: '
        'str | None = None, and pass it to nn.BatchNorm(axis_name=...)',
        stacklevel=2,
      )
    variables = {'params': params, 'batch_stats': batch_stats}
    rngs = {} if key is None else {'dropout': key}
    y, updates = bound.apply(
      variables,
      x,
      rngs=rngs,
      mutable=['batch_stats'],
      method=method,
      **select(method, label=label, train=train, keys=keys),
    )
    return y, updates.get('batch_stats', batch_stats) if train else batch_stats

  functions = {name: functools.partial(apply, name) for name in arguments}
  return Network(
    init,
    functions.pop('__call__'),
    takes_keys=any('keys' in names for names in arguments.values()),
    takes_batches=getattr(module, 'takes_batches', False),
    **functions,
  )


def _halves(module: nn.Module) -> tuple[str, ...]:
  """Returns the methods of a generator with styles, () of another module."""
  names = ('mapping', 'synthesis')
  found = [inspect.isfunction(getattr(type(module), n, None)) for n in names]
  return names if all(found) else ()


def not_linen_message(module: object) -> str:
  """Returns what to write in place of what is not a Linen module.

  Args:
    module: what a user passed.
  """
  cls = module if isinstance(module, type) else type(module)
  name = cls.__name__
  if issubclass(cls, nn.Module):
    return f'{name} is a class: pass an instance of it, {name}(...)'
  origins = {base.__module__ for base in cls.__mro__}
  made_by = lambda library: any(x.startswith(library) for x in origins)
  text = f'{name} is no Flax Linen module'
  if made_by('flax.nnx'):
    return (
      f'{text} but an NNX module: use networks.from_nnx(lambda rngs: '
      f'{name}(..., rngs=rngs))'
    )
  if made_by('equinox.'):
    return (
      f'{text} but an Equinox module: use networks.from_equinox(lambda key: '
      f'{name}(..., key=key))'
    )
  if made_by('torch.'):
    return f'{text} but a PyTorch module, which JAX cannot differentiate'
  return f'{text}; two pure functions are networks.Network(init, apply)'


def _has_batch_norm(batch_stats: object) -> bool:
  paths = jax.tree_util.tree_flatten_with_path(batch_stats)[0]
  return any(str(getattr(p[-1], 'key', '')) == 'mean' for p, _ in paths)
