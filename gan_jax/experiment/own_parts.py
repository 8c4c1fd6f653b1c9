"""Networks, a loss and data that a program passes in place of the config's.

parts = make_own_parts(generator=module, train=images)
config = parts.mark(config)  # names them 'own'
"""

from typing import Any, Callable, NamedTuple, Sequence

import jax
import numpy as np

from gan_jax import config as config_lib
from gan_jax import data, losses, networks
from gan_jax.networks import Network


class OwnParts(NamedTuple):
  """Parts of an experiment that no config names; None for those of the config.

  Attributes:
    generator: network from latents to examples.
    discriminator: network from examples to logits.
    loss: adversarial loss, or the function (`state.hparams`, step) -> loss.
    train: source of the training examples.
    test: source of the held-out examples.
    described: Python names of what was passed, by part.
    config_file: config file whose `get_parts` returned them; '' for none.
  """

  generator: Network | None = None
  discriminator: Network | None = None
  loss: losses.AdversarialLoss | Callable[..., Any] | None = None
  train: Any = None
  test: Any = None
  described: dict[str, str] = {}
  config_file: str = ''

  def mark(self, config: Any) -> Any:
    """Returns a config that names these parts 'own'.

    Args:
      config: a config.Config, or a mapping of its fields.
    """
    return config_lib.with_own_parts(config, self.described)


def make_own_parts(
  *,
  generator: Any = None,
  discriminator: Any = None,
  loss: Any = None,
  train: Any = None,
  test: Any = None,
) -> OwnParts:
  """Converts what a program passes.

  Args:
    generator: a Linen module, a `Network`, `lambda rngs: ...` that makes an NNX
      module, or `lambda key: ...` that makes an Equinox module, from latents
      `[B, Z]` to examples.
    discriminator: likewise, from examples to logits `[B]`.
    loss: an AdversarialLoss, or a function (`state.hparams`, step) -> loss.
    train: training examples: arrays, a mapping of arrays, or a dataset with
      `len()` and `[i]`; see data.as_source.
    test: held-out examples, likewise.

  Returns:
    The parts.

  Raises:
    TypeError: if a part is something else; the message shows what to pass.
    ValueError: if data or the call of a module do not fit, or there are
      held-out examples alone.
  """
  given = dict(
    generator=generator,
    discriminator=discriminator,
    loss=loss,
    train=train,
    test=test,
  )
  if train is None and test is not None:
    raise ValueError('test is given without train: pass both, or train alone')
  is_loss = isinstance(loss, losses.AdversarialLoss)
  if loss is not None and not is_loss and not callable(loss):
    raise TypeError(
      f'loss={loss!r}: must be an AdversarialLoss or a function (hparams, step)'
      " -> AdversarialLoss; a loss of the library is named in the config: {'loss'"
      ": 'hinge'}"
    )
  convert = lambda part, name: (
    None if part is None else networks.as_network(part, name)
  )
  read = lambda part, name: None if part is None else data.as_source(part, name)
  return OwnParts(
    generator=convert(generator, 'generator'),
    discriminator=convert(discriminator, 'discriminator'),
    loss=loss,
    train=read(train, 'train'),
    test=read(test, 'test'),
    described={
      name: _describe(part) for name, part in given.items() if part is not None
    },
  )


def check_parts(
  config: config_lib.Config,
  parts: OwnParts,
  names: Sequence[str] = ('generator', 'discriminator', 'loss'),
) -> None:
  """Checks that every part that the config names 'own' was passed.

  Args:
    config: resolved config.
    parts: what was passed.
    names: parts to check, fields of OwnParts.

  Raises:
    ValueError: if one is missing; the message shows the call.
  """
  for name in names:
    section = config.data if name == 'train' else getattr(config, name)
    chosen = getattr(section, 'name', section)
    if chosen == 'own' and getattr(parts, name) is None:
      field = {'train': 'data.name', 'loss': 'loss'}.get(name, f'{name}.name')
      raise ValueError(
        f"{field}='own': pass it, gan_jax.train(config, {name}=...), or let the "
        f"config file have get_parts(config) that returns {{'{name}': ...}}"
      )


def label_spec(source: Any) -> Any:
  """Returns shapes and types of the labels of one example, None if none.

  Args:
    source: a data.Source.
  """
  example = source[np.zeros(1, np.int64)]
  return jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), example.get('label')
  )


def spec_to_json(spec: Any) -> Any:
  """Returns the shapes and types of labels for JSON.

  Args:
    spec: tree of jax.ShapeDtypeStruct.
  """
  leaf = lambda x: {'shape': list(x.shape), 'dtype': str(x.dtype)}
  return jax.tree.map(leaf, spec)


def spec_from_json(found: Any) -> Any:
  """Returns the shapes and types that `spec_to_json` wrote.

  Args:
    found: nested dicts and lists.
  """
  is_leaf = lambda x: isinstance(x, dict) and x.keys() == {'shape', 'dtype'}
  return jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(tuple(x['shape']), x['dtype']),
    found,
    is_leaf=is_leaf,
  )


def _describe(part: Any) -> str:
  """Returns the Python name of a part, such as 'mine.nets.Generator'."""
  part = part[0] if isinstance(part, tuple) and part else part
  named = part if hasattr(part, '__qualname__') else type(part)
  name = f'{named.__module__}.{named.__qualname__}'
  if name.endswith('<lambda>'):  # the names that it calls tell more
    name = f'{name} of {", ".join(part.__code__.co_names)}'
  return name
