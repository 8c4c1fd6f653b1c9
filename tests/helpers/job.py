"""Trains as one process of several, for tests/distributed/test_multihost.py.

  python -m tests.helpers.job PORT PROCESSES ID OUT

Trains tiny GANs for 20 steps, twice in each case; process 0 writes the states.
"""

import os
import sys

CASES = (('resident', 'pmap'), ('streamed', 'shard_map'))
STEPS = 20


def mapping(data, backend):
  """Returns the config of a case; by SGD, since Adam amplifies rounding."""
  sgd = {'name': 'sgd', 'learning_rate': 0.05}
  return {
    'batch_size': 16,
    'num_steps': STEPS,
    'latent_dim': 3,
    'loss': 'ralsgan',  # mixes the examples of a batch
    'penalties': {'r1': {'weight': 0.1}},
    'parallel': backend,
    'steps_per_call': 4,
    'resident_mb': 0 if data == 'streamed' else 1,
    'd_optimizer': sgd,
    'g_optimizer': sgd,
    'data': {'name': 'gaussian', 'gaussian': {'size': 100}},
    'generator': {'name': 'mlp', 'mlp': {'features': (8,), 'norm': 'batch'}},
    'discriminator': {
      'name': 'mlp',
      'mlp': {'features': (8,), 'activation': 'tanh'},
    },
  }


def train(data, backend, times):
  """Trains from the start several times.

  Args:
    data: 'resident' or 'streamed'.
    backend: of `parallel`.
    times: number of times.

  Returns:
    The leaves of the state after all steps of each time, as numpy arrays.
  """
  import jax
  import numpy as np

  from gan_jax import experiment
  from gan_jax.distributed import devices

  built = experiment.build(mapping(data, backend))
  assert len(built.devices) == 4
  program, found = built.program(), []
  for _ in range(times):
    state, step = program.put(built.init_state()), 0
    streams = program.put(built.streams)
    with program.feed(0) as feed:
      while step < STEPS:
        count = min(STEPS - step, program.max_steps)
        batch, count = feed.take(step, count, lambda: None)
        state, _ = program.run(state, batch, streams, np.int32(count))
        step += count
    last = jax.device_get(devices.addressable_state(state))
    found.append(jax.tree.leaves(last))
  return found


def main(port, count, number, out):
  """Joins the other processes and trains."""
  os.environ['PJRT_NPROC'] = '32'
  import jax
  import numpy as np

  from gan_jax import distributed
  from gan_jax.distributed import multihost

  jax.config.update('jax_platforms', 'cpu')
  jax.config.update('jax_num_cpu_devices', 4 // int(count))
  distributed.initialize(f'localhost:{port}', int(count), int(number))
  leaves = {}
  for case in CASES:
    for time, found in enumerate(train(*case, times=2)):
      for i, leaf in enumerate(found):
        leaves[f'{"-".join(case)}-{time}-{i}'] = leaf
  if multihost.is_chief():
    np.savez(out, **leaves)
  multihost.barrier('end')


if __name__ == '__main__':
  main(*sys.argv[1:])
