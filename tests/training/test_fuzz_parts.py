"""Orders, averages and schedules of anything: a result or a clear refusal."""

import functools

import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given

from gan_jax import diagnostics, shuffle, training
from tests.helpers.fuzzing import FLOATS, fuzz, outcome

pytestmark = pytest.mark.slow


@functools.cache
def jitted(size, batch):
  return jax.jit(lambda t: shuffle.batch_indices(7, t, size, batch, jnp))


@fuzz(15)
@given(
  st.integers(0, 2**32 - 1),
  st.integers(0, 2**40),
  st.integers(1, 300),
  st.integers(1, 300),
)
def test_order_of_anything(seed, epoch, size, batch):
  if batch > size:
    assert outcome(shuffle.batch_indices, seed, epoch, size, batch) is None
    return
  per_epoch = size // batch
  steps = [epoch * per_epoch + i for i in range(per_epoch)]
  taken = [shuffle.batch_indices(seed, step, size, batch) for step in steps]
  taken = np.concatenate(taken)
  assert len(set(taken.tolist())) == per_epoch * batch
  assert taken.min() >= 0 and taken.max() < size


@fuzz(10)
@given(
  st.integers(0, 2**31 - 1), st.sampled_from([(10, 3), (64, 64), (1000, 7)])
)
def test_order_on_the_device_is_that_of_the_host(step, sizes):
  host = shuffle.batch_indices(7, step, *sizes)
  np.testing.assert_array_equal(jitted(*sizes)(step), host)


def test_order_of_a_late_step_without_jit():
  late = 0, 10**12, 10, 3
  host = shuffle.batch_indices(*late)
  np.testing.assert_array_equal(shuffle.batch_indices(*late, jnp), host)


trees = st.sampled_from([0.0, 1e-40, 1e-30, 1.0, 1e30, 3.4e38])


@fuzz(6)
@given(
  trees, trees, st.sampled_from([1, 0, 100_000]), st.sampled_from(FLOATS[:3])
)
@example(3.4e38, 3.4e38, 1, np.float32)
@example(1.0, 1.0, 100_000, np.float16)
@example(1.0, 1.0, 0, np.float32)
def test_cosine_of_anything(first, second, count, dtype):
  most = float(jnp.finfo(dtype).max)
  tree = lambda size: {'a': jnp.full(count, min(size, most), dtype)}
  found = diagnostics.cosine_similarity(tree(first), tree(second))
  kept = [np.asarray(tree(x)['a'], np.float32) for x in (first, second)]
  tiny = np.finfo(np.float32).tiny  # smaller ones are 0 to XLA
  alike = count and all(np.abs(x).max() > tiny for x in kept)
  np.testing.assert_allclose(found, 1.0 if alike else 0.0, atol=1e-3)


@fuzz(20)
@given(
  st.sampled_from([0, 0.5, 1, -0.1, 1.1, np.nan, np.inf]),
  st.sampled_from([(3,), (3, 1), (2,), (), (0,)]),
  st.sampled_from([(3,), (3, 1), (2,), (), (0,)]),
)
def test_averages_of_anything(decay, first, second):
  found = outcome(
    training.ema_update, jnp.ones(first), jnp.zeros(second), decay
  )
  assert (found is not None) == (first == second and 0 <= decay <= 1)
  if found is not None:
    np.testing.assert_allclose(found, np.full(first, decay))
