"""What there is to do after which train step."""

from typing import NamedTuple

from gan_jax.config import Config


class Actions(NamedTuple):
  """What there is to do after some steps.

  Attributes:
    line: of the log.
    checkpoint: of the state.
    picture: of samples.
    scores: of samples.
  """

  line: bool
  checkpoint: bool
  picture: bool
  scores: bool

  @property
  def slow(self) -> bool:
    """Whether it may take longer than a step."""
    return self.checkpoint or self.picture or self.scores


def actions_at(config: Config, step: int, stopping: bool = False) -> Actions:
  """What there is to do after a step.

  Args:
    config: the settings.
    step: train steps done.
    stopping: whether the run stops here, before its end.
  """
  at = lambda every: bool(every) and step % every == 0
  ended = step == config.num_steps
  last = ended or stopping
  scores = at(config.eval['every'])
  return Actions(
    line=last or at(config.log_every),
    # Scores may take long, and a run be killed meanwhile.
    checkpoint=last or at(config.checkpoint_every) or scores,
    picture=ended or at(config.sample_every),
    scores=scores and (ended or not stopping),
  )


def steps_to_next_action(config: Config, step: int) -> int:
  """Train steps until something is due: a log line, a picture, the end.

  Args:
    config: the settings.
    step: train steps done.

  Returns:
    At least 1 before the end, 0 at it.
  """
  everies = (
    config.log_every,
    config.sample_every,
    config.checkpoint_every,
    config.eval['every'],
  )
  until = [every - step % every for every in everies if every]
  return max(0, min(config.num_steps - step, *until))
