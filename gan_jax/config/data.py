"""Options of the data sources.

`gan_jax.data` opens them.
"""

import dataclasses
from typing import Any

from gan_jax.config.fields import Part, option

# 'own' stands for arrays that a program passes to experiment.build.
SOURCES = (
  'gaussian',
  'ring',
  'grid',
  'digits',
  'tfds',
  'stacked_mnist',
  'folder',
  'npz',
  'hf',
  'custom',
  'audio',
  'tones',
  'own',
)
SOURCE_ALIASES = {'stackedmnist': 'stacked_mnist', 'zip': 'folder'}
_FARTHEST = 1e18  # squares of more are infinite in float32


def _image_size(default: int) -> Any:
  return option(default, at_least=1, at_most=8192)


@dataclasses.dataclass(frozen=True)
class Gaussian:
  """Options of the 2-D Gaussian of Dive into Deep Learning.

  Attributes:
    size: Number of points.
    seed: Seed of the points.
  """

  size: int = option(1000, at_least=1)
  seed: int = option(0, at_least=0)


@dataclasses.dataclass(frozen=True)
class Ring:
  """Options of Gaussians evenly on a circle; the defaults are PacGAN's.

  Attributes:
    size: Number of points.
    modes: Number of Gaussians.
    radius: Radius of the circle.
    sigma: Standard deviation of each Gaussian.
    seed: Seed of the points.
  """

  size: int = option(100_000, at_least=1)
  modes: int = option(8, at_least=1)
  radius: float = option(1.0, above=-_FARTHEST, below=_FARTHEST)
  sigma: float = option(0.01, at_least=0, below=_FARTHEST)
  seed: int = option(0, at_least=0)


@dataclasses.dataclass(frozen=True)
class Grid:
  """Options of Gaussians on a square grid; the defaults are PacGAN's.

  Attributes:
    size: Number of points.
    side: Gaussians along each side.
    spacing: Distance between neighbors.
    sigma: Standard deviation of each Gaussian.
    seed: Seed of the points.
  """

  size: int = option(100_000, at_least=1)
  side: int = option(5, at_least=1)
  spacing: float = option(2.0, above=-_FARTHEST, below=_FARTHEST)
  sigma: float = option(0.05, at_least=0, below=_FARTHEST)
  seed: int = option(0, at_least=0)


@dataclasses.dataclass(frozen=True)
class Digits:
  """Options of the handwritten digits that come with scikit-learn.

  Attributes:
    size: Side of the images, in pixels.
    channels: 1 (gray), 3 (RGB) or 4 (RGBA).
    test_fraction: Share held out as the test split, in (0, 1).
  """

  size: int = _image_size(16)
  channels: int = option(1, choices=(1, 3, 4))
  test_fraction: float = option(0.2, above=0, below=1)


@dataclasses.dataclass(frozen=True)
class TFDS:
  """Options of an image dataset of TensorFlow Datasets.

  Attributes:
    dataset: Name of the dataset, such as 'mnist' or 'cifar10'.
    data_dir: Directory of the datasets; '' for the usual one.
    size: Side of the images, in pixels.
    channels: 1 (gray), 3 (RGB) or 4 (RGBA).
    train_split: Split to train on.
    test_split: Split held out; '' takes 'test' or 'validation' if there is
      one, else the last tenth of `train_split`.
    memory_mb: Megabytes that decoded images may take; a larger dataset is read
      as needed.
  """

  dataset: str = option('')
  data_dir: str = option('')
  size: int = _image_size(32)
  channels: int = option(3, choices=(1, 3, 4))
  train_split: str = option('train')
  test_split: str = option('')
  memory_mb: int = option(2048)


@dataclasses.dataclass(frozen=True)
class StackedMnist:
  """Options of stacked MNIST: three digits as the channels of an image.

  Attributes:
    data_dir: Directory of the datasets; '' for the usual one.
    size: Side of the images, in pixels.
    stacks: Number of stacks of a split. 0 takes the protocol's: 128,000 to
      train on, 26,000 held out.
    seed: Seed of the stacks.
    dataset: A dataset of gray images in ten classes, by its name in TFDS.
  """

  data_dir: str = option('')
  size: int = _image_size(28)
  stacks: int = option(0, at_least=0)
  seed: int = option(0, at_least=0)
  dataset: str = option('mnist')


@dataclasses.dataclass(frozen=True)
class Folder:
  """Options of the images in a directory or a zip.

  Attributes:
    path: The directory, or the zip, such as one of StyleGAN's.
    size: Side of the images, in pixels.
    channels: 1 (gray), 3 (RGB) or 4 (RGBA).
    test_fraction: Share held out as the test split, in (0, 1).
    classes: 'auto' takes the labels of a dataset.json as StyleGAN's, else the
      first level of sub-directories, and asks if they look like splits;
      'directories' takes them in any case; 'none' takes no labels.
    background: Color behind transparent pixels, unless `channels` is 4: a name
      such as 'white', or '#rrggbb'.
    skip_broken: Whether to leave out files that cannot be decoded, with a
      warning, instead of stopping.
    memory_mb: Megabytes that decoded images may take; more images are read as
      needed.
    threads: Threads that decode. 0 takes one per processor.
    follow_symlinks: Whether links may lead out of the directory.
  """

  path: str = option('')
  size: int = _image_size(64)
  channels: int = option(3, choices=(1, 3, 4))
  test_fraction: float = option(0.1, above=0, below=1)
  classes: str = option('auto', choices=('auto', 'directories', 'none'))
  background: str = option('white')
  skip_broken: bool = option(False)
  memory_mb: int = option(2048)
  threads: int = option(0, at_least=0)
  follow_symlinks: bool = option(False)


@dataclasses.dataclass(frozen=True)
class Npz:
  """Options of the arrays of an .npz or .npy file.

  Attributes:
    path: The file.
    x: Name of the array of examples. '' takes x, samples, images or arr_0, or
      those of a file with its own splits, such as x_train and x_test.
    label: Name of the array of classes. '' takes label, labels, y or arr_1,
      likewise.
    value_range: Lowest and highest value of float images, which are scaled to
      [-1, 1].
    sample_rate: Samples per second of sound, [N, length, 1], in Hz. 0 is for
      examples that are not sound.
    test_fraction: Share held out as the test split, in (0, 1), unless the file
      has one.
  """

  path: str = option('')
  x: str = option('')
  label: str = option('')
  value_range: tuple[float, ...] = option((-1.0, 1.0))
  sample_rate: int = option(0, at_least=0, at_most=768_000)
  test_fraction: float = option(0.1, above=0, below=1)


@dataclasses.dataclass(frozen=True)
class HF:
  """Options of the images of a Hugging Face dataset, or of parquet files.

  Attributes:
    dataset: A name on the Hub, a directory (of parquet files, of images, or of
      save_to_disk) or a parquet file.
    subset: Name of its configuration; '' for the only one.
    revision: Branch, tag or commit on the Hub; '' for the newest.
    image: Column of the images; '' finds it.
    label: Column of the classes, integers; '' finds it, 'none' takes none.
    size: Side of the images, in pixels.
    channels: 1 (gray), 3 (RGB) or 4 (RGBA).
    train_split: Split to train on.
    test_split: Split held out; '' takes 'test' or 'validation' if there is
      one, else a share of `train_split`.
    test_fraction: That share, in (0, 1).
    background: Color behind transparent pixels, unless `channels` is 4.
    memory_mb: Megabytes that decoded images may take; more images are read as
      needed.
    threads: Threads that decode. 0 takes one per processor.
  """

  dataset: str = option('')
  subset: str = option('')
  revision: str = option('')
  image: str = option('')
  label: str = option('')
  size: int = _image_size(64)
  channels: int = option(3, choices=(1, 3, 4))
  train_split: str = option('train')
  test_split: str = option('')
  test_fraction: float = option(0.1, above=0, below=1)
  background: str = option('white')
  memory_mb: int = option(2048, at_least=0)
  threads: int = option(0, at_least=0)


@dataclasses.dataclass(frozen=True)
class Custom:
  """Options of a dataset of your own code.

  Attributes:
    function: The function that returns it, FILE.py:FUNCTION or, of an installed
      module, module:function. It is called with 'train' or 'test'; one without
      parameters returns all examples.
    size: Side to which images are cropped and resized, in pixels. 0 takes them
      as they are.
    channels: 1 (gray), 3 (RGB) or 4 (RGBA). 0 takes those of each image.
    value_range: Lowest and highest value of float images, which are scaled to
      [-1, 1].
    test_fraction: Share held out as the test split, in (0, 1), of a function
      without parameters.
    threads: Threads that read.
  """

  function: str = option('')
  size: int = option(0, at_least=0, at_most=8192)
  channels: int = option(0, choices=(0, 1, 3, 4))
  value_range: tuple[float, ...] = option((-1.0, 1.0))
  test_fraction: float = option(0.1, above=0, below=1)
  threads: int = option(4, at_least=1)


@dataclasses.dataclass(frozen=True)
class Audio:
  """Options of the wav files in a directory or a zip.

  Attributes:
    path: The directory, or the zip.
    length: Samples of a clip. Longer recordings are cut, shorter ones padded
      with zeros at the end.
    sample_rate: Samples per second, in Hz, to which others are resampled.
    trim_silence: Share of the loudest sample, in [0, 1), below which the
      beginning and the end of a recording are cut. 0 cuts nothing.
    normalize: 'peak' scales each clip to a loudest sample of 1; 'none' does
      not.
    test_fraction: Share held out as the test split, in (0, 1).
    classes: 'auto' takes the first level of sub-directories, and asks if they
      look like splits; 'directories' takes them in any case; 'none' takes no
      labels.
    skip_broken: Whether to leave out files that cannot be decoded, with a
      warning, instead of stopping.
    memory_mb: Megabytes that the clips of a split may take.
    follow_symlinks: Whether links may lead out of the directory.
  """

  path: str = option('')
  length: int = option(8192, at_least=1, at_most=2**24)
  sample_rate: int = option(8000, at_least=1, at_most=768_000)
  trim_silence: float = option(0.0, at_least=0, below=1)
  normalize: str = option('peak', choices=('peak', 'none'))
  test_fraction: float = option(0.1, above=0, below=1)
  classes: str = option('auto', choices=('auto', 'directories', 'none'))
  skip_broken: bool = option(False)
  memory_mb: int = option(2048, at_least=1)
  follow_symlinks: bool = option(False)


@dataclasses.dataclass(frozen=True)
class Tones:
  """Options of the synthetic tones of ten pitches.

  Attributes:
    size: Number of tones of a split.
    length: Samples of a tone.
    sample_rate: Samples per second, in Hz; at least 2,144, for the highest
      pitch.
    seed: Seed of the tones.
  """

  size: int = option(2000, at_least=1)
  length: int = option(4096, at_least=1, at_most=2**24)
  sample_rate: int = option(8000, at_least=2144, at_most=768_000)
  seed: int = option(0, at_least=0)


@dataclasses.dataclass(frozen=True)
class Data(Part):
  """The examples.

  Attributes:
    name: One of SOURCES.
    flip: Whether to train on the mirror images, too: all images, flipped
      horizontally. Scores compare with the images as they are.
    gaussian: Options of the 2-D Gaussian.
    ring: Options of the ring of Gaussians.
    grid: Options of the grid of Gaussians.
    digits: Options of the digits of scikit-learn.
    tfds: Options of TensorFlow Datasets.
    stacked_mnist: Options of stacked MNIST.
    folder: Options of the images in a directory or a zip.
    npz: Options of the arrays of a file.
    hf: Options of a Hugging Face dataset.
    custom: Options of a dataset of your own code.
    audio: Options of the wav files in a directory or a zip.
    tones: Options of the synthetic tones.
  """

  name: str = option('digits', names=SOURCES, aliases=SOURCE_ALIASES)
  flip: bool = option(False)
  gaussian: Gaussian = Gaussian()
  ring: Ring = Ring()
  grid: Grid = Grid()
  digits: Digits = Digits()
  tfds: TFDS = TFDS()
  stacked_mnist: StackedMnist = StackedMnist()
  folder: Folder = Folder()
  npz: Npz = Npz()
  hf: HF = HF()
  custom: Custom = Custom()
  audio: Audio = Audio()
  tones: Tones = Tones()
