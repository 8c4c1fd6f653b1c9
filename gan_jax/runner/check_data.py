"""Checks the data of a config, example by example."""

from gan_jax import config as config_lib
from gan_jax.data import check
from gan_jax.experiment import experiment as experiment_lib
from gan_jax.runner import console


def check_data(config: config_lib.Config) -> int:
  """Reads all examples of a config's data and prints what is wrong.

  Args:
    config: resolved config.

  Returns:
    The number of problems.

  Raises:
    ValueError: if the data cannot be opened at all.
    FileNotFoundError: if they do not exist.
  """
  reporter, total, problems = console.ConsoleReporter(), 0, 0
  with reporter.feature_bars() as track:

    def announce(description, size):
      nonlocal total
      total += size
      reporter.checking(description)
      return track('checked', size)

    spec = experiment_lib.data_spec(config)
    for problem in check.find_problems(spec, announce):
      problems += 1
      reporter.problem(problem)
  reporter.checked(config.data.name, total, problems)
  return problems
