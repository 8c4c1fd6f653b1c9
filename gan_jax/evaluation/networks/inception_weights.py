"""Weights of the FID network: formats, download and verification.

FID is defined by one set of weights, published on 2015-12-05. Files of several
formats contain them. `load_weights` converts each format to the same arrays,
with batch norm folded into the convolutions, and checks whether they are the
published weights.
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
_EPSILON = 1e-3  # batch norm of the published network
_MAX_BYTES = 2**30  # size of a file; the published one has 96 MB


class Weights(NamedTuple):
  """Weights and their identification.

  Attributes:
    params: name -> {'kernel', 'bias'}, float32, for `inception_features`; with
      'fc' if the file has a class head.
    sha256: `content_hash` of params, equal for all formats.
    is_reference_inception: whether all layers except 'fc' are the published
      ones.
    source: path of the file.
  """

  params: dict[str, dict[str, np.ndarray]]
  sha256: str
  is_reference_inception: bool
  source: str


def content_hash(params: Params) -> str:
  """Computes the SHA256 of names, shapes and float32 values, sorted by name."""
  digest = hashlib.sha256()
  for name in sorted(params):
    for part in sorted(params[name]):
      array = np.ascontiguousarray(params[name][part], '<f4')
      digest.update(f'{name}/{part} {array.shape}\n'.encode())
      digest.update(array.tobytes())
  return digest.hexdigest()


def without_head(params: Params) -> Params:
  """Returns the layers that features need: all except the class head."""
  return {name: layer for name, layer in params.items() if name != 'fc'}


def _refuse(faults, source):
  if faults:
    more = f', and {len(faults) - 3} more' * (len(faults) > 3)
    raise ValueError(
      f'{source} does not have the {len(LAYERS)} layers of the FID Inception '
      f'network: {", ".join(faults[:3])}{more}; expected {URL} or a file '
      'converted from it by gan-jax convert-weights inception'
    )


def _shape_faults(arrays, shapes):
  for name, shape in shapes.items():
    if name not in arrays:
      yield f'{name} is missing'
    elif arrays[name].shape != shape:
      yield f'{name} has shape {arrays[name].shape}, not {shape}'


def check_params(params: Params, source: str) -> None:
  """Checks that params are weights of this network.

  Raises:
    ValueError: if they are not; the message has the source and the layers that
      are missing, unknown, of another shape or not finite.
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
      faults.append(f'{name} is not a layer of it')
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
  """Folds batch norm into the convolution before it.

  Args:
    weight: kernel of the convolution, `[out, in, h, w]`.
    scale: scale of batch norm, `[out]`.
    bias: bias of batch norm, `[out]`.
    mean: running mean, `[out]`.
    variance: running variance, `[out]`.

  Returns:
    {'kernel': [h, w, in, out], 'bias': [out]}, float32, computed in float64.
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
  """Converts the state dict of pytorch-fid, folding batch norm.

  Args:
    tensors: 'Conv2d_1a_3x3.conv.weight', '.bn.weight', '.bn.bias', ...
    source: name of the source in messages.

  Returns:
    name -> {'kernel', 'bias'}; with 'fc' unless it is all zero, as in files
    that have no class head.

  Raises:
    ValueError: if tensors are missing or have another shape; the message has
      the source and their names.
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
  if path.suffix.lower() in ('.pth', '.pt'):
    return from_torch(torch_checkpoint.read_state_dict(path), str(path))
  data = files.read_bounded(path, most=_MAX_BYTES)
  try:
    if path.suffix.lower() == '.safetensors':
      return _nested(safetensors.numpy.load(data))
    return _nested(npz.read_npz(io.BytesIO(data), limit=_MAX_BYTES))
  except Exception as error:  # these readers raise any type
    raise ValueError(
      f'{path} is not a readable {path.suffix} file: '
      f'{files.short_message(error)}'
    ) from error


def load_weights(path: str | pathlib.Path = '') -> Weights:
  """Loads and checks the weights of the FID network.

  Args:
    path: path of a `.pth` file of pytorch-fid or torch-fidelity, or of a
      `.safetensors` or `.npz` file of `save_weights`. '' takes the environment
      variable GAN_JAX_INCEPTION or, without it, the published file, see
      `download`.

  Returns:
    The weights.

  Raises:
    OSError: if the file cannot be opened or downloaded.
    ValueError: if the file is invalid; the message gives its name and the
      reason.
  """
  path = path or os.environ.get('GAN_JAX_INCEPTION') or download()
  path = files.resolve_path(path, 'feature_weights')
  if path.suffix.lower() not in SUFFIXES:
    raise ValueError(f'{path}: must end in one of {", ".join(SUFFIXES)}')
  if not path.is_file():
    raise FileNotFoundError(
      f'{path} does not exist; it should have the weights of the FID Inception '
      f'network, {URL}'
    )
  params = _read(path)
  check_params(params, str(path))
  known = content_hash(without_head(params)) == REFERENCE_HASH
  is_reference_inception = known or _file_hash(path) == URL_SHA256
  return Weights(
    params, content_hash(params), is_reference_inception, str(path)
  )


def save_weights(path: str | pathlib.Path, params: Params) -> None:
  """Writes weights to a `.safetensors` or `.npz` file, by its suffix.

  Raises:
    ValueError: if the suffix is another, or params are not of this network.
  """
  path = files.resolve_path(path)
  if path.suffix.lower() not in SUFFIXES[:2]:
    raise ValueError(f'{path}: must end in one of {", ".join(SUFFIXES[:2])}')
  check_params(params, 'params')
  flat = {k: np.ascontiguousarray(v) for k, v in _flat(params).items()}
  if path.suffix.lower() == '.npz':
    with path.open('wb') as file:  # to a path, numpy adds .npz to .NPZ
      np.savez(file, **flat)
  else:
    safetensors.numpy.save_file(flat, path)


def download(url: str = URL, sha256: str = URL_SHA256) -> pathlib.Path:
  """Downloads the published weights, 96 MB, unless they are in the cache.

  Args:
    url: URL of the file.
    sha256: expected hash of the file.

  Returns:
    The path of the file.

  Raises:
    OSError: if the download fails; the message has alternatives. No partial
      file is left behind.
    ValueError: if the hash is another.
  """
  path = cache_directory() / url.rpartition('/')[2]
  if path.is_file():
    return path
  advice = (
    f'download {url} by other means and save it as {path}, or set its path '
    'in the environment variable GAN_JAX_INCEPTION or in feature_weights '
    '(train.py: --config.eval.feature_weights, evaluate.py: --feature_weights)'
  )
  path.parent.mkdir(parents=True, exist_ok=True)
  with tempfile.TemporaryDirectory(dir=path.parent) as directory:
    part = pathlib.Path(directory) / path.name
    try:
      with urllib.request.urlopen(url, timeout=60) as source:
        with part.open('wb') as target:
          for _ in range(_MAX_BYTES // 2**20):  # the stream may be endless
            target.write(source.read(2**20))
    except (OSError, http.client.HTTPException) as error:
      raise OSError(f'cannot download {url}: {error}; {advice}') from error
    if _file_hash(part) != sha256:
      raise ValueError(
        f'the file from {url} has the SHA256 {_file_hash(part)}, not {sha256}; '
        f'{advice}'
      )
    part.replace(path)
  return path


def _file_hash(path):
  with path.open('rb') as file:
    return hashlib.file_digest(file, 'sha256').hexdigest()
