"""Lists what a config can name: configs, models, losses, penalties, ...

  gan-jax list
  gan-jax list losses metrics

Options of what is chosen: train.py --print_config. Formulas and papers:
docs/losses.md, docs/models.md, docs/scores.md.
"""

import argparse
import ast
import pathlib
import re
from typing import Callable, Mapping

from gan_jax import config as config_lib
from gan_jax.io import terminal

_PACKAGE = pathlib.Path(__file__).resolve().parents[1]
PENALTIES = {
  'r1': "squared norm of D's gradient at real examples",
  'r2': "squared norm of D's gradient at generated examples",
  'zero_centered': "squared norm of D's gradient at interpolations",
  'wgan_gp': "distance of the norm of D's gradient from 1, at interpolations",
  'wgan_lp': 'the same of norms above 1 alone',
  'max_gp': "largest squared norm of D's gradient in the batch",
  'dragan': "distance of the norm of D's gradient from 1, at perturbed examples",
  'lecam': 'distance of logits from averages of those of the other kind',
  'bcr': 'change of logits under flips and translations',
  'zcr': "change of logits under noise on the generator's latents",
  'zcr_generator': 'minus the change of samples under noise on their latents',
  'path_length': 'distance of path lengths from their average (StyleGAN2)',
  'mode_seeking': 'distance of latents over that of their samples',
  'orthogonal': "products of different filters of D's kernels",
  'orthogonal_generator': "products of different filters of G's kernels",
  'feature_matching': 'distance of mean features of real and generated examples',
  'reconstruction': "error of FastGAN's decoders",
  'acgan': 'AC-GAN: cross-entropy of classes, of D',
  'acgan_generator': 'AC-GAN: cross-entropy of classes, of G',
  'reacgan': 'ReACGAN: data-to-data cross-entropy, of D',
  'reacgan_generator': 'ReACGAN: data-to-data cross-entropy, of G',
  'contragan': 'ContraGAN: conditional contrastive loss, of D',
  'contragan_generator': 'ContraGAN: conditional contrastive loss, of G',
  'tacgan': 'TAC-GAN: classes, and twin classes, of D',
  'tacgan_generator': 'TAC-GAN: classes, minus twin classes, of G',
  'adcgan': 'ADC-GAN: real and generated examples of each class, of D',
  'adcgan_generator': 'ADC-GAN: the real half of the class, of G',
}
AUGMENTATIONS = {
  'none': 'no augmentation',
  'diff_augment': 'DiffAugment: color, translation, cutout',
  'ada': 'StyleGAN2-ADA: of a strength that adapts to overfitting',
}
METRICS = {
  'fid': 'Frechet Inception distance',
  'fd': 'Frechet distance of any features',
  'kid': 'kernel Inception distance',
  'kd': 'kernel distance of any features',
  'is': 'Inception Score',
  'classifier_score': 'the Inception Score of other classifiers',
  'prdc': 'precision, recall, density, coverage',
  'swd': 'sliced Wasserstein distance',
  'mmd': 'two-sample test of the maximum mean discrepancy',
  'c2st': 'accuracy of a classifier of real and generated examples',
  'nn': 'accuracy of the nearest neighbor, real or generated',
  'intra_fd': 'Frechet distance within classes',
  'cas': 'accuracy on real data of a classifier of generated data',
  'class_accuracy': 'accuracy on generated data of a classifier of real data',
  'class_diversity': 'distance of two samples of a class, over real ones',
  'kl': 'divergence from the true Gaussian',
  'modes': 'modes found of the ring or the grid',
  'stacked_modes': 'modes found of Stacked MNIST',
}


def first_line(path: pathlib.Path) -> str:
  """Returns the first line of a module's docstring, without its period.

  Args:
    path: file of the module, which is not executed.
  """
  documented = ast.get_docstring(ast.parse(path.read_text())) or ''
  return documented.partition('\n')[0].rstrip('.')


def list_configs() -> dict[str, str]:
  """Returns a line about each config of the library."""
  from gan_jax.runner import config_file

  directory = config_file.library_dir()
  names = config_file.library_names()
  return {name: first_line(directory / f'{name}.py') for name in names}


def list_models() -> dict[str, str]:
  """Returns a line about each architecture."""
  directory = _PACKAGE / 'models'
  return {n: first_line(directory / f'{n}.py') for n in config_lib.MODELS}


def list_losses() -> dict[str, str]:
  """Returns a line about each loss: the table of the package's docstring."""
  text = (_PACKAGE / 'losses' / '__init__.py').read_text()
  rows = re.findall(r'^  `(\w+)` +(.*?)  +(.*)$', text, re.MULTILINE)
  lines = {name: f'{what} ({paper})' for name, what, paper in rows}
  return {name: lines[name] for name in config_lib.LOSSES}


KINDS: Mapping[str, Callable[[], Mapping[str, str]]] = {
  'configs': list_configs,
  'models': list_models,
  'losses': list_losses,
  'penalties': lambda: PENALTIES,
  'augmentations': lambda: AUGMENTATIONS,
  'metrics': lambda: METRICS,
}
_FLAGS = {
  'configs': 'train.py --config=NAME',
  'models': 'train.py --config.generator.name=NAME, discriminator likewise',
  'losses': 'train.py --config.loss=NAME',
  'penalties': 'train.py --config.penalties.r1.weight=10',
  'augmentations': 'train.py --config.augment.name=NAME',
  'metrics': 'train.py --config.eval.metrics=NAME, evaluate.py: --metrics=NAME',
}


def describe(kind: str) -> list[str]:
  """Returns a heading, and a line for each name of a kind.

  Args:
    kind: one of KINDS.
  """
  found = KINDS[kind]()
  width = max(map(len, found))
  lines = [f'  {name:{width}}  {line}' for name, line in found.items()]
  return [f'{kind}  ({_FLAGS[kind]})', *lines]


def run() -> int:
  """Runs the program with the arguments of this process."""
  terminal.start_program('list')
  parser = terminal.ArgumentParser(
    prog=terminal.program_name('gan-jax list'),
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.add_argument(
    'kinds',
    metavar='KIND',
    nargs='*',
    default=list(KINDS),
    help=f'some of {", ".join(KINDS)}; default: all',
  )
  options = parser.parse_args()
  for kind in options.kinds:
    if kind not in KINDS:
      parser.error(f'KIND={kind}: must be one of {", ".join(KINDS)}')
  print('\n\n'.join('\n'.join(describe(kind)) for kind in options.kinds))
  return terminal.output_status()


if __name__ == '__main__':
  run()
