"""Reductions over devices, against NumPy over the whole array."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import collectives

AXIS = 'batch'
DEVICES = 4
X = np.random.default_rng(0).normal(size=(DEVICES, 3, 2)).astype(np.float32)
TREE = {'w': X, 'nested': {'b': X[..., 0]}}


def on_devices(function, *arguments, out_axes=None):
  """What every device returns; None refuses to differ between devices."""
  return jax.vmap(
    lambda *parts: function(*parts, AXIS), axis_name=AXIS, out_axes=out_axes
  )(*arguments)


def each_device(function, *arguments):
  return on_devices(function, *arguments, out_axes=0)


FUNCTIONS = {
  'pmean': (collectives.pmean, lambda x: x.mean(axis=0)),
  'psum': (collectives.psum, lambda x: x.sum(axis=0)),
  'pmean_floats': (collectives.pmean_floats, lambda x: x.mean(axis=0)),
  'all_gather': (
    collectives.all_gather,
    lambda x: x.reshape(-1, *x.shape[2:]),
  ),
  'global_mean': (collectives.global_mean, lambda x: x.mean()),
}
OF_TREES = ('pmean', 'psum', 'pmean_floats')


@pytest.mark.parametrize('name', FUNCTIONS)
def test_is_that_of_the_whole_and_the_same_on_all_devices(name):
  function, expected = FUNCTIONS[name]
  found = on_devices(function, X)
  np.testing.assert_allclose(found, expected(X), rtol=1e-5, atol=1e-6)
  assert found.dtype == X.dtype
  every = each_device(function, X)
  np.testing.assert_array_equal(every, np.broadcast_to(found, every.shape))


@pytest.mark.parametrize('name', OF_TREES)
def test_every_leaf_of_a_tree_is_reduced(name):
  function, expected = FUNCTIONS[name]
  found = on_devices(function, TREE)
  jax.tree.map(
    lambda leaf, x: np.testing.assert_allclose(
      leaf, expected(x), rtol=1e-5, atol=1e-6
    ),
    found,
    TREE,
  )


@pytest.mark.parametrize('name', FUNCTIONS)
def test_without_an_axis_is_of_the_input_alone(name):
  function, _ = FUNCTIONS[name]
  x = jnp.asarray(X[0])
  if name == 'global_mean':
    np.testing.assert_allclose(function(x, None), X[0].mean(), rtol=1e-6)
  else:
    assert function(x, None) is x
  if name in OF_TREES:
    tree = {'w': x, 'n': jnp.int32(3)}
    assert function(tree, None) is tree


@pytest.mark.parametrize('name', FUNCTIONS)
def test_one_device_is_as_none(name):
  function, _ = FUNCTIONS[name]
  np.testing.assert_array_equal(
    each_device(function, X[:1])[0], function(jnp.asarray(X[0]), None)
  )


def test_integers_are_not_averaged():
  tree = {'w': X, 'count': np.arange(DEVICES), 'seen': np.ones(DEVICES, bool)}
  found = each_device(collectives.pmean_floats, tree)
  np.testing.assert_array_equal(found['count'], tree['count'])
  np.testing.assert_array_equal(found['seen'], tree['seen'])
  assert found['count'].dtype.kind == 'i' and found['seen'].dtype == bool
  expected = np.broadcast_to(X.mean(axis=0), X.shape)
  np.testing.assert_allclose(found['w'], expected, rtol=1e-5, atol=1e-6)


def test_pmean_floats_of_nothing_that_floats():
  tree = {'n': np.arange(DEVICES)}
  found = each_device(collectives.pmean_floats, tree)
  np.testing.assert_array_equal(found['n'], tree['n'])


def test_gathered_parts_are_in_the_order_of_devices():
  x = np.arange(DEVICES * 2).reshape(DEVICES, 2)
  found = on_devices(collectives.all_gather, x)
  np.testing.assert_array_equal(found, np.arange(DEVICES * 2))


def test_gradients_run_through():
  """The mean of the parts' losses has the gradient of the whole loss."""
  gradient = jax.grad(
    lambda x: on_devices(collectives.global_mean, jnp.square(x))
  )(jnp.asarray(X))
  np.testing.assert_allclose(gradient, 2 * X / X.size, rtol=1e-5)
  gathered = jax.grad(
    lambda x: jnp.square(on_devices(collectives.all_gather, x)).sum()
  )(jnp.asarray(X))
  np.testing.assert_allclose(gathered, 2 * X, rtol=1e-5)


def test_the_mean_of_nothing_is_refused():
  for axis_name, shape in ((None, (0, 3)), (AXIS, (DEVICES, 0))):
    call = lambda x, axis: collectives.global_mean(x, axis)
    x = jnp.zeros(shape)
    with pytest.raises(ValueError, match=r'shape \(0,'):
      call(x, None) if axis_name is None else on_devices(call, x)


def test_indices_are_of_the_whole_batch():
  index = lambda x, axis: collectives.axis_index(axis) + 0 * x
  np.testing.assert_array_equal(
    each_device(index, np.zeros(DEVICES, np.int32)), np.arange(DEVICES)
  )
  of_examples = lambda x, axis: collectives.global_example_indices(len(x), axis)
  found = each_device(of_examples, X)
  np.testing.assert_array_equal(found, np.arange(12).reshape(DEVICES, 3))
  assert found.dtype == np.int32
  np.testing.assert_array_equal(
    collectives.global_example_indices(5), np.arange(5)
  )


def test_the_index_of_a_single_device_is_a_constant():
  assert collectives.axis_index() == 0
  assert isinstance(collectives.axis_index(), int)
  seen = []
  one = lambda x, axis: seen.append(collectives.axis_index(axis)) or x
  each_device(one, X[:1])
  assert seen == [0] and isinstance(seen[0], int)


@pytest.mark.parametrize('name', FUNCTIONS)
def test_real_devices_agree_with_emulated_ones(name):
  function, _ = FUNCTIONS[name]
  devices = jax.local_devices()[:DEVICES]
  if len(devices) < DEVICES:
    pytest.skip(f'needs {DEVICES} devices')
  mesh = jax.sharding.Mesh(np.asarray(devices), (AXIS,))
  spec = jax.sharding.PartitionSpec
  run = jax.shard_map(
    lambda x: function(x[0], AXIS),
    mesh=mesh,
    in_specs=spec(AXIS),
    out_specs=spec(),
    check_vma=False,
  )
  np.testing.assert_allclose(
    jax.jit(run)(X), on_devices(function, X), rtol=1e-5, atol=1e-6
  )
