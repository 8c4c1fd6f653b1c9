"""Estimates what a run will cost, from shapes; nothing is trained."""

import contextlib
from typing import Any, ContextManager, NamedTuple

import jax
import numpy as np

from gan_jax.experiment import build_gan, program


class StepCost(NamedTuple):
  """Cost of one train step on one device, and of its data there.

  Attributes:
    g_parameters: number of parameters of the generator.
    d_parameters: number of parameters of the discriminator.
    state_bytes: bytes of both networks, optimizers, EMA and auxiliary arrays.
    resident_bytes: bytes of the examples on the device; 0 if they are streamed.
    batch_bytes: bytes of the examples of a step on this device, which are
      copied from the host if the examples are streamed.
    reduced_bytes: bytes averaged over devices in a step; 0 on one device.
    flops: floating-point operations, as XLA counts them before optimizing.
    accessed_bytes: bytes read and written, counted likewise: an upper bound.
  """

  g_parameters: int
  d_parameters: int
  state_bytes: int
  resident_bytes: int
  batch_bytes: int
  reduced_bytes: int
  flops: float
  accessed_bytes: float


def _bytes(tree: Any) -> int:
  return sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(tree))


def _float_bytes(tree: Any) -> int:
  leaves = jax.tree.leaves(tree)
  return _bytes([x for x in leaves if np.issubdtype(x.dtype, np.floating)])


def _on_host() -> ContextManager[Any]:
  """Returns the context in which functions are lowered for the host.

  JAX counts the operations of a program for CPU only: with the plugins of GPU
  and TPU, cost_analysis is None.
  """
  try:
    return jax.default_device(jax.local_devices(backend='cpu')[0])
  except RuntimeError:  # JAX_PLATFORMS without cpu
    return contextlib.nullcontext()


def lower_train_step(experiment: Any) -> jax.stages.Lowered:
  """Lowers one train step on one device, for its share of the batch.

  The operations are those of the platform of the run, whose layers choose them
  when they are traced. The program is lowered for the host, which counts them.

  Args:
    experiment: an experiment.Experiment.
  """
  share = lambda x: x.update(
    shape=(x.shape[0], x.shape[1] // len(experiment.devices), *x.shape[2:])
  )
  step = build_gan.build_train_step(experiment.gan, experiment.config, None)
  with _on_host():
    return jax.jit(step, donate_argnums=0).lower(
      experiment.abstract_state(),
      jax.tree.map(share, experiment.abstract_batch()),
      jax.eval_shape(lambda: jax.random.key(0)),
    )


def count_flops(lowered: jax.stages.Lowered) -> float:
  """Returns floating-point operations, as XLA counts them unoptimized."""
  return (lowered.cost_analysis() or {}).get('flops', float('nan'))


def estimate_cost(experiment: Any) -> StepCost:
  """Counts what one step costs, for the experiment's shapes.

  Nothing is compiled, so that the memory of intermediate results is unknown.

  Args:
    experiment: an experiment.Experiment.

  Returns:
    The cost for one device, with its share of the batch.
  """
  config, count = experiment.config, len(experiment.devices)
  shapes = experiment.abstract_state()
  lowered = lower_train_step(experiment)
  counted = lowered.cost_analysis() or {}
  size = lambda net: sum(x.size for x in jax.tree.leaves(net.params))
  resident = program.fits_on_device(experiment.train, config)
  g, d = shapes.generator, shapes.discriminator
  reduced = (
    _float_bytes((d.params, d.batch_stats)) * config.d_steps
  ) + _float_bytes((g.params, g.batch_stats))
  return StepCost(
    g_parameters=size(g),
    d_parameters=size(d),
    state_bytes=_bytes(shapes),
    resident_bytes=program.resident_nbytes(experiment.train, config)
    if resident
    else 0,
    batch_bytes=_bytes(experiment.abstract_batch()) // count,
    reduced_bytes=reduced if count > 1 else 0,
    flops=count_flops(lowered),
    accessed_bytes=counted.get('bytes accessed', float('nan')),
  )


def _units(number: float, base: int, unit: str) -> str:
  """Formats a number as in 1.91 MiB (base 1024) or 0.916 GFLOP (1000)."""
  prefixes = ['', 'k', 'M', 'G', 'T', 'P', 'E']
  if base == 1024:
    prefixes = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei']
  while number >= base and len(prefixes) > 1:
    number /= base
    prefixes.pop(0)
  return f'{number:.3g} {prefixes[0]}{unit}'


def format_cost(cost: StepCost, experiment: Any, members: int = 1) -> list[str]:
  """Describes a cost for a person.

  Args:
    cost: cost of one step on one device.
    experiment: its experiment.
    members: number of members of an ensemble.

  Returns:
    Lines of text.
  """
  size, flop = lambda n: _units(n, 1024, 'B'), lambda n: _units(n, 1000, 'FLOP')
  share = experiment.config.batch_size // len(experiment.devices)
  every = f', {members} members' if members > 1 else ''
  return [
    f'parameters  G {cost.g_parameters:,}, D {cost.d_parameters:,}{every}',
    f'state       {size(cost.state_bytes * members)} (networks, optimizers, '
    'average)',
    f'batch       {size(cost.batch_bytes)}, {share} examples on each device',
    f'examples    {size(cost.resident_bytes)} live on each device'
    if cost.resident_bytes
    else 'examples    streamed, a batch at a time',
    f'devices     {size(cost.reduced_bytes)} averaged over '
    f'{len(experiment.devices)} a step',
    f'a step      {flop(cost.flops * members)}, '
    f'{size(cost.accessed_bytes * members)} read and written at most '
    '(before XLA optimizes)',
    f'the run     {experiment.config.num_steps:,} steps, '
    f'{flop(cost.flops * members * experiment.config.num_steps)} on each device',
  ]
