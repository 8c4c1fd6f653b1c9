"""Convolutions that own their gradients, against XLA's."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.models import conv

# kernel, stride, padding, image
GEOMETRIES = [
  (4, 2, 1, 8),
  (3, 1, 1, 7),
  (4, 1, 0, 4),
  (5, 2, 2, 10),
  (3, 2, 0, 8),  # the last row and column of the image are never seen
]
FUNCTIONS = [conv.convolve, conv.convolve_transpose]


def operands(function, kernel, image):
  x = jax.random.normal(jax.random.key(0), (3, image, image + 1, 5))
  transposed = function is conv.convolve_transpose
  shape = (kernel, kernel, 6, 5) if transposed else (kernel, kernel, 5, 6)
  return x, jax.random.normal(jax.random.key(1), shape)


@pytest.mark.parametrize('function', FUNCTIONS)
@pytest.mark.parametrize('geometry', GEOMETRIES)
def test_value_and_gradients_of_both_orders(function, geometry):
  size, stride, padding, image = geometry
  x, kernel = operands(function, size, image)

  def everything(own, x, kernel):
    options = dict(stride=stride, padding=padding, own_gradients=own)
    run = lambda x, k: jnp.tanh(function(x, k, **options)).sum()
    norm = lambda x, k: jnp.square(jax.grad(run)(x, k)).sum()
    return (
      function(x, kernel, **options),
      jax.grad(run, (0, 1))(x, kernel),
      jax.grad(norm, (0, 1))(x, kernel),
    )

  ours, xla = (
    jax.jit(everything, static_argnums=0)(own, x, kernel)
    for own in (True, False)
  )
  for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(xla)):
    chex.assert_equal_shape([a, b])
    np.testing.assert_allclose(a, b, atol=3e-6 * float(jnp.abs(b).max()))


def test_third_order():
  x, kernel = operands(conv.convolve, 4, 8)

  def third(own):
    f = lambda k: jnp.sin(
      conv.convolve(x, k, stride=2, padding=1, own_gradients=own)
    ).sum()
    g = lambda k: jnp.square(jax.grad(f)(k)).sum()
    return jax.grad(lambda k: jnp.square(jax.grad(g)(k)).sum())(kernel)

  ours, xla = third(True), third(False)
  np.testing.assert_allclose(ours, xla, atol=1e-5 * float(jnp.abs(xla).max()))


@pytest.mark.parametrize('function', FUNCTIONS)
def test_in_scan_and_vmap_as_in_a_loop(function):
  x, kernel = operands(function, 4, 8)
  xs, kernels = jnp.stack([x, 2 * x]), jnp.stack([kernel, kernel + 1])
  run = lambda x, k: jnp.tanh(function(x, k, stride=2, padding=1)).sum()
  grad = jax.grad(run, (0, 1))
  loop = [grad(a, b) for a, b in zip(xs, kernels)]
  loop = jax.tree.map(lambda *parts: jnp.stack(parts), *loop)
  _, scanned = jax.lax.scan(lambda c, ab: (c, grad(*ab)), 0, (xs, kernels))
  mapped = jax.vmap(grad)(xs, kernels)
  chex.assert_trees_all_close(scanned, loop, rtol=1e-5, atol=1e-4)
  chex.assert_trees_all_close(mapped, loop, rtol=1e-5, atol=1e-4)


def test_transpose_is_the_adjoint():
  # <conv(x), y> == <x, transpose(y)>
  x, kernel = operands(conv.convolve, 4, 8)
  x, options = x[:, :, :8], dict(stride=2, padding=1)
  forward = conv.convolve(x, kernel, **options)
  y = jax.random.normal(jax.random.key(2), forward.shape)
  back = conv.convolve_transpose(y, kernel, **options)
  np.testing.assert_allclose((forward * y).sum(), (x * back).sum(), rtol=1e-4)


def test_refuses_channels_that_do_not_fit():
  with pytest.raises(ValueError, match='5 channels .* takes 4'):
    conv.convolve(jnp.ones((1, 8, 8, 5)), jnp.ones((3, 3, 4, 6)))
  with pytest.raises(ValueError, match='5 channels .* takes 6'):
    conv.convolve_transpose(jnp.ones((1, 8, 8, 5)), jnp.ones((3, 3, 4, 6)))


def test_refuses_an_image_smaller_than_the_kernel():
  with pytest.raises(ValueError, match='smaller than the kernel'):
    conv.convolve(jnp.ones((1, 2, 2, 1)), jnp.ones((4, 4, 1, 1)))


def test_forward_mode_is_refused_as_documented():
  f = lambda x: conv.convolve(x, jnp.ones((1, 1, 1, 1)), own_gradients=True)
  x = jnp.ones((1, 2, 2, 1))
  with pytest.raises(TypeError):
    jax.jvp(f, (x,), (x,))
