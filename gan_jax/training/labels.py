"""Explains the error of a conditional network that has no labels."""

from typing import Any, Callable

import jax
import jax.numpy as jnp

Array = jax.Array


def apply_to_label(
  call: Callable[[Any], Any], label: Any, size: int, *, player: str
) -> Any:
  """Calls a network with its labels.

  Args:
    call: function of the label.
    label: labels, or None.
    size: batch size.
    player: name of the network, for the message.

  Returns:
    The function's value.

  Raises:
    ValueError: if there are no labels, and the network fails without and works
      with them.
  """
  if label is not None:
    return call(label)
  try:
    return call(None)
  except Exception as error:  # networks of users raise any type
    if not _works(call, size):
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
