"""Two-sample tests: can one tell which of two sets an example is from?"""

import chex
import jax
import jax.numpy as jnp

Array = jax.Array
_ROWS = 256


def nearest_neighbour_accuracy(first: Array, second: Array) -> Array:
  """Leave-one-out accuracy of a 1-nearest-neighbour classifier.

  Each example of the union is given the set of its nearest other example, in
  Euclidean distance. 1/2 where the sets are of one distribution, 1 where they
  never mix, below 1/2 where one repeats the other.

  Args:
    first: `[n, ...]`, float.
    second: `[n, ...]`, of the same shape (equal sizes: chance is 1/2).

  Returns:
    Scalar in [0, 1].

  Raises:
    AssertionError: for different shapes.

  References:
    Lopez-Paz and Oquab, Revisiting Classifier Two-Sample Tests,
    https://arxiv.org/abs/1610.06545, 2016, section 3.
    Xu et al., An empirical study on evaluation metrics of generative
    adversarial networks, https://arxiv.org/abs/1806.07755, 2018.
  """
  chex.assert_equal_shape([first, second])
  n = len(first)
  union = jnp.concatenate([first, second]).reshape(2 * n, -1)
  squares = jnp.square(union).sum(axis=1)

  def from_first(index):
    distances = squares - 2 * union @ union[index]
    return distances.at[index].set(jnp.inf).argmin() < n

  indices = jnp.arange(2 * n)
  found = jax.lax.map(from_first, indices, batch_size=_ROWS)
  return (found == (indices < n)).mean()
