import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import prng
from gan_jax.augment import (
  AUGMENTS,
  ada_controller,
  ada_pipe,
  diff_augment_pipe,
  instance_noise,
  transforms,
)

COUNT, SIDE = 512, 8
POLICIES = {
  'diff_augment': diff_augment_pipe.DIFF_AUGMENT_POLICY,
  'ada': ada_pipe.ADA_POLICY,
}
ENTRIES = [(name, entry) for name in POLICIES for entry in POLICIES[name]]
each_entry = pytest.mark.parametrize('name, entry', ENTRIES)
each_pipe = pytest.mark.parametrize('name', POLICIES)


def example_keys(count=COUNT, seed=0):
  return prng.per_example_keys(jax.random.key(seed), jnp.arange(count))


def images(shape=(COUNT, SIDE, SIDE, 3), seed=1):
  return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


@functools.cache
def compiled(name, *policy):
  augment = functools.partial(AUGMENTS[name], policy=policy)
  return jax.jit(lambda x, keys, p: augment(x, keys, strength=p))


@functools.cache
def compiled_with_gradient(name, entry):
  """x to the result and, by weights of its values, their sum's gradient."""

  def both(x, p, weights):
    augment = AUGMENTS[name]
    keys = example_keys()
    result, pull = jax.vjp(
      lambda x: augment(x, keys, strength=p, policy=(entry,)), x
    )
    return result, pull(weights)[0]

  return jax.jit(both)


def apply(name, entry, x, strength=1.0):
  result, _ = compiled_with_gradient(name, entry)(x, strength, x)
  return np.asarray(result)


def like_batch(image):
  return np.broadcast_to(image, (COUNT, SIDE, SIDE, 3)).astype(np.float32)


def assert_moments(values, mean, variance):
  """Within 3.5 standard errors, at most those of a normal distribution."""
  values = np.asarray(values, np.float64)
  n = len(values)
  assert abs(values.mean() - mean) < 3.5 * np.sqrt(variance / n)
  assert abs(values.var() - variance) < 3.5 * variance * np.sqrt(2 / n)


# ---------------------------------------------------------------- transforms

x8 = images((8, 8, 3), 2)
affine = jax.jit(transforms.affine)
INVERSES = {
  'flip': (lambda x: transforms.flip(x, True),) * 2,
  'rotate90': (
    lambda x: transforms.rotate90(x, 1),
    lambda x: transforms.rotate90(x, 3),
  ),
  'half_turn': (lambda x: transforms.rotate90(x, 2),) * 2,
  'brightness': (
    lambda x: transforms.brightness(x, 0.3),
    lambda x: transforms.brightness(x, -0.3),
  ),
  'contrast': (
    lambda x: transforms.contrast(x, 1.7),
    lambda x: transforms.contrast(x, 1 / 1.7),
  ),
  'luma_flip': (lambda x: transforms.luma_flip(x, True),) * 2,
  'saturation': (
    lambda x: transforms.saturation(x, 3.0),
    lambda x: transforms.saturation(x, 1 / 3.0),
  ),
  'hue': (
    lambda x: transforms.hue(x, 0.8),
    lambda x: transforms.hue(x, -0.8),
  ),
}


@pytest.mark.parametrize('name', INVERSES)
def test_inverses(name):
  there, back = INVERSES[name]
  assert np.abs(there(x8) - x8).max() > 0.1
  np.testing.assert_allclose(back(there(x8)), x8, atol=1e-6)


@pytest.mark.parametrize(
  'translate', [transforms.translate_zero, transforms.translate_reflect]
)
def test_translation_back_on_the_interior(translate):
  there = translate(x8, 2, -1)
  np.testing.assert_array_equal(there[2:, :-1], x8[:-2, 1:])
  back = translate(there, -2, 1)
  np.testing.assert_array_equal(back[:-2, 1:], x8[:-2, 1:])


def test_what_a_translation_brings_in():
  zero = transforms.translate_zero(x8, 2, -1)
  assert not zero[:2].any() and not zero[:, -1:].any()
  expected = np.pad(x8, ((2, 0), (0, 1), (0, 0)), mode='reflect')[:8, 1:]
  np.testing.assert_array_equal(
    transforms.translate_reflect(x8, 2, -1), expected
  )
  assert not transforms.translate_zero(x8, 8, 0).any()


@pytest.mark.parametrize('quarters', range(-1, 5))
def test_rotate90_is_that_of_numpy(quarters):
  expected = np.rot90(x8, quarters)
  turned = jax.jit(transforms.rotate90)(x8, quarters)
  np.testing.assert_array_equal(turned, expected)
  matrix = transforms.rotate90_matrix(quarters)
  np.testing.assert_array_equal(affine(x8, matrix), expected)
  matrix = transforms.rotate_matrix(quarters * np.pi / 2)
  np.testing.assert_allclose(affine(x8, matrix), expected, atol=1e-5)


def test_affine_without_rounding():
  for matrix in (jnp.eye(3), jnp.eye(2, 3), transforms.compose()):
    np.testing.assert_array_equal(affine(x8, matrix), x8)
  for on in (True, False):
    np.testing.assert_array_equal(
      affine(x8, transforms.flip_matrix(on)), transforms.flip(x8, on)
    )
  np.testing.assert_array_equal(
    affine(x8, transforms.translate_matrix(2, -3)),
    transforms.translate_reflect(x8, 2, -3),
  )


def test_affine_known_values():
  row = jnp.array([0.0, 1.0, 4.0]).reshape(1, 3, 1)
  moved = affine(row, transforms.translate_matrix(0.0, 0.25))
  # The place -0.25 reflects to 0.25.
  np.testing.assert_allclose(moved.reshape(-1), [0.25, 0.75, 3.25])
  twice = affine(row, transforms.scale_matrix(1.0, 2.0))
  np.testing.assert_allclose(twice.reshape(-1), [0.5, 1.0, 2.5])


def test_compose_applies_the_first_first():
  matrix = transforms.compose(
    transforms.rotate90_matrix(1),
    transforms.translate_matrix(2, 1),
    transforms.flip_matrix(True),
  )
  expected = transforms.translate_reflect(transforms.rotate90(x8, 1), 2, 1)
  np.testing.assert_array_equal(
    affine(x8, matrix), transforms.flip(expected, True)
  )


def test_composed_scales_and_turns_cancel():
  matrix = transforms.compose(
    transforms.scale_matrix(2.0, 0.5),
    transforms.rotate_matrix(0.3),
    transforms.rotate_matrix(-0.3),
    transforms.scale_matrix(0.5, 2.0),
  )
  np.testing.assert_allclose(matrix, np.eye(3), atol=1e-6)


def test_colours_known_values():
  red = jnp.array([1.0, 0.0, 0.0]).reshape(1, 1, 3)
  third = 2 * np.pi / 3
  for angle, expected in [(third, [0, 1, 0]), (2 * third, [0, 0, 1])]:
    turned = transforms.hue(red, angle).reshape(-1)
    np.testing.assert_allclose(turned, expected, atol=1e-6)
  gray = transforms.saturation(red, 0.0).reshape(-1)
  np.testing.assert_allclose(gray, [1 / 3] * 3)
  flipped = transforms.luma_flip(red, True).reshape(-1)
  np.testing.assert_allclose(flipped, [1 / 3, -2 / 3, -2 / 3], rtol=1e-6)
  centred = transforms.contrast(x8, 0.0, center=x8.mean())
  np.testing.assert_allclose(centred, np.full_like(x8, x8.mean()), atol=1e-6)


def test_cutout_is_a_rectangle():
  cut = transforms.cutout(jnp.ones((8, 6, 2)), 3, 0, height=4, width=2)
  expected = np.ones((8, 6, 2))
  expected[1:5, :1] = 0
  np.testing.assert_array_equal(cut, expected)


@pytest.mark.parametrize('channels', [1, 2, 3, 4, 5])
def test_which_channels_colours_touch(channels):
  x = images((4, 5, channels), 3)
  for change in (
    lambda x: transforms.saturation(x, 2.0),
    lambda x: transforms.hue(x, 1.0),
  ):
    touched = np.abs(change(x) - x).max(axis=(0, 1)) > 0
    expected = [channels in (3, 4) and c < 3 for c in range(channels)]
    assert touched.tolist() == expected
  for change in (
    lambda x: transforms.brightness(x, 0.1),
    lambda x: transforms.contrast(x, 0.5),
    lambda x: transforms.luma_flip(x, True),
  ):
    touched = np.abs(change(x) - x).max(axis=(0, 1)) > 0
    assert touched.tolist() == [channels != 4 or c < 3 for c in range(channels)]


def test_transforms_refuse_batches_and_integers():
  for x in (x8[None], np.ones((8, 8, 3), int)):
    with pytest.raises(AssertionError):
      transforms.brightness(x, 0.1)


# --------------------------------------------------------------------- pipes


@each_entry
def test_strength_0_is_the_identity_bit_for_bit(name, entry):
  x = images()
  x[:, 0] = -0.0
  result = apply(name, entry, x, 0.0)
  np.testing.assert_array_equal(result.view(np.int32), x.view(np.int32))


CHANGES = {  # Share of the images a transform is applied to that it changes.
  ('ada', 'flip'): 1 / 2,
  ('ada', 'rotate90'): 3 / 4,
  ('ada', 'integer_translation'): 3 / 4,  # 1 - (1/2)^2, 8 pixels wide
  ('ada', 'luma_flip'): 1 / 2,
  ('diff_augment', 'translation'): 8 / 9,
}


@each_entry
def test_share_of_images_changed(name, entry):
  x, strength = images(), 0.3
  changed = (apply(name, entry, x, strength) != x).any(axis=(1, 2, 3))
  share = strength * CHANGES.get((name, entry), 1.0)
  if entry == 'color':  # three transforms by themselves
    share = 1 - (1 - strength) ** 3
  assert_moments(changed, share, share * (1 - share))


@each_entry
def test_gradient_reaches_the_image(name, entry):
  # Every transform is affine in the image: differences of any size are exact.
  x, direction, weights = images(), images(seed=3), images(seed=4)
  _, gradient = compiled_with_gradient(name, entry)(x, 1.0, weights)
  assert (np.abs(gradient).max(axis=(1, 2, 3)) > 0).all()
  products = (gradient * direction).sum(axis=(1, 2, 3))
  difference = apply(name, entry, x + direction) - apply(name, entry, x)
  expected = (difference * weights).sum(axis=(1, 2, 3))
  np.testing.assert_allclose(products, expected, atol=2e-3, rtol=1e-3)


RED = np.array([1, 0, 0])
RAMPS = np.stack(np.mgrid[:SIDE, :SIDE, :1], -1)[:, :, 0] - (SIDE - 1) / 2


def slopes(entry):
  """What the inverse map adds to (y, x) per pixel down and right."""
  ramps = apply('ada', entry, like_batch(RAMPS))[..., :2]
  middle = ramps[:, 3:5, 3:5]
  down = (middle[:, 1] - middle[:, 0]).mean(axis=1)
  right = (middle[:, :, 1] - middle[:, :, 0]).mean(axis=1)
  return down, right, middle.mean(axis=(1, 2))


def test_brightness_and_contrast():
  shift = apply('ada', 'brightness', like_batch(0))[:, 0, 0, 0]
  assert_moments(shift, 0, 0.2**2)
  factor = apply('ada', 'contrast', like_batch(1))[:, 0, 0, 0]
  assert_moments(np.log2(factor), 0, 0.5**2)


def test_hue_and_saturation():
  red, green, blue = apply('ada', 'hue', like_batch(RED))[:, 0, 0].T
  angle = np.arctan2(np.sqrt(3) * (green - blue) / 2, 1.5 * red - 0.5)
  assert_moments(angle, 0, np.pi**2 / 3)
  red, green, _ = apply('ada', 'saturation', like_batch(RED))[:, 0, 0].T
  assert_moments(np.log2(red - green), 0, 1)


def test_noise():
  noise = apply('ada', 'noise', like_batch(0))
  sigma = np.sqrt(np.square(noise).mean(axis=(1, 2, 3)))
  folded = 1 - 2 / np.pi  # variance of |N(0, 1)|
  assert_moments(sigma, 0.1 * np.sqrt(2 / np.pi), 0.1**2 * folded)
  assert len(np.unique(noise)) > 0.99 * noise.size


def test_scales():
  down, right, _ = slopes('scale')
  np.testing.assert_allclose(down[:, 0], right[:, 1], rtol=1e-4)
  assert_moments(-np.log2(down[:, 0]), 0, 0.2**2)
  down, right, _ = slopes('anisotropic_scale')
  np.testing.assert_allclose(down[:, 0] * right[:, 1], 1, rtol=1e-4)
  assert_moments(-np.log2(right[:, 1]), 0, 0.2**2)


def test_rotation():
  down, right, middle = slopes('rotate')
  np.testing.assert_allclose(down[:, 0], right[:, 1], atol=1e-4)
  np.testing.assert_allclose(np.hypot(*down.T), 1, rtol=1e-4)
  np.testing.assert_allclose(middle, np.zeros_like(middle), atol=1e-4)
  assert_moments(np.arctan2(*down.T), 0, np.pi**2 / 3)


def test_ada_translations():
  _, _, middle = slopes('fractional_translation')
  for pixels in middle.T:
    # Beyond 3 standard deviations the border's reflection hides the shift.
    assert_moments(np.clip(pixels, -3, 3), 0, (SIDE / 8) ** 2)
  _, _, middle = slopes('integer_translation')
  assert set(np.unique(middle)) == {-1, 0, 1}
  for pixels in middle.T:
    assert_moments(pixels, 0, 1 / 2)


def test_quarters_and_flips_are_equally_likely():
  x = images()
  turned = apply('ada', 'rotate90', x)
  quarters = [
    (turned == np.rot90(x, k, (1, 2))).all(axis=(1, 2, 3)) for k in range(4)
  ]
  for is_it in quarters:
    assert_moments(is_it, 1 / 4, 3 / 16)
  np.testing.assert_array_equal(np.sum(quarters, axis=0), 1)
  flipped = apply('ada', 'flip', x)
  mirrored = (flipped == x[:, :, ::-1]).all(axis=(1, 2, 3))
  assert (mirrored | (flipped == x).all(axis=(1, 2, 3))).all()


def test_diff_augment_colours():
  # Lightness +-0.5 in the halves, the same colour on all: the three factors
  # can be told apart.
  half = np.where(np.arange(SIDE) < SIDE // 2, 0.5, -0.5)
  image = half.reshape(-1, 1, 1) + np.array([0.25, 0, -0.25])
  x = apply('diff_augment', 'color', like_batch(image))
  top, bottom = x[:, 0, 0], x[:, -1, 0]
  assert_moments(x.mean(axis=(1, 2, 3)), 0, 1 / 12)
  contrast = (top - bottom).mean(axis=1)
  assert_moments(contrast, 1, 1 / 12)
  saturation = (top[:, 0] - top[:, 2]) / contrast / 0.5
  assert_moments(saturation, 1, 1 / 3)


def test_diff_augment_translation():
  x = np.zeros((COUNT, 24, 16, 1), np.float32)
  x[:, 12, 8] = 1
  moved = compiled('diff_augment', 'translation')(x, example_keys(), 1.0)
  _, y, z, _ = np.nonzero(np.asarray(moved))
  for shift, most in ((y - 12, 3), (z - 8, 2)):
    assert set(shift) == set(range(-most, most + 1))
    assert_moments(shift, 0, most * (most + 1) / 3)


@pytest.mark.parametrize(
  'name, mean', [('diff_augment', 30 / 9), ('ada', 28 / 8)]
)
def test_cutout_area(name, mean):
  holes = apply(name, 'cutout', like_batch(1))[..., 0] == 0
  rows, columns = holes.any(axis=2).sum(axis=1), holes.any(axis=1).sum(axis=1)
  np.testing.assert_array_equal(holes.sum(axis=(1, 2)), rows * columns)
  for sizes in (rows, columns):
    assert sizes.max() == SIDE // 2 and sizes.min() == 2
    # Whole inside, or cut off by a border.
    assert abs(sizes.mean() - mean) < 3.5 * sizes.std() / np.sqrt(COUNT)


def test_other_entries_do_not_change_a_draw():
  # Geometry does nothing to a constant image.
  x = like_batch(0)
  geometry = ('scale', 'rotate', 'flip', 'brightness')
  np.testing.assert_array_equal(
    compiled('ada', *geometry)(x, example_keys(), 0.5),
    apply('ada', 'brightness', x, 0.5),
  )
  policy = ('cutout', 'color')  # in any order
  both = compiled('diff_augment', *policy)(x, example_keys(), 0.5)
  kept = np.asarray(both) != 0
  alone = apply('diff_augment', 'color', x, 0.5)
  np.testing.assert_array_equal(both, np.where(kept, alone, 0))


@each_pipe
def test_same_for_the_whole_batch_and_its_parts(name):
  x, keys = images((8, 8, 8, 3)), example_keys(8)
  augment = compiled(name, *POLICIES[name])
  whole = augment(x, keys, 0.8)
  each_part = jax.vmap(augment, in_axes=(0, 0, None))
  parts = each_part(x.reshape(4, 2, 8, 8, 3), keys.reshape(4, 2), 0.8)
  np.testing.assert_allclose(parts.reshape(x.shape), whole, atol=1e-5)
  # An example depends on no other.
  x[1:] = 0
  np.testing.assert_allclose(augment(x, keys, 0.8)[0], whole[0], atol=1e-5)
  # Each key draws for itself.
  same = augment(np.broadcast_to(x[:1], x.shape), keys, 1.0)
  assert len(np.unique(np.asarray(same).reshape(8, -1), axis=0)) == 8


@pytest.mark.parametrize('channels', [1, 4])
@each_pipe
def test_other_images(name, channels):
  policy = tuple(entry for entry in POLICIES[name] if entry != 'rotate90')
  x = images((3, 8, 10, channels)).astype(jnp.bfloat16)
  keys = example_keys(3)
  for strength, same in ((0.0, True), (1.0, False)):
    result = compiled(name, *policy)(x, keys, strength)
    chex.assert_equal_shape([result, x])
    assert result.dtype == jnp.bfloat16
    assert np.isfinite(result.astype(np.float32)).all()
    assert (np.asarray(result) == x).all() == same


@each_pipe
def test_refusals(name):
  augment = functools.partial(AUGMENTS[name], strength=0.5)
  x, keys = images((2, 8, 8, 3)), example_keys(2)
  with pytest.raises(ValueError, match="'cutuot'.*'cutout'"):
    augment(x, keys, policy=('cutuot',))
  with pytest.raises(ValueError, match='a tuple of'):
    augment(x, keys, policy='cutout')
  with pytest.raises(ValueError, match=r'\[B, H, W, C\], not \(2, 8\)'):
    augment(x[..., 0, 0], keys)
  with pytest.raises(AssertionError):
    augment(x, example_keys(3))
  with pytest.raises(AssertionError):
    augment(x.astype(int), keys)
  np.testing.assert_array_equal(compiled(name)(x, keys, 1.0), x)


def test_refuses_to_turn_what_is_not_square():
  match = r"not \(2, 8, 6, 3\): leave 'rotate90' out"
  with pytest.raises(ValueError, match=match):
    ada_pipe.ada(images((2, 8, 6, 3)), example_keys(2), strength=0.0)
  with pytest.raises(ValueError, match='rotate90'):
    transforms.rotate90(images((8, 6, 3)), 1)


# ------------------------------------------------------------------ adaptive


@pytest.mark.parametrize('shape', [(64, 50), (64, 5, 5, 2)])
def test_instance_noise(shape):
  x = jnp.ones(shape, jnp.bfloat16)
  order = np.arange(64)

  @jax.jit
  def add(order, sigma):
    keys = prng.per_example_keys(jax.random.key(0), order)
    return instance_noise(x, keys, sigma=sigma)

  np.testing.assert_array_equal(add(order, 0.0), x)
  noisy = add(order, 0.5)
  assert noisy.dtype == jnp.bfloat16
  assert_moments(noisy.astype(np.float32).reshape(-1), 1, 0.25)
  # Each example goes by its own key.
  np.testing.assert_array_equal(add(order[::-1], 0.5)[::-1], noisy)


def run(aux_state, logits, batches, **options):
  options = {'speed': 100, 'interval_examples': 8, **options}
  for _ in range(batches):
    aux_state = ada_controller.update_ada(
      aux_state, jnp.asarray(logits), **options
    )
  return {name: float(value) for name, value in aux_state.items()}


def test_strength_moves_after_the_interval():
  start = ada_controller.init_ada(0.5)
  chex.assert_type(list(start.values()), jnp.float32)
  logits = [3.0, 1.0, 0.1, 2.0]
  assert run(start, logits, 1) == {'strength': 0.5, 'sign_sum': 4, 'count': 4}
  # By the examples seen, which may be more than the interval.
  moved = run(start, logits, 2, interval_examples=7)
  assert moved == {'strength': pytest.approx(0.58), 'sign_sum': 0, 'count': 0}


@pytest.mark.parametrize(
  'logits, target, step',
  [
    ([1.0] * 8, 0.6, 0.08),  # all taken for real: overfits
    ([1.0] * 7 + [-1.0], 0.6, 0.08),  # the mean is 0.75
    ([1.0] * 7 + [-1.0], 0.8, -0.08),
    ([9.0] * 4 + [-1.0] * 4, 0.6, -0.08),  # signs count, not sizes
    ([9.0] * 4 + [-1.0] * 4, 0.0, 0.0),
    ([[[1.0, 1.0], [1.0, -1.0]]] * 8, 0.6, -0.08),  # patches: 0.5
    ([[[1.0, 1.0], [1.0, -1.0]]] * 8, 0.4, 0.08),
  ],
)
def test_direction_and_size_of_a_move(logits, target, step):
  aux_state = run(ada_controller.init_ada(0.5), logits, 1, target=target)
  assert aux_state['strength'] == pytest.approx(0.5 + step)


def test_strength_stays_a_probability():
  assert run(ada_controller.init_ada(0.9), [1.0] * 8, 3)['strength'] == 1
  assert run(ada_controller.init_ada(0.1), [-1.0] * 8, 3)['strength'] == 0
  with pytest.raises(ValueError, match=r'1.5.*\[0, 1\]'):
    ada_controller.init_ada(1.5)


def test_strength_has_no_gradient():
  strength = lambda logits: ada_controller.update_ada(
    ada_controller.init_ada(0.5), logits, interval_examples=1
  )['strength']
  np.testing.assert_array_equal(jax.grad(strength)(jnp.ones(3)), jnp.zeros(3))


def test_strength_is_a_function_of_the_global_batch():
  logits = jnp.array([1.0, 2, -1, 3, 1, 1, 5, -2])
  update = functools.partial(ada_controller.update_ada, speed=100)
  update_whole = jax.jit(functools.partial(update, interval_examples=16))
  emulated = jax.jit(
    jax.vmap(
      functools.partial(update, interval_examples=16, axis_name='batch'),
      axis_name='batch',
      in_axes=(None, 0),
      out_axes=None,
    )
  )
  whole = parts = ada_controller.init_ada(0.5)
  for _ in range(3):
    whole = update_whole(whole, logits)
    parts = emulated(parts, logits.reshape(4, 2))
    chex.assert_trees_all_equal(whole, parts)
  assert whole['strength'] != 0.5 and whole['count'] == 8


def test_update_refuses_columns_and_integers():
  aux_state = ada_controller.init_ada()
  for logits in (jnp.ones((4, 1)), jnp.ones(4, int)):
    with pytest.raises(AssertionError):
      ada_controller.update_ada(aux_state, logits, interval_examples=4)
