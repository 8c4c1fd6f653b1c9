"""Guards that discard the updates of a train step if they are not finite.

The check runs on the device, inside the compiled program, without a transfer to
the host.
"""

import jax
import jax.numpy as jnp

from gan_jax.training import state as state_lib
from gan_jax.training.update_rules import Step

SKIPPED = 'skipped'


def freeze_nonfinite(step: Step) -> Step:
  """Wraps a step so that non-finite updates leave the whole state unchanged.

  The step number does not change either. The next attempt therefore has the
  same batch and the same noise, and fails again: a diverged member stays frozen
  at its last finite state while the other members continue.

  Args:
    step: function (state, batch, key) -> (state, metrics).

  Returns:
    The guarded step; its metrics are those of the attempt.
  """

  def guarded(state, batch, key):
    new, metrics = step(state, batch, key)
    return _select(_is_finite(new, metrics), new, state), metrics

  guarded.axis_name = getattr(step, 'axis_name', None)
  return guarded


def skip_nonfinite(step: Step) -> Step:
  """Wraps a step so that non-finite updates are dropped.

  The step number still advances, so that the next attempt has another batch and
  other noise.

  Args:
    step: function (state, batch, key) -> (state, metrics).

  Returns:
    The guarded step. If the update is dropped, the metric `skipped` is 1 and
    all other metrics are 0; otherwise `skipped` is 0.
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
