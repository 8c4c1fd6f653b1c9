"""Train steps that are not taken where something would not be finite.

Decided on the device, in the program: the host is not asked.
"""

import jax
import jax.numpy as jnp

from gan_jax.training import state as state_lib
from gan_jax.training.update_rules import Step

SKIPPED = 'skipped'


def freeze_nonfinite(step: Step) -> Step:
  """A step that is not taken where state or metrics would not be finite.

  The state stays as it was, its step number too. So the next attempt has the
  same batch and the same noise, and fails again: a member that diverged is
  frozen for good, at the last state that was finite, while others go on.

  Args:
    step: (state, batch, key) -> (state, metrics).

  Returns:
    The guarded step; metrics are those of the attempt.
  """

  def guarded(state, batch, key):
    new, metrics = step(state, batch, key)
    return _select(_is_finite(new, metrics), new, state), metrics

  guarded.axis_name = getattr(step, 'axis_name', None)
  return guarded


def skip_nonfinite(step: Step) -> Step:
  """A step whose update is dropped where it would not be finite.

  The step number goes on, so that the next attempt has another batch and
  other noise.

  Args:
    step: (state, batch, key) -> (state, metrics).

  Returns:
    The guarded step. A metric `skipped` is 1 where the update was dropped, and
    the others are 0 there; else it is 0.
  """

  def guarded(state, batch, key):
    new, metrics = step(state, batch, key)
    good = _is_finite(new, metrics)
    kept = _select(good, new, state.replace(step=new.step))
    metrics = {name: jnp.where(good, x, 0) for name, x in metrics.items()}
    return kept, metrics | {SKIPPED: 1 - good.astype(jnp.float32)}

  guarded.axis_name = getattr(step, 'axis_name', None)
  return guarded


def _is_finite(state, metrics):
  return state_lib.all_finite((state, metrics))


def _select(good, new, old):
  return jax.tree.map(lambda a, b: jnp.where(good, a, b), new, old)
