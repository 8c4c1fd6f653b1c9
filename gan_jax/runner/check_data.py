"""Checks the data of a config, example by example."""

import itertools

from gan_jax import config as config_lib
from gan_jax.data import check
from gan_jax.experiment import experiment as experiment_lib
from gan_jax.experiment import own_parts
from gan_jax.runner import console


def check_data(
  config: config_lib.Config,
  parts: own_parts.OwnParts = own_parts.OwnParts(),  # noqa: B008  (a tuple)
) -> int:
  """Reads all examples of a config's data and prints what is wrong.

  Args:
    config: resolved config.
    parts: data in place of the config's.

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

    if parts.train is None:
      spec = experiment_lib.data_spec(config)
      found = check.find_problems(spec, announce)
    else:
      sources = {'train': parts.train, 'test': parts.test}
      found = itertools.chain.from_iterable(
        check.check_source(source, name, announce)
        for name, source in sources.items()
        if source is not None
      )
    for problem in found:
      problems += 1
      reporter.problem(problem)
  reporter.checked(config.data.name, total, problems)
  return problems
