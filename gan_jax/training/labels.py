"""Explains the error of a conditional network that has no labels."""

import contextlib
from typing import Any, Callable, Iterator

import jax
import jax.numpy as jnp

Array = jax.Array


@contextlib.contextmanager
def explain_missing_labels(
  call: Callable[[Any], Any], label: Any, size: int, *, player: str
) -> Iterator[None]:
  """Explains an error of `call(label)` that labels would prevent.

  Args:
    call: function of the label.
    label: labels, or None.
    size: batch size.
    player: name of the network, for the message.

  Raises:
    ValueError: if there are no labels, and the network fails without and works
      with them.
  """
  try:
    yield
  except Exception as error:  # networks of users raise any type
    if label is not None or not _works(call, size):
      raise
    raise ValueError(
      f'the {player} is conditional and got no labels: write '
      "{'x': x, 'label': label} for a batch, with label [B] int32, and label= "
      'when sampling. (A discriminator of packing > 1 gets none, since a pack '
      'has no single class.)'
    ) from error


def _works(call, size) -> bool:
  try:
    jax.eval_shape(call, jax.ShapeDtypeStruct((size,), jnp.int32))
  except Exception:
    return False
  return True
