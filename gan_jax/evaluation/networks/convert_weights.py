"""Converts weights of the FID network to a file that is fast to read.

torch is not needed, and no code in the file is run.
"""

import pathlib
import zipfile

import numpy as np

from gan_jax.evaluation.networks import inception_weights
from gan_jax.evaluation.networks.inception import LAYERS
from gan_jax.io import files, torch_checkpoint


def is_torchscript(path: str) -> bool:
  """Returns whether a file is a TorchScript program: a zip with code."""
  if not pathlib.Path(path).is_file() or not zipfile.is_zipfile(path):
    return False
  try:
    with zipfile.ZipFile(path) as archive:
      return any('/code/' in name for name in archive.namelist())
  except Exception:  # a damaged file; its reader reports the reason
    return False


def read_torchscript(path: str) -> dict[str, dict[str, np.ndarray]]:
  """Reads the layers of a TorchScript version of the network.

  The code in the file is not run.

  Args:
    path: path of a file whose layers are in the order of the network, each with
      weight, beta, mean and var.

  Returns:
    name -> {'kernel', 'bias'}, without a class head.

  Raises:
    OSError: if the file cannot be opened.
    ValueError: if the file is damaged or contains another network.
  """
  arrays = torch_checkpoint.read_torchscript(path)
  layers = [n.removesuffix('.weight') for n in arrays if n.endswith('.weight')]
  parts = ('weight', 'beta', 'mean', 'var')
  tensors = {}
  for name, layer in zip(LAYERS, layers):
    if any(f'{layer}.{part}' not in arrays for part in parts):
      continue  # reported as missing
    weight, beta, mean, var = (arrays[f'{layer}.{part}'] for part in parts)
    tensors[f'{name}.conv.weight'] = weight
    tensors[f'{name}.bn.weight'] = np.ones_like(beta)
    tensors[f'{name}.bn.bias'] = beta
    tensors[f'{name}.bn.running_mean'] = mean
    tensors[f'{name}.bn.running_var'] = var
  return inception_weights.from_torch(tensors, path)


def convert(source: str, target: str) -> list[str]:
  """Converts a file of the FID network's weights.

  Args:
    source: the .pth file of pytorch-fid or torch-fidelity, the TorchScript .pt
      file of NVIDIA's projects, or a file written by this project.
    target: path of the file to write; ends in .safetensors or .npz.

  Returns:
    Lines about what was found.

  Raises:
    OSError: if a file cannot be read or written.
    ValueError: if the file is damaged or contains another network.
  """
  source = str(files.resolve_path(source, 'SRC'))
  if is_torchscript(source):
    params = read_torchscript(source)
  else:
    params = inception_weights.load_weights(source).params
  inception_weights.save_weights(target, params)
  found = inception_weights.load_weights(target)
  head = 'with' if 'fc' in params else 'without'
  if found.is_reference_inception:
    kind = 'the FID network: its weights are those of 2015-12-05'
  else:
    kind = 'NOT the FID network: scores are not comparable to published FID'
  return [f'{head} class head, content {found.sha256}', kind]
