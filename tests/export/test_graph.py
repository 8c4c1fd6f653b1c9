"""Graphs: what is folded, what is kept, what is refused, and their replay."""

import json
import shutil
import subprocess

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export as jax_export

from gan_jax import export
from gan_jax.export import directions, page
from tests.export.test_agreement import ASSETS, NODE

B = jax_export.symbolic_shape('b')[0]
TABLE = np.asarray(jax.random.normal(jax.random.key(0), (10, 8)))
KERNEL = np.asarray(jax.random.normal(jax.random.key(1), (3, 3, 4, 6)))


def images(z):
  return z.reshape(-1, 2, 2, 4)


def attention(w, z):
  logits = jnp.einsum('bhwc,bijc->bhwij', images(z), images(z))
  weights = jax.nn.softmax(logits.reshape(-1, 4, 4))
  return weights @ images(z).reshape(-1, 4, 4)


def layouts(w, z):
  x = jnp.pad(images(z), ((0, 0), (1, 2), (1, 0), (0, 0)), constant_values=2)
  left, right = jnp.split(jnp.flip(x, 1), 2, axis=3)
  x = jnp.stack([left, right[:, ::-1]], axis=2)[:, 1::2, :, :2]
  x = jnp.concatenate([x, x.max(axis=4, keepdims=True)], axis=-1)
  return x.transpose(0, 4, 1, 3, 2)


def resized(w, z):
  x = jax.image.resize(images(z), (z.shape[0], 4, 6, 4), 'bilinear')
  return jnp.repeat(x, 2, axis=1)


def convolutions(w, z):
  x = jnp.moveaxis(images(z), 3, 1)  # channels first
  kernel = w.transpose(3, 2, 0, 1)
  y = jax.lax.conv_general_dilated(
    x,
    kernel,
    (1, 1),
    ((1, 1), (2, 2)),
    lhs_dilation=(2, 1),
    rhs_dilation=(1, 2),
  )
  sound = y.reshape(y.shape[0], 6, -1).transpose(0, 2, 1)
  return jax.lax.conv_general_dilated(
    sound,
    w[0, :, :3, :2],
    (2,),
    ((2, 1),),
    dimension_numbers=('NHC', 'HIO', 'NHC'),
    feature_group_count=2,
  )


def functions(w, z):
  parts = [jnp.clip(z, -1, 0.5), jax.nn.gelu(z, approximate=False)]
  parts += [jax.nn.softplus(z), jax.nn.sigmoid(z), z**3, jnp.sign(z) * 2]
  parts += [jnp.where(z > 0, z, jnp.expm1(z)), jnp.round(3 * z), -jnp.cos(z)]
  parts += [jnp.minimum(z, 0.1) / (1 + jnp.abs(z)), jnp.log1p(z * z)]
  return jnp.stack(parts, axis=1)


def chosen(w, z):
  label = jnp.clip(jnp.floor(z[:, 0] * 5), -1, 9).astype(jnp.int32)
  rows = jnp.asarray(TABLE).at[label].get(mode='fill', fill_value=0)
  onehot = label[:, None] == jnp.arange(10)[None]
  return jnp.where(onehot.any(1, keepdims=True), rows, onehot[:, :8] + 1.0)


CASES = [attention, layouts, resized, convolutions, functions, chosen]


def trace(function, batch=B, width=16):
  inputs = {'z': jax.ShapeDtypeStruct((batch, width), jnp.float32)}
  return export.trace_graph(function, KERNEL, inputs)


def latents(count=3):
  return np.random.default_rng(0).normal(size=(count, 16)).astype(np.float32)


@pytest.mark.parametrize('function', CASES, ids=lambda f: f.__name__)
def test_replay_of_any_batch_size(function):
  graph = trace(function)
  run = jax.jit(lambda z: export.replay(graph._asdict(), graph.constants, (z,)))
  for count in (1, 3):
    expected = jax.jit(function)(KERNEL, latents(count))
    np.testing.assert_allclose(run(latents(count)), expected, atol=2e-6)


@pytest.mark.skipif(
  not shutil.which('node'), reason='no node: apt-get install nodejs'
)
def test_the_browsers_interpreter(tmp_path):
  content, expected = {}, {}
  z = latents()
  for function in CASES:
    name = function.__name__
    as_json = page.graph_to_json(trace(function, 1))
    rows = [{'z': row.tolist()} for row in z]
    content[name] = {'graph': as_json, 'rows': rows}
    expected[name] = np.asarray(jax.jit(function)(KERNEL, z))
  (tmp_path / 'cases.json').write_text(json.dumps(content))
  script = [str(ASSETS / 'interpreter.js'), str(tmp_path / 'cases.json')]
  done = subprocess.run(
    ['node', '-e', NODE, *script], check=True, capture_output=True, text=True
  )
  for name, found in json.loads(done.stdout).items():
    found = np.reshape(found, expected[name].shape)
    np.testing.assert_allclose(found, expected[name], atol=3e-6, err_msg=name)


def test_what_does_not_depend_on_inputs_is_a_constant():
  def function(w, z):
    matrix = jnp.flip(
      w.reshape(-1)[:192].reshape(12, 16).T * jnp.exp(w.sum()), 1
    )
    return jnp.tanh(z @ matrix)

  graph = trace(function)
  assert [op.name for op in graph.operations] == ['dot_general', 'tanh']
  assert graph.inputs == (('z', ({'b': 1}, 16), 'float32'),)
  (constant,) = graph.constants
  flat = KERNEL.reshape(-1)[:192].reshape(12, 16).T
  np.testing.assert_allclose(
    constant, flat[:, ::-1] * np.exp(KERNEL.sum()), rtol=1e-4
  )
  count = constant.shape[1]
  assert graph.operations[-1].shape == ({'b': 1}, count)
  assert export.count_flops(graph) == 2 * 16 * count


def test_flops_of_a_transposed_convolution():
  def function(w, z):
    return jax.lax.conv_general_dilated(
      images(z),
      w,
      (1, 1),
      ((2, 2), (2, 2)),
      lhs_dilation=(2, 2),
      dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
    )

  graph = trace(function)
  outputs = 5 * 5 * 6
  assert graph.operations[-1].shape == ({'b': 1}, 5, 5, 6)
  assert export.count_flops(graph) == 2 * outputs * 9 * 4 / 4


@pytest.mark.parametrize(
  ('function', 'name'),
  [
    (lambda w, z: jnp.cumsum(z, axis=1), 'cumsum'),
    (lambda w, z: jnp.sort(z, axis=1), 'sort'),
    (
      lambda w, z: jax.lax.scan(lambda c, x: (c + x, None), z[0], z)[0],
      'scan',
    ),
  ],
)
def test_an_unknown_primitive_is_refused_by_name(function, name):
  with pytest.raises(export.UnsupportedOperationError, match=f"'{name}'"):
    trace(function, 2)


def test_sizes_that_are_no_multiple_of_the_batch_are_refused():
  with pytest.raises(export.UnsupportedOperationError, match='b . 1.*multiple'):
    trace(lambda w, z: jnp.concatenate([z, z[:1]]))


def test_directions_are_those_of_the_first_map():
  first = np.diag([1.0, 5.0, 3.0, 0.0]) @ np.eye(4)[:, [2, 0, 3, 1]]
  first = first.astype(np.float32)

  def function(w, z):
    x = jnp.concatenate([z * 2, jnp.ones((z.shape[0], 1))], axis=1)
    both = jnp.concatenate([jnp.asarray(first), jnp.ones((1, 4))])
    return jnp.tanh(x @ both) @ w[0, 0]

  graph = trace(function, 1, width=4)
  maps = directions.first_affine_maps(graph, 'z')
  np.testing.assert_allclose(maps, 2 * first, atol=1e-5)
