"""Hyper-parameters that change with the step.

The arguments of a schedule live in `state.hparams`, as all hyper-parameters do,
so that a sweep over them is a vmap over states.
"""

from typing import Any, Callable, Mapping, NamedTuple, Sequence

import jax
import jax.numpy as jnp

Array = jax.Array
Hparams = Mapping[str, Any]

SHAPES: dict[str, Callable[[Array, Array, Array], Array]] = {
  'linear': lambda start, end, t: start + (end - start) * t,
  'cosine': lambda start, end, t: (
    end + (start - end) * (1 + jnp.cos(jnp.pi * t)) / 2
  ),
  'geometric': lambda start, end, t: start * (end / start) ** t,
}


class Schedule(NamedTuple):
  """A hyper-parameter as a function of the step.

  Attributes:
    apply: (`state.hparams`, step) -> value, a float32 scalar.
    reads: names of the hyper-parameters that it reads.
  """

  apply: Callable[[Hparams, Array], Array]
  reads: tuple[str, ...]


def make_schedule(name: str, shapes: Sequence[str]) -> Schedule:
  """Builds a schedule of some changes, one after the other.

  The i-th change goes from hparams[f'{name}_start_{i}'] to
  hparams[f'{name}_end_{i}'] in hparams[f'{name}_steps_{i}'] steps, a number
  above 0 that need not be an integer. After the last one, the value stays.

    linear: start + (end - start) t, with t from 0 to 1
    cosine: end + (start - end) (1 + cos(pi t)) / 2
    geometric: start (end / start)^t

  Args:
    name: name of the hyper-parameter.
    shapes: shape of each change, a key of SHAPES.

  Returns:
    The schedule.

  Raises:
    ValueError: if there is no shape, or one is unknown.
  """
  unknown = [shape for shape in shapes if shape not in SHAPES]
  if unknown or not shapes:
    raise ValueError(
      f'shapes={tuple(shapes)}: must be one or more of {tuple(SHAPES)}'
    )
  reads = tuple(
    f'{name}_{argument}_{i}'
    for i in range(len(shapes))
    for argument in ('start', 'end', 'steps')
  )

  def apply(hparams, step):
    value, begin = None, jnp.float32(0)
    for i, shape in enumerate(shapes):
      start, end, steps = (
        jnp.float32(hparams[read]) for read in reads[3 * i : 3 * i + 3]
      )
      done = jnp.asarray(step, jnp.float32) - begin
      new = SHAPES[shape](start, end, jnp.clip(done / steps, 0, 1))
      value = new if value is None else jnp.where(done < 0, value, new)
      begin = begin + steps
    return value

  return Schedule(apply, reads)


def apply_schedules(
  schedules: Mapping[str, Schedule], hparams: Hparams, step: Array
) -> dict[str, Array]:
  """Returns the hyper-parameters at a step.

  Args:
    schedules: schedule of each hyper-parameter that changes.
    hparams: `state.hparams`.
    step: the step, scalar int32.

  Returns:
    hparams, in which those with a schedule have their value at the step.
  """
  values = {name: s.apply(hparams, step) for name, s in schedules.items()}
  return {**hparams, **values}
