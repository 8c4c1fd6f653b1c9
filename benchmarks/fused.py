"""Times the compiled program of a run or an ensemble, call by call."""

from typing import Any

import jax
import numpy as np
import turns


def num_parameters(state: Any) -> int:
  """Returns the number of parameters of both networks of a train state."""
  players = (state.generator.params, state.discriminator.params)
  return sum(x.size for x in jax.tree.leaves(players))


class Fused:
  """A compiled program that continues from its own last state.

  Attributes:
    state: train state, or the states of all members.
  """

  def __init__(self, experiment: Any, count: int, **options: Any):
    """Places the state and the examples on the devices, and compiles.

    Args:
      experiment: an Experiment or EnsembleExperiment whose examples are
        resident on the device.
      count: train steps per call, at most `steps_per_call`.
      **options: keyword arguments of `experiment.program`.
    """
    program = experiment.program(**options)
    self._run, self._count = program.run, np.int32(count)
    self.state = program.put(experiment.init_state())
    self._streams = program.put(experiment.streams)
    with program.feed(0) as feed:
      self._examples, available = feed.take(0, count, lambda: None)
    if available < count:
      raise ValueError(
        f'{count} steps per call: the examples last for {available}'
      )
    self._done = 0
    self.run()

  def run(self, calls: int = 1) -> turns.Spent:
    """Takes `calls` times `count` steps, and waits for them.

    Args:
      calls: number of calls.

    Raises:
      RuntimeError: if the state counts fewer steps, as that of a member does
        that is frozen at its last finite state.
    """

    def work():
      for _ in range(calls):
        self.state, metrics = self._run(
          self.state, self._examples, self._streams, self._count
        )
      jax.block_until_ready((self.state, metrics))

    spent = turns.timed(work)
    self._done += calls * int(self._count)
    steps = np.asarray(self.state.step)
    if (steps != self._done).any():
      raise RuntimeError(f'the state is at step {steps}, not {self._done}')
    return spent
