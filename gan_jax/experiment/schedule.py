"""Decides what to do after each train step: log, sample, checkpoint, evaluate."""

from typing import NamedTuple

from gan_jax import config as config_lib


class Actions(NamedTuple):
  """What to do after a train step.

  Attributes:
    log: whether to write a line of metrics.
    checkpoint: whether to save the state.
    sample: whether to save a picture of samples.
    evaluate: whether to compute scores.
  """

  log: bool
  checkpoint: bool
  sample: bool
  evaluate: bool

  @property
  def any_io(self) -> bool:
    """Whether something is due that may take longer than a step."""
    return self.checkpoint or self.sample or self.evaluate


def actions_at(
  config: config_lib.Config, step: int, stopping: bool = False
) -> Actions:
  """Returns what to do after a step.

  Args:
    config: resolved config.
    step: number of train steps done.
    stopping: whether the run stops here, before its end.
  """
  is_due = lambda every: bool(every) and step % every == 0
  ended = step == config.num_steps
  last = ended or stopping
  evaluate = is_due(config.eval_every)
  return Actions(
    log=last or is_due(config.log_every),
    # Scores may take long, and the run may be killed meanwhile.
    checkpoint=last or is_due(config.checkpoint_every) or evaluate,
    sample=ended or is_due(config.sample_every),
    evaluate=evaluate and (ended or not stopping),
  )


def steps_to_next_action(config: config_lib.Config, step: int) -> int:
  """Returns the number of train steps until something is due.

  Args:
    config: resolved config.
    step: number of train steps done.

  Returns:
    At least 1 before the end of the run, 0 at its end.
  """
  intervals = (
    config.log_every,
    config.sample_every,
    config.checkpoint_every,
    config.eval_every,
  )
  due = [every - step % every for every in intervals if every]
  return max(0, min(config.num_steps - step, *due))
