"""Convolutions that own their gradients, against XLA's."""

from unittest import mock

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.layers import convolution, linear, resample

# kernel, stride, padding, height, width
GEOMETRIES = [
  (4, 2, 1, 8, 9),
  (3, 1, 1, 7, 8),
  (4, 1, 0, 4, 5),
  (5, 2, 2, 10, 11),
  (1, 1, 0, 7, 8),  # a matrix product
  (1, 2, 0, 8, 9),
  (3, 2, 0, 8, 9),  # the last row of the image is never seen
]
NARROW, WIDE = (5, 6), (65, 72)  # channels in and out
FUNCTIONS = [convolution.convolve, convolution.convolve_transpose]
CASES = [(*g, NARROW) for g in GEOMETRIES] + [
  (4, 2, 1, 8, 12, WIDE),
  (4, 2, 1, 14, 6, WIDE),  # tiles that reach beyond the image
  (4, 2, 1, 2, 4, WIDE),
  (4, 2, 1, 9, 8, WIDE),
  (4, 2, 0, 8, 10, WIDE),
]


def operands(function, kernel, image, width=None, channels=NARROW):
  into, out = channels
  shape = (3, image, width or image + 1, into)
  x = jax.random.normal(jax.random.key(0), shape)
  transposed = function is convolution.convolve_transpose
  last = (out, into) if transposed else (into, out)
  return x, jax.random.normal(jax.random.key(1), (kernel, kernel, *last))


@pytest.mark.parametrize('function', FUNCTIONS)
@pytest.mark.parametrize('case', CASES)
def test_value_and_gradients_of_both_orders(function, case):
  size, stride, padding, *shape = case
  x, kernel = operands(function, size, *shape)
  kernel /= x.shape[-1] ** 0.5  # so that tanh is not flat

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
  tolerance = 1e-5 if shape[-1] is WIDE else 3e-6
  for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(xla)):
    chex.assert_equal_shape([a, b])
    np.testing.assert_allclose(a, b, atol=tolerance * np.abs(b).max())


def derivatives(function, **options):
  """Returns the function of x and kernel: value, gradients, their gradients."""
  run = lambda x, k: jnp.tanh(function(x, k, **options)).sum()
  norm = lambda x, k: jnp.square(jax.grad(run)(x, k)).sum()
  return lambda x, k: (
    function(x, k, **options),
    jax.grad(run, (0, 1))(x, k),
    jax.grad(norm, (0, 1))(x, k),
  )


@pytest.mark.parametrize('function', FUNCTIONS)
@pytest.mark.parametrize('geometry', GEOMETRIES[::2])
def test_gradients_of_gpu(function, geometry):
  size, stride, padding, *shape = geometry
  x, kernel = operands(function, size, *shape)
  kernel /= x.shape[-1] ** 0.5
  options = dict(stride=stride, padding=padding)
  with mock.patch.object(jax, 'default_backend', lambda: 'gpu'):
    found = jax.jit(derivatives(function, **options))(x, kernel)
  xla = derivatives(function, own_gradients=False, **options)
  for a, b in zip(*map(jax.tree.leaves, (found, jax.jit(xla)(x, kernel)))):
    np.testing.assert_allclose(a, b, atol=3e-6 * np.abs(b).max())


@pytest.mark.parametrize('function', FUNCTIONS)
def test_gpu_slides_more_pixels_than_the_kernel_for_weight_gradients(function):
  def padded(image):
    x, kernel = operands(function, 4, image, image)
    run = lambda k: function(x, k, stride=2, padding=1).sum()
    with mock.patch.object(jax, 'default_backend', lambda: 'gpu'):
      jaxpr = str(jax.make_jaxpr(jax.grad(run))(kernel))
    return {side for side in (6, 10) if f'f32[3,{side},{side},' in jaxpr}

  transposed = function is convolution.convolve_transpose
  assert padded(4 if transposed else 8) == {6}
  assert padded(8 if transposed else 16) == set()


def products(function, x, kernel, **options):
  """Which of XLA's operations a convolution and its gradients are made of."""
  run = lambda x, k: function(x, k, stride=2, padding=1, **options).sum()
  jaxpr = str(jax.make_jaxpr(jax.grad(run, (0, 1)))(x, kernel))
  return {n for n in ('dot_general', 'conv_general_dilated') if n in jaxpr}


@pytest.mark.parametrize('function', FUNCTIONS)
def test_wide_ones_are_matrix_products_in_32_bits_on_cpu(function):
  narrow, wide = (operands(function, 4, 8, 8, c) for c in (NARROW, WIDE))
  half = [a.astype(jnp.bfloat16) for a in wide]
  given = dict(own_gradients=True)
  assert products(function, *wide, **given) == {'dot_general'}
  for case in (narrow, half):
    assert products(function, *case, **given) == {'conv_general_dilated'}
  given = dict(own_gradients=False)
  assert products(function, *wide, **given) == {'conv_general_dilated'}


@pytest.mark.parametrize('channels', [NARROW, WIDE])
def test_third_order(channels):
  x, kernel = operands(convolution.convolve, 4, 8, 8, channels)
  kernel /= x.shape[-1] ** 0.5

  def third(own):
    f = lambda k: jnp.sin(
      convolution.convolve(x, k, stride=2, padding=1, own_gradients=own)
    ).sum()
    g = lambda k: jnp.square(jax.grad(f)(k)).sum()
    return jax.grad(lambda k: jnp.square(jax.grad(g)(k)).sum())(kernel)

  ours, xla = (jax.jit(third, static_argnums=0)(own) for own in (True, False))
  np.testing.assert_allclose(ours, xla, atol=3e-5 * np.abs(xla).max())


@pytest.mark.parametrize('function', FUNCTIONS)
@pytest.mark.parametrize('channels', [NARROW, WIDE])
def test_in_scan_and_vmap_as_in_a_loop(function, channels):
  x, kernel = operands(function, 4, 8, 8, channels)
  kernel /= x.shape[-1] ** 0.5
  x, kernel = np.asarray(x), np.asarray(kernel)
  xs, kernels = np.stack([x, 2 * x]), np.stack([kernel, 1.5 * kernel])
  run = lambda x, k: jnp.tanh(function(x, k, stride=2, padding=1)).sum()
  grad = jax.jit(jax.grad(run, (0, 1)))
  loop = [grad(a, b) for a, b in zip(xs, kernels)]
  loop = jax.tree.map(lambda *parts: np.stack(parts), *loop)
  _, scanned = jax.lax.scan(lambda c, ab: (c, grad(*ab)), 0, (xs, kernels))
  mapped = jax.jit(jax.vmap(grad))(xs, kernels)
  chex.assert_trees_all_close(scanned, loop, rtol=1e-5, atol=1e-4)
  chex.assert_trees_all_close(mapped, loop, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize('channels', [NARROW, WIDE])
def test_transpose_is_the_adjoint(channels):
  # <conv(x), y> == <x, transpose(y)>
  x, kernel = operands(convolution.convolve, 4, 8, 8, channels)
  options = dict(stride=2, padding=1)

  @jax.jit
  def both(x, kernel):
    forward = convolution.convolve(x, kernel, **options)
    y = jax.random.normal(jax.random.key(2), forward.shape)
    back = convolution.convolve_transpose(y, kernel, **options)
    return (forward * y).sum(), (x * back).sum()

  np.testing.assert_allclose(*both(x, kernel), rtol=1e-4)


def test_refuses_channels_that_do_not_fit():
  with pytest.raises(ValueError, match='5 channels.* 4'):
    convolution.convolve(jnp.ones((1, 8, 8, 5)), jnp.ones((3, 3, 4, 6)))
  with pytest.raises(ValueError, match='5 channels.* 6'):
    convolution.convolve_transpose(
      jnp.ones((1, 8, 8, 5)), jnp.ones((3, 3, 4, 6))
    )


def test_refuses_an_image_smaller_than_the_kernel():
  with pytest.raises(ValueError, match='smaller than the kernel'):
    convolution.convolve(jnp.ones((1, 2, 2, 1)), jnp.ones((4, 4, 1, 1)))


def test_forward_mode_is_refused_as_documented():
  f = lambda x: convolution.convolve(
    x, jnp.ones((1, 1, 1, 1)), own_gradients=True
  )
  x = jnp.ones((1, 2, 2, 1))
  with pytest.raises(TypeError):
    jax.jvp(f, (x,), (x,))


@pytest.mark.parametrize('function', FUNCTIONS)
def test_each_axis_has_its_own_stride_and_padding(function):
  stride, padding = (1, 4), ((1, 0), (2, 3))
  x = jax.random.normal(jax.random.key(0), (2, 3, 16, 5))
  last = (5, 6) if function is convolution.convolve else (6, 5)
  kernel = jax.random.normal(jax.random.key(1), (2, 9, *last)) / 7

  @jax.jit
  def everything(x, kernel):
    found = []
    for own in (True, False):
      options = dict(stride=stride, padding=padding, own_gradients=own)
      run = lambda x, k, options=options: function(x, k, **options)
      loss = lambda x, k, run=run: jnp.tanh(run(x, k)).sum()
      norm = lambda x, k, f=loss: jnp.square(jax.grad(f)(x, k)).sum()
      found.append((run(x, kernel), jax.grad(norm, (0, 1))(x, kernel)))
    return found

  ours, xla = everything(x, kernel)
  for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(xla)):
    np.testing.assert_allclose(a, b, atol=3e-6 * np.abs(b).max())


def test_groups_are_convolutions_side_by_side():
  x = jax.random.normal(jax.random.key(0), (2, 5, 4, 6))
  kernel = jax.random.normal(jax.random.key(1), (3, 3, 2, 9)) / 4

  @jax.jit
  def everything(x, kernel):
    found = []
    for own in (True, False):
      options = dict(padding=1, groups=3, own_gradients=own)
      run = lambda x, k, o=options: convolution.convolve(x, k, **o)
      loss = lambda x, k, run=run: jnp.tanh(run(x, k)).sum()
      norm = lambda x, k, f=loss: jnp.square(jax.grad(f)(x, k)).sum()
      found.append((run(x, kernel), jax.grad(norm, (0, 1))(x, kernel)))
    one = convolution.convolve(x[..., 2:4], kernel[..., 3:6], padding=1)
    return *found, one

  ours, xla, one = everything(x, kernel)
  np.testing.assert_allclose(ours[0][..., 3:6], one, atol=1e-5)
  for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(xla)):
    np.testing.assert_allclose(a, b, atol=3e-6 * np.abs(b).max())


@pytest.mark.parametrize(
  'groups, shape, wanted',
  [
    (4, (3, 3, 2, 8), 'groups=4: must be at least 1 and divide the 6'),
    (3, (3, 3, 2, 8), 'the 8 of the output'),
    (0, (3, 3, 2, 8), 'groups=0'),
    (3, (3, 3, 6, 9), r'6 channels in 3 groups but the kernel .* takes 6'),
  ],
)
def test_groups_that_do_not_fit(groups, shape, wanted):
  with pytest.raises(ValueError, match=wanted):
    convolution.convolve(
      jnp.zeros((1, 5, 5, 6)), jnp.zeros(shape), groups=groups
    )


def test_plain_convolutions_of_any_batch_size_in_a_context():
  kernel = operands(convolution.convolve, 4, 8, channels=WIDE)[1]
  dense = linear.Dense(3)
  weights = dense.init(jax.random.key(2), jnp.zeros((1, 8)))

  @jax.jit
  def function(x):
    y = convolution.convolve(x, kernel, stride=2, padding=1)
    y = resample.filter_upsample(y)
    return dense.apply(weights, y[:, 0, :8, 0])

  x = jax.random.normal(jax.random.key(0), (3, 8, 16, WIDE[0]))
  own = function(x)
  assert 'custom_vjp' in str(jax.make_jaxpr(function)(x))
  with convolution.plain_convolutions():
    assert convolution.is_plain()
    # Traced again, although the function has been compiled.
    plain = function(x)
    jaxpr = str(jax.make_jaxpr(function)(x))
    assert 'custom_v' not in jaxpr and 'concatenate' not in jaxpr
    slope = jax.jvp(function, (x,), (x,))[1]  # not possible outside, on CPU
    (batch,) = jax.export.symbolic_shape('b')
    spec = jax.ShapeDtypeStruct((batch, *x.shape[1:]), x.dtype)
    assert jax.eval_shape(function, spec).shape == (batch, 3)
  assert not convolution.is_plain()
  np.testing.assert_allclose(plain, own, rtol=1e-4, atol=1e-4)
  # The function is linear, since the bias is 0.
  np.testing.assert_allclose(slope, plain, rtol=1e-4, atol=1e-4)
  assert 'custom_vjp' in str(jax.make_jaxpr(function)(x))
