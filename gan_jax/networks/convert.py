"""Converts whatever a user passes as a network."""

import inspect
import sys
import warnings
from typing import Any, Callable

import flax.linen as nn

from gan_jax.networks.linen import from_linen, not_linen_message
from gan_jax.networks.network import Network


def from_nnx(module: Any) -> Network:
  """Converts a Flax NNX module to a Network.

  Parameters are the module's `nnx.Param` variables; `batch_stats` are its other
  variables, except the state of random streams: every call draws from a new
  stream. `train` selects `module.train()` or `module.eval()`. On several
  devices every `nnx.BatchNorm` normalizes by the batch of all devices.

  Args:
    module: function of `nnx.Rngs` that makes the module, such as
      `lambda rngs: Generator(rngs=rngs)`, so that every seed has other
      parameters. A finished module is accepted, too: every seed then begins
      with its parameters. Its `__call__` takes x and, by name, `label` and
      `train` if it has them.

  Returns:
    The network. On first use it raises ValueError if the call has other
    arguments, and TypeError if the function makes something else.
  """
  from gan_jax.networks import nnx

  return nnx.convert(module)


def from_equinox(module: Any) -> Network:
  """Converts an Equinox module to a Network.

  The module's `__call__` takes one example, without the batch axis and with
  channels last, and by name those of `label`, `train`, `key` and `state` that
  it has. It returns y, or (y, state) if it takes a state. Parameters are its
  floating-point arrays; `batch_stats` are the state and other arrays.
  `train=False` sets `inference` of all layers. Every `eqx.nn.BatchNorm`
  normalizes by the batch of all devices, whatever its `axis_name`.

  Args:
    module: function of a key that makes the module, such as
      `lambda key: Generator(key=key)`, so that every seed has other parameters;
      with a state, `lambda key: eqx.nn.make_with_state(Generator)(key=key)`. A
      finished module or a pair (module, state) is accepted, too: every seed
      then begins with its parameters.

  Returns:
    The network. On first use it raises ValueError if the call has other
    arguments, and TypeError if the function makes something else.
  """
  from gan_jax.networks import equinox

  return equinox.convert(module)


def as_network(part: Any, name: str = 'network') -> Network:
  """Converts a module, a factory of modules, or a Network to a Network.

  Args:
    part: a Network; a Linen module; a function `lambda rngs: ...` that makes an
      NNX module, or `lambda key: ...` that makes an Equinox module (or the pair
      of module and state); or a finished NNX or Equinox module, whose
      parameters then do not depend on the seed.
    name: what it is, for messages.

  Returns:
    The network.

  Raises:
    TypeError: if it is none of these; the message shows what to pass.
    ValueError: if the call of a module has arguments that are not known.
  """
  if isinstance(part, Network):
    return part
  if isinstance(part, nn.Module):
    return from_linen(part)
  convert = _converter_of_finished(part)
  if convert:
    warnings.warn(
      f'{name}: a finished {_type_name(part)} carries its parameters, which '
      'the seed does not change; pass a function that makes it, lambda rngs: '
      '... (NNX) or lambda key: ... (Equinox)',
      stacklevel=2,
    )
    return convert(part)
  if (
    not callable(part) or isinstance(part, type) and issubclass(part, nn.Module)
  ):
    raise TypeError(f'{name}: {not_linen_message(part)}')
  return _converter_of_factory(part, name)(part)


def _converter_of_finished(part: Any) -> Callable[[Any], Network] | None:
  """Returns the converter of an NNX or Equinox module, None for others."""
  nnx, eqx = sys.modules.get('flax.nnx'), sys.modules.get('equinox')
  if nnx and isinstance(part, nnx.Module):
    return from_nnx
  first = part[0] if isinstance(part, tuple) and part else part
  return from_equinox if eqx and isinstance(first, eqx.Module) else None


def _converter_of_factory(
  part: Callable[..., Any], name: str
) -> Callable[[Any], Network]:
  """Returns the converter of a function, by the name of its argument."""
  parameters = inspect.signature(part).parameters.values()
  required = [
    p.name
    for p in parameters
    if p.default is p.empty
    and p.kind < p.VAR_KEYWORD
    and p.kind != p.VAR_POSITIONAL
  ]
  if required == ['rngs']:
    return lambda made: from_nnx(lambda rngs: made(rngs=rngs))
  if required == ['key']:
    return lambda made: from_equinox(lambda key: made(key=key))
  raise TypeError(
    f'{name}: {_type_name(part)} {part!r} with the arguments {required}: a '
    'function that makes a network takes rngs (NNX: lambda rngs: '
    'Generator(rngs=rngs)) or key (Equinox: lambda key: Generator(key=key)); '
    'a Linen module is passed as an instance, two pure functions as '
    'networks.Network(init, apply)'
  )


def _type_name(part: Any) -> str:
  return type(part[0] if isinstance(part, tuple) else part).__name__
