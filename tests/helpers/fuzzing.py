"""One profile of Hypothesis for every test that tries random cases.

In the suite the cases are few and always the same ones. For a long search,

  GAN_JAX_FUZZ=5000 python -m pytest -n 0 tests/losses/test_fuzz_losses.py

tries that many of each property, other ones each time.
"""

import os
import pathlib
import traceback
from typing import Any, Callable

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np

_LONG = int(os.environ.get('GAN_JAX_FUZZ') or 0)
FLOATS = (np.float16, jnp.bfloat16, np.float32, np.float64)
OTHERS = (np.int32, np.uint8, np.bool_, np.complex64)
_PACKAGE = str(pathlib.Path(__file__).parents[2] / 'gan_jax')


def fuzz(examples: int) -> hypothesis.settings:
  """Settings of a property, which decorate its test.

  Args:
    examples: cases in the suite; GAN_JAX_FUZZ=n makes them n.

  Returns:
    The settings: no deadline and no database, the cases drawn from a fixed
    seed but for GAN_JAX_FUZZ.
  """
  return hypothesis.settings(
    max_examples=_LONG or examples,
    deadline=None,
    database=None,
    derandomize=not _LONG,
    print_blob=True,
    # The first case compiles, and is slow.
    suppress_health_check=list(hypothesis.HealthCheck),
  )


def is_clear(error: BaseException) -> bool:
  """Whether an error was raised on purpose, by us or by chex, with words."""
  last = traceback.extract_tb(error.__traceback__)[-1]
  ours = last.filename.startswith(_PACKAGE) or 'chex' in last.filename
  meant = (last.line or '').startswith('raise')
  kinds = (AssertionError, ValueError, TypeError)
  return isinstance(error, kinds) and ours and meant and len(str(error)) > 10


def outcome(function: Callable[..., Any], *arguments: Any, **options: Any):
  """What a function returns, or None where it refuses clearly.

  Broadcasting is allowed, as it is for those who use the library.

  Raises:
    BaseException: what it raised otherwise.
  """
  # Its own frames tell an error of ours from one of JAX.
  before = jax.config.jax_traceback_filtering
  jax.config.update('jax_traceback_filtering', 'off')
  try:
    with jax.numpy_rank_promotion('allow'):
      return function(*arguments, **options)
  except Exception as error:
    if not is_clear(error):
      raise
    return None
  finally:
    jax.config.update('jax_traceback_filtering', before)
