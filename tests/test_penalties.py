import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl.testing import parameterized

from gan_jax import penalties


class R1Test(chex.TestCase):
  @chex.all_variants()
  @parameterized.parameters((2,), (5,))
  def test_linear_discriminator(self, dim):
    weights = jnp.arange(1.0, dim + 1)
    r1 = self.variant(lambda x: penalties.r1(lambda x: x @ weights, x))
    expected = (weights**2).sum() / 2
    np.testing.assert_allclose(
      r1(jnp.ones((3, dim))), np.full(3, expected), rtol=1e-6
    )


def test_quadratic_discriminator():
  # D(x) = |x|^2 / 2 has gradient x.
  x = jnp.array([[1.0, 2.0], [0.0, 3.0]])
  values = penalties.r1(lambda x: jnp.square(x).sum(axis=1) / 2, x)
  np.testing.assert_allclose(values, [2.5, 4.5], rtol=1e-6)


def test_each_example_by_itself():
  d = lambda x: jnp.sin(x).sum(axis=1)
  x = jax.random.normal(jax.random.key(0), (4, 3))
  one_by_one = [penalties.r1(d, x[i : i + 1])[0] for i in range(4)]
  np.testing.assert_allclose(penalties.r1(d, x), one_by_one, rtol=1e-6)


def test_patches_are_summed():
  x = jnp.ones((2, 4, 4, 1))
  values = penalties.r1(lambda x: 3 * x[..., 0], x)
  np.testing.assert_allclose(values, [9 * 16 / 2] * 2)


def test_gradient_reaches_the_parameters():
  penalty = lambda w: penalties.r1(lambda x: x @ w, jnp.ones((1, 2))).sum()
  w = jnp.array([1.0, -2.0])
  np.testing.assert_allclose(jax.grad(penalty)(w), w)


@pytest.mark.parametrize(
  'logits_fn', [lambda x: x, lambda x: x.sum(), lambda x: x[:1, 0]]
)
def test_refuses_other_than_one_logit_per_example(logits_fn):
  with pytest.raises(AssertionError):
    penalties.r1(logits_fn, jnp.ones((3, 2)))


def test_refuses_integers():
  with pytest.raises(AssertionError):
    penalties.r1(lambda x: x.sum(axis=1), jnp.ones((3, 2), int))
