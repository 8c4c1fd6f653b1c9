"""The weights of the FID network: where they come from, whether they are right.

FID is defined by one set of numbers, published on 2015-12-05. Files of
several formats hold them; `load_weights` brings each to the same arrays, with
batch norm folded into the convolutions, and says whether they are those.
"""

import hashlib
import http.client
import io
import os
import pathlib
import tempfile
import urllib.request
from typing import Mapping, NamedTuple

import numpy as np
import safetensors.numpy

from gan_jax.evaluation.networks.inception import CLASSES, FEATURES, LAYERS
from gan_jax.io import files, npz, torch_checkpoint
from gan_jax.io.cache_dir import cache_directory

Params = Mapping[str, Mapping[str, np.ndarray]]

URL = (
  'https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/'
  'pt_inception-2015-12-05-6726825d.pth'
)
URL_SHA256 = '6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2'
# `content_hash` of the folded layers without the class head.
REFERENCE_HASH = (
  '400ff00c00f2204b9387e0764653477db1bf48cf4d8e3155093614ac4c1230f7'
)
SUFFIXES = ('.safetensors', '.npz', '.pth', '.pt')
_BATCH_NORM = ('weight', 'bias', 'running_mean', 'running_var')
_EPSILON = 1e-3  # of the published network's batch norm
_MAX_BYTES = 2**30  # of a file; the published one has 96 MB


class Weights(NamedTuple):
  """Weights and what is known of them.

  Attributes:
    params: name -> {'kernel', 'bias'}, float32, for `inception_features`;
      with 'fc' where the file has a class head.
    sha256: `content_hash` of params: the same in every format.
    is_fid: whether all layers but 'fc' are the published ones.
    source: the file they were read from.
  """

  params: dict[str, dict[str, np.ndarray]]
  sha256: str
  is_reference_inception: bool
  source: str


def content_hash(params: Params) -> str:
  """SHA256 over names, shapes and float32 numbers, in the order of names."""
  digest = hashlib.sha256()
  for name in sorted(params):
    for part in sorted(params[name]):
      array = np.ascontiguousarray(params[name][part], '<f4')
      digest.update(f'{name}/{part} {array.shape}\n'.encode())
      digest.update(array.tobytes())
  return digest.hexdigest()


def without_head(params: Params) -> Params:
  """The layers that features need: all but the class head."""
  return {name: layer for name, layer in params.items() if name != 'fc'}


def _refuse(faults, source):
  if faults:
    more = f', and {len(faults) - 3} more' * (len(faults) > 3)
    raise ValueError(
      f'{source} does not hold the {len(LAYERS)} layers of the FID Inception '
      f'network: {", ".join(faults[:3])}{more}; expected is {URL} or a file '
      'made of it by python -m gan_jax.evaluation.networks.convert_weights'
    )


def _shape_faults(arrays, shapes):
  for name, shape in shapes.items():
    if name not in arrays:
      yield f'{name} is missing'
    elif arrays[name].shape != shape:
      yield f'{name} is {arrays[name].shape}, not {shape}'


def check_params(params: Params, source: str) -> None:
  """Refuses what is not this network.

  Raises:
    ValueError: naming the source, and what is missing, not of the network,
      of another shape or not finite.
  """
  layers = dict(LAYERS)
  if 'fc' in params:
    layers['fc'] = (FEATURES, CLASSES)
  shapes = {}
  for name, shape in layers.items():
    shapes |= {f'{name}/kernel': shape, f'{name}/bias': shape[-1:]}
  arrays = _flat(params)
  faults = list(_shape_faults(arrays, shapes))
  for name, array in arrays.items():
    if name not in shapes:
      faults.append(f'{name} is not of it')
    elif array.dtype != np.float32 or not np.isfinite(array).all():
      faults.append(f'{name} is not finite float32')
  _refuse(faults, source)


def _flat(params):
  return {f'{n}/{part}': x for n, p in params.items() for part, x in p.items()}


def _nested(flat):
  params = {}
  for name, array in flat.items():
    layer, _, part = name.rpartition('/')
    params.setdefault(layer, {})[part] = array
  return params


def fold_batch_norm(
  weight: np.ndarray,
  scale: np.ndarray,
  bias: np.ndarray,
  mean: np.ndarray,
  variance: np.ndarray,
) -> dict[str, np.ndarray]:
  """A convolution and the batch norm after it as one layer.

  Args:
    weight: `[out, in, h, w]`.
    scale: of batch norm, `[out]`, as the rest.
    bias: of batch norm.
    mean: running.
    variance: running.

  Returns:
    {'kernel': [h, w, in, out], 'bias': [out]}, computed in float64, float32.
  """
  weight, scale, bias, mean, variance = (
    np.asarray(x, np.float64) for x in (weight, scale, bias, mean, variance)
  )
  factor = scale / np.sqrt(variance + _EPSILON)
  kernel = (weight * factor[:, None, None, None]).transpose(2, 3, 1, 0)
  return {
    'kernel': np.ascontiguousarray(kernel, np.float32),
    'bias': np.float32(bias - mean * factor),
  }


def from_torch(
  tensors: Mapping[str, np.ndarray], source: str
) -> dict[str, dict[str, np.ndarray]]:
  """Folds pytorch-fid's state dict.

  Args:
    tensors: 'Conv2d_1a_3x3.conv.weight', '.bn.weight', '.bn.bias', ...
    source: what to call them in messages.

  Returns:
    name -> {'kernel', 'bias'}; with 'fc' unless it is all zero, as in files
    that have no class head.

  Raises:
    ValueError: naming the source and what is missing.
  """
  shapes, params = {}, {}
  for layer, (height, width, inputs, outputs) in LAYERS.items():
    shapes[f'{layer}.conv.weight'] = (outputs, inputs, height, width)
    shapes |= {f'{layer}.bn.{part}': (outputs,) for part in _BATCH_NORM}
  _refuse(list(_shape_faults(tensors, shapes)), source)
  for layer in LAYERS:
    norm = [tensors[f'{layer}.bn.{part}'] for part in _BATCH_NORM]
    params[layer] = fold_batch_norm(tensors[f'{layer}.conv.weight'], *norm)
  weight, bias = (tensors.get(f'fc.{part}') for part in ('weight', 'bias'))
  if weight is not None and bias is not None and weight.any():
    kernel = np.ascontiguousarray(weight.T, np.float32)
    params['fc'] = {'kernel': kernel, 'bias': np.float32(bias)}
  return params


def _read(path):
  if path.suffix in ('.pth', '.pt'):
    return from_torch(torch_checkpoint.read_state_dict(path), str(path))
  data = files.read_bounded(path, most=_MAX_BYTES)
  try:
    if path.suffix == '.safetensors':
      return _nested(safetensors.numpy.load(data))
    return _nested(npz.read_npz(io.BytesIO(data), limit=_MAX_BYTES))
  except Exception as error:  # their readers raise anything
    raise ValueError(
      f'{path} is not a readable {path.suffix} file: {files.short_message(error)}'
    ) from error


def load_weights(path: str | pathlib.Path = '') -> Weights:
  """Reads and checks the weights of the FID network.

  Args:
    path: pytorch-fid's or torch-fidelity's `.pth`, or a `.safetensors` or
      `.npz` of `save_weights`; '' is what the environment variable
      GAN_JAX_INCEPTION says, or else the published file, see `fetch`.

  Returns:
    The weights.

  Raises:
    OSError: where the file cannot be opened or fetched.
    ValueError: naming the file and what is wrong with it.
  """
  path = path or os.environ.get('GAN_JAX_INCEPTION') or download()
  path = pathlib.Path(path).expanduser()
  if path.suffix not in SUFFIXES:
    raise ValueError(f'{path}: must end in one of {", ".join(SUFFIXES)}')
  if not path.is_file():
    raise FileNotFoundError(
      f'{path}: there is no such file; it was to hold the weights of the FID '
      f'Inception network, {URL}'
    )
  params = _read(path)
  check_params(params, str(path))
  known = content_hash(without_head(params)) == REFERENCE_HASH
  is_reference_inception = known or _file_hash(path) == URL_SHA256
  return Weights(
    params, content_hash(params), is_reference_inception, str(path)
  )


def save_weights(path: str | pathlib.Path, params: Params) -> None:
  """Writes weights to a `.safetensors` or `.npz`, by its suffix.

  Raises:
    ValueError: for another suffix, or params that are not the network.
  """
  path = pathlib.Path(path)
  if path.suffix not in SUFFIXES[:2]:
    raise ValueError(f'{path}: must end in one of {", ".join(SUFFIXES[:2])}')
  check_params(params, 'params')
  flat = {k: np.ascontiguousarray(v) for k, v in _flat(params).items()}
  if path.suffix == '.npz':
    np.savez(path, **flat)
  else:
    safetensors.numpy.save_file(flat, path)


def download(url: str = URL, sha256: str = URL_SHA256) -> pathlib.Path:
  """Downloads the published weights, 96 MB, unless they are in the cache.

  Args:
    url: of the file.
    sha256: that it must have.

  Returns:
    Where it is.

  Raises:
    OSError: where it cannot be had; says what to do. Nothing stays behind.
    ValueError: where it is not the right file.
  """
  path = cache_directory() / url.rpartition('/')[2]
  if path.is_file():
    return path
  advice = (
    f'download {url} by other means, then put it at {path}, or name it by '
    '--feature_weights or the environment variable GAN_JAX_INCEPTION'
  )
  path.parent.mkdir(parents=True, exist_ok=True)
  with tempfile.TemporaryDirectory(dir=path.parent) as directory:
    part = pathlib.Path(directory) / path.name
    try:
      with urllib.request.urlopen(url, timeout=60) as source:
        with part.open('wb') as target:
          for _ in range(_MAX_BYTES // 2**20):  # it may be without end
            target.write(source.read(2**20))
    except (OSError, http.client.HTTPException) as error:
      raise OSError(f'{url} cannot be fetched: {error}; {advice}') from error
    if _file_hash(part) != sha256:
      raise ValueError(
        f'what {url} gave has the SHA256 {_file_hash(part)}, not {sha256}; '
        f'{advice}'
      )
    part.replace(path)
  return path


def _file_hash(path):
  with path.open('rb') as file:
    return hashlib.file_digest(file, 'sha256').hexdigest()
