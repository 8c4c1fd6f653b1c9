"""Warns where a run is shortened, and what spans its steps is not."""

from gan_jax import validation
from gan_jax.config.schedules import parse_schedules, scheduled_names
from gan_jax.config.schema import Config

_MOST_LEFT = (
  0.05  # of the weights of its start, in the average of the generator
)


def warn_if_shortened(config: Config, num_steps: int) -> None:
  """Warns of an average and of schedules that fewer steps do not complete.

  Args:
    config: The config.
    num_steps: Steps of the config file, before `num_steps` was overridden.
  """
  if config.num_steps >= num_steps:
    return
  where = f'num_steps={config.num_steps}, and {num_steps} in the config file'
  for problem in (*_average(config, num_steps), *_schedules(config, num_steps)):
    validation.warn(f'{where}: {problem}')


def _average(config: Config, num_steps: int) -> list[str]:
  """Returns what is wrong with the exponential moving average, if anything."""
  scheduled = scheduled_names(config.schedules)
  if {'ema_decay', 'ema_half_life'} & set(scheduled):
    return []
  decay, written = config.ema_decay, f'ema_decay={config.ema_decay:g}'
  if config.ema_half_life:
    written = f'ema_half_life={config.ema_half_life:g}'
    decay = 0.5 ** (config.batch_size / config.ema_half_life)
  left = decay**config.num_steps
  if left <= _MOST_LEFT or decay == 1:
    return []
  factor = num_steps / config.num_steps
  in_proportion = (
    f'ema_half_life={config.ema_half_life / factor:.3g}'
    if config.ema_half_life
    else f'ema_decay={decay**factor:.4g}'
  )
  return [
    f'with {written}, {left:.0%} of the average of the generator, which is '
    f'scored, are still the weights that it starts from; {in_proportion} is as '
    'fast in proportion'
  ]


def _schedules(config: Config, num_steps: int) -> list[str]:
  """Returns which schedules end earlier on their way than they would have."""
  problems = []
  for schedule in parse_schedules(config.schedules):
    length = sum(segment.steps for segment in schedule.segments)
    share = min(1, config.num_steps / length)
    if share < min(1, num_steps / length):
      problems.append(
        f'the schedule of {", ".join(schedule.options)} takes {length:.0f} '
        f'steps and comes to {share:.0%} of its way; give it steps in '
        'proportion'
      )
  return problems
