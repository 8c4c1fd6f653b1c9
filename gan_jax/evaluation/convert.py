"""Converts weights of the FID network to a file that is quick to read.

  python -m gan_jax.evaluation.convert SRC DST

SRC is pytorch-fid's or torch-fidelity's .pth (torch is not needed), the
TorchScript .pt of NVIDIA's projects (torch is needed), or a file of this
project. DST ends in .safetensors or .npz.
"""

import argparse
import zipfile

import numpy as np

from gan_jax.evaluation import weights
from gan_jax.evaluation.inception import LAYERS


def is_torchscript(path: str) -> bool:
  """Whether a file is a TorchScript program: a zip file that holds code."""
  if not zipfile.is_zipfile(path):
    return False
  with zipfile.ZipFile(path) as archive:
    return any('/code/' in name for name in archive.namelist())


def read_torchscript(path: str) -> dict[str, dict[str, np.ndarray]]:
  """The layers in a TorchScript of the network; needs torch.

  A TorchScript program cannot run Python, but it is not run here.

  Args:
    path: of a file whose layers are in the order of the network, each with
      weight, beta, mean and var.

  Returns:
    name -> {'kernel', 'bias'}, without a class head.

  Raises:
    ImportError: without torch, with the command that installs it.
    ValueError: for a damaged file or another network.
  """
  try:
    import torch
  except ImportError as error:
    raise ImportError(
      f'{path} is a TorchScript file, which only torch reads: pip install '
      'torch --index-url https://download.pytorch.org/whl/cpu'
    ) from error
  try:
    program = torch.jit.load(path, map_location='cpu')
  except RuntimeError as error:
    raise ValueError(
      f'{path} is not a readable TorchScript file: {error}'
    ) from error
  found = program.named_parameters()
  arrays = {name: value.detach().numpy() for name, value in found}
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
  return weights.from_torch(tensors, path)


def main(arguments: list[str] | None = None) -> None:
  parser = argparse.ArgumentParser(
    prog='python -m gan_jax.evaluation.convert',
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.add_argument('source', metavar='SRC')
  parser.add_argument('target', metavar='DST')
  flags = parser.parse_args(arguments)
  try:
    if is_torchscript(flags.source):
      params = read_torchscript(flags.source)
    else:
      params = weights.load_weights(flags.source).params
    weights.save_weights(flags.target, params)
    found = weights.load_weights(flags.target)
  except (ImportError, OSError, ValueError) as error:
    parser.exit(2, f'{error}\n')
  head = 'with' if 'fc' in params else 'without'
  print(f'{flags.target}: {head} class head, content {found.sha256}')
  if found.is_fid:
    print('the FID network: its features are those of 2015-12-05')
  else:
    print('NOT the FID network: its scores compare with no published FID')


if __name__ == '__main__':
  main()
