"""A run's or an ensemble's compiled program, as a contender; its size."""

from typing import Any

import jax
import numpy as np
import turns


def num_parameters(state: Any) -> int:
  """Number of trained numbers in both networks of a training state."""
  players = (state.generator.params, state.discriminator.params)
  return sum(x.size for x in jax.tree.leaves(players))


class Fused:
  """A program that goes on from where it is, call by call.

  Attributes:
    state: the training state, or the states of all members.
  """

  def __init__(self, built: Any, count: int, **options: Any):
    """Places everything, and compiles.

    Args:
      built: an experiment.Experiment or experiment.EnsembleExperiment whose examples are resident.
      count: train steps of a call; at most `steps_per_call`.
      **options: of `built.program`.
    """
    program = built.program(**options)
    self._run, self._count = program.run, np.int32(count)
    self.state = program.put(built.init_state())
    self._draws = program.put(built.streams)
    with program.feed(0) as feed:
      self._examples, lasting = feed.take(0, count, lambda: None)
    if lasting < count:
      raise ValueError(f'{count} steps in a call: the examples last {lasting}')
    self._done = 0
    self.run()

  def run(self, calls: int = 1) -> turns.Spent:
    """Takes `calls` times `count` steps, and waits for them.

    Raises:
      RuntimeError: where the state says that it has taken fewer, as that of a
        member does that is no longer finite.
    """

    def work():
      for _ in range(calls):
        self.state, metrics = self._run(
          self.state, self._examples, self._draws, self._count
        )
      jax.block_until_ready((self.state, metrics))

    spent = turns.timed(work)
    self._done += calls * int(self._count)
    steps = np.asarray(self.state.step)
    if (steps != self._done).any():
      raise RuntimeError(f'{self._done} steps were to be taken: {steps}')
    return spent
