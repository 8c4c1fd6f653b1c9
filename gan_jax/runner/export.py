"""Exports the generator of a run: a folder, StableHLO, ONNX, or a page.

`export.py` reads the flags and calls `export`.
"""

import contextlib
import dataclasses
import datetime
import hashlib
import os
import pathlib
import shutil
import tempfile
import time
from typing import Any, Callable, Iterator

import jax
import numpy as np

from gan_jax import __version__, prng, sampling, validation
from gan_jax import config as config_lib
from gan_jax import export as export_lib
from gan_jax.experiment import model_folder, pretrained, run_dir
from gan_jax.export import generator as generator_lib
from gan_jax.io import array_file, files, terminal
from gan_jax.report import images
from gan_jax.runner import onnx_environment, recorded_parts

SUFFIXES = {
  'folder': '',
  'stablehlo': '.stablehlo',
  'onnx': '.onnx',
  'page': '.html',
}
_BATCH = 3  # examples that are compared
_LARGE_PAGE, _SLOW_PAGE = 50e6, 5e9  # bytes; operations a sample
_PICTURE = 64  # samples of a model card


@dataclasses.dataclass(frozen=True)
class Request:
  """What to export, and where to.

  Attributes:
    workdir: directory of the run; or an exported folder, or a file of
      runner.convert_weights.
    to: 'folder', 'stablehlo', 'onnx' or 'page'.
    out: path to write; '' for a name in the current directory.
    checkpoint: checkpoint of the run: 'latest', 'best', or a step.
    member: member of an ensemble; None for a single run.
    weights: weights of the run: 'ema' or 'raw'.
    noise_seed: seed of a fixed noise for a generator that takes noise; None
      for no noise.
    float16: whether a page has its weights in float16.
    separate_weights: whether a StableHLO program takes the weights as its
      first argument; they are written beside it.
    title: title of a page or model card; '' for the name of the run.
    overwrite: whether what is there may be replaced.
  """

  workdir: str
  to: str
  out: str = ''
  checkpoint: str = 'latest'
  member: int | None = None
  weights: str = 'ema'
  noise_seed: int | None = None
  float16: bool = False
  separate_weights: bool = False
  title: str = ''
  overwrite: bool = False


def export(request: Request, *, quiet: bool = False) -> pathlib.Path:
  """Writes an export of a run's generator.

  Args:
    request: what to export, and where to.
    quiet: whether to print nothing.

  Returns:
    The path of what was written.

  Raises:
    ValueError: for a request that does not fit the run, or a generator that
      the format cannot have.
    OSError: if the run cannot be read, or the target exists or cannot be
      written.
  """
  say = _no_output if quiet else terminal_line
  start = time.perf_counter()
  _check(request)
  workdir = files.resolve_path(request.workdir, 'workdir')
  facts = _facts(request, workdir)
  out = _target(request, workdir)
  sampler = _load(request, workdir)
  lines = _WRITERS[request.to](request, sampler, facts, out)
  size = sum(p.stat().st_size for p in _written(request, out))
  say(f'run      {workdir}: step {sampler.step:,}, {request.weights} weights')
  for line in lines:
    say(line)
  say(f'written  {out}: {size:,} bytes in {time.perf_counter() - start:.1f} s')
  return out


def terminal_line(text: str) -> None:
  """Prints one line, without control characters."""
  print(files.printable(text), file=terminal.SafeOutput())


def _no_output(text: str) -> None:
  del text


def _check(request: Request) -> None:
  """Refuses options that the format does not have."""
  validation.lookup(tuple(SUFFIXES), request.to, 'to')
  only = {
    'float16': (request.float16, ('page',)),
    'separate_weights': (request.separate_weights, ('stablehlo',)),
    'noise_seed': (
      request.noise_seed is not None,
      ('stablehlo', 'onnx', 'page'),
    ),
    'title': (bool(request.title), ('folder', 'page')),
  }
  for name, (is_given, formats) in only.items():
    if is_given and request.to not in formats:
      raise ValueError(
        f'--{name} is for --to={" and ".join(formats)}, not {request.to}'
      )
  if not request.workdir:
    raise ValueError('--workdir: name the directory of a run')
  if request.to == 'onnx':
    onnx_environment.find_python()


def _target(request: Request, workdir: pathlib.Path) -> pathlib.Path:
  """Returns the path to write, which can be written."""
  suffix = SUFFIXES[request.to]
  default = f'{workdir.resolve().name or "run"}{suffix or "_export"}'
  out = files.resolve_path(request.out or default, 'out')
  if suffix and out.suffix != suffix:
    raise ValueError(f'--out={out}: must end in {suffix} for --to={request.to}')
  parent = out.absolute().parent
  if not parent.is_dir():
    raise FileNotFoundError(f'--out={out}: there is no directory {parent}')
  files.check_directory(parent)
  taken = [
    p for p in _written(request, out, whether_there=False) if os.path.lexists(p)
  ]
  if taken and not request.overwrite:
    raise FileExistsError(
      f'{taken[0]} exists; --overwrite replaces what is there'
    )
  if suffix and any(p.is_dir() for p in taken):
    raise IsADirectoryError(f'{taken[0]} is a directory; must be a file')
  if not suffix and taken:
    _check_replaceable(out)
  return out


def _check_replaceable(out: pathlib.Path) -> None:
  """Refuses to replace a directory with files that no export wrote."""
  own = {
    *(model_folder.WEIGHTS, model_folder.CONFIG, model_folder.CARD),
    model_folder.PICTURE,
  }
  others = (
    [p for p in out.iterdir() if p.name not in own] if out.is_dir() else [out]
  )
  if others:
    raise FileExistsError(
      f'{others[0]} is not of an export: --overwrite does not replace it'
    )


def _written(
  request: Request, out: pathlib.Path, *, whether_there: bool = True
) -> list[pathlib.Path]:
  """Returns the files of an export."""
  if request.to == 'folder':
    return sorted(out.iterdir()) if whether_there else [out]
  found = [out]
  if request.to in ('stablehlo', 'onnx'):
    found.append(_about_path(out))
  if request.separate_weights:
    found.append(out.with_suffix('.safetensors'))
  return found


def _about_path(out: pathlib.Path) -> pathlib.Path:
  """Returns the JSON file beside an export, such as digits.onnx.json."""
  return out.with_name(f'{out.name}.json')


def _facts(request: Request, workdir: pathlib.Path) -> dict[str, Any]:
  """Returns what is known of a run besides its generator."""
  facts: dict[str, Any] = {
    'name': request.title or workdir.resolve().name,
    'weights': request.weights,
  }
  if workdir.is_file():
    return facts
  about = (
    run_dir.read_config(workdir)
    if not model_folder.is_model_folder(workdir)
    else files.read_json(workdir / model_folder.CONFIG)
  )
  names = about.get('class_names')
  if isinstance(names, list):
    facts['class_names'] = list(map(str, names))
  with contextlib.suppress(OSError, ValueError):
    scores = files.read_json(workdir / 'summary.json').get('scores')
    # They are of the last checkpoint of the whole run.
    is_last = request.checkpoint == 'latest' and request.member is None
    if is_last and request.weights == 'ema' and isinstance(scores, list):
      facts['scores'] = [
        x for x in scores if isinstance(x, dict) and 'name' in x
      ]
  return facts


def _load(request: Request, workdir: pathlib.Path) -> sampling.Sampler:
  options = dict(
    weights=request.weights,
    checkpoint=request.checkpoint,
    member=request.member,
  )
  is_run = not model_folder.is_model_folder(workdir)
  if pretrained.is_pretrained(workdir) or not is_run:
    return run_dir.load_sampler(workdir, **options)
  parts = recorded_parts.recorded_parts(workdir)
  metadata = run_dir.read_config(workdir)
  if 'generator' in metadata.get('own_parts', {}) and parts.generator is None:
    raise ValueError(
      f'{workdir} was trained with a generator of its own '
      f'({metadata["own_parts"]["generator"]}), which a config file with '
      'get_parts would name. In Python, pass it: '
      f'gan_jax.load({str(workdir)!r}, generator=...) gives a sampler, and '
      'gan_jax.export.make_page and make_stablehlo export it'
    )
  return run_dir.load_from_parts(workdir, parts, **options)


# ---- The formats: functions (request, sampler, facts, path) -> lines to print.


def _write_folder(
  request: Request,
  sampler: sampling.Sampler,
  facts: dict[str, Any],
  out: pathlib.Path,
) -> list[str]:
  model_folder.check_rebuilds(sampler.config)
  expected = sampler(_PICTURE, seed=0)
  with _new_directory(out) as path:
    if images.can_draw(sampler.shape) and len(sampler.shape) == 3:
      images.save_image_grid(path / model_folder.PICTURE, expected)
    model_folder.save_model_folder(path, sampler, facts)
    again = model_folder.load_model_folder(path)(_PICTURE, seed=0)
    if not np.array_equal(expected, again):
      raise ValueError(f'{out}: the folder does not draw the same samples')
  return [f'checked  {_PICTURE} samples of the folder are equal, bit for bit']


@contextlib.contextmanager
def _new_directory(out: pathlib.Path) -> Iterator[pathlib.Path]:
  """Yields a directory that becomes `out` at the end, as a whole."""
  parent = out.absolute().parent
  path = pathlib.Path(tempfile.mkdtemp(prefix=f'.{out.name}.', dir=parent))
  try:
    yield path
    path.chmod(0o755)
    if out.exists():
      shutil.rmtree(out)
    path.rename(out)
  except BaseException:
    shutil.rmtree(path, ignore_errors=True)
    raise


def _write_stablehlo(
  request: Request,
  sampler: sampling.Sampler,
  facts: dict[str, Any],
  out: pathlib.Path,
) -> list[str]:
  generator = export_lib.make_generator(sampler, noise_seed=request.noise_seed)
  try:
    program = export_lib.make_stablehlo(
      generator, separate_weights=request.separate_weights
    )
  except ImportError as error:  # it is required, but not by JAX
    raise ModuleNotFoundError(f'{error}: pip install flatbuffers') from error
  inputs = example_inputs(sampler, generator)
  exported = jax.export.deserialize(bytearray(program))
  first = (generator.weights,) if request.separate_weights else ()
  difference = _difference(generator, inputs, exported.call(*first, *inputs))
  if request.separate_weights:
    arrays = model_folder.weight_arrays(sampler)
    array_file.write_arrays(out.with_suffix('.safetensors'), arrays, {})
  files.atomic_write(out, program)
  about = _description(request, sampler, generator, facts) | {
    'platforms': list(exported.platforms),
    'separate_weights': request.separate_weights,
    'readable': 'by the JAX of this version and for six months after it',
  }
  files.write_json(_about_path(out), about)
  return [_checked('StableHLO', difference)]


def _write_onnx(
  request: Request,
  sampler: sampling.Sampler,
  facts: dict[str, Any],
  out: pathlib.Path,
) -> list[str]:
  generator = export_lib.make_generator(sampler, noise_seed=request.noise_seed)
  graph = export_lib.trace_graph(
    generator.function,
    generator.weights,
    generator.specs(generator_lib.symbolic_batch()),
  )
  inputs = example_inputs(sampler, generator)
  expected = jax.jit(generator.function)(generator.weights, *inputs)
  model, found = onnx_environment.convert(graph, inputs, np.asarray(expected))
  files.atomic_write(out, model)
  about = _description(request, sampler, generator, facts)
  about['versions'] |= {
    name: found[name] for name in ('jax2onnx', 'onnx', 'onnxruntime', 'opset')
  }
  files.write_json(_about_path(out), about)
  return [
    f'onnx     opset {found["opset"]}, {found["nodes"]} nodes',
    _checked(f'onnxruntime {found["onnxruntime"]}', found['difference']),
  ]


def _write_page(
  request: Request,
  sampler: sampling.Sampler,
  facts: dict[str, Any],
  out: pathlib.Path,
) -> list[str]:
  graph = export_lib.trace_page(sampler, noise_seed=request.noise_seed)
  flops = export_lib.count_flops(graph)
  numbers = sum(x.size for x in graph.constants)
  size = numbers * (2 if request.float16 else 4) * 4 / 3  # in base64
  lines = [f'page     {flops / 1e9:.3g} GFLOP a sample, {numbers:,} numbers']
  if size > _LARGE_PAGE:
    lines.append(
      f'warning  a page of about {size / 1e6:,.0f} MB is slow to open'
      + ('' if request.float16 else '; --float16 halves it')
    )
  if flops > _SLOW_PAGE:
    lines.append(
      f'warning  a sample takes some {flops / 1e9:,.0f} s in a browser: '
      '--to=onnx runs faster, in onnxruntime'
    )
  config = sampler.config
  step = f'{config.generator.name}, step {sampler.step:,}'
  text = export_lib.make_page(
    sampler,
    title=facts['name'],
    about=f'{step}, {request.weights} weights {_digest(sampler)[:12]}',
    class_names=facts.get('class_names', ()),
    rate=getattr(config.data.options, 'sample_rate', 16000),
    float16=request.float16,
    graph=graph,
  )
  files.atomic_write(out, text)
  return lines


_WRITERS: dict[str, Callable[..., list[str]]] = {
  'folder': _write_folder,
  'stablehlo': _write_stablehlo,
  'onnx': _write_onnx,
  'page': _write_page,
}


# ---- What they share.


def example_inputs(
  sampler: sampling.Sampler, generator: export_lib.Generator
) -> list[np.ndarray]:
  """Returns a small batch of inputs, to compare an export with Python.

  Args:
    sampler: sampler of a run; the latents are its first of seed 0.
    generator: its exported function.
  """
  keys = prng.per_example_keys(jax.random.key(0), np.arange(_BATCH))
  found = [np.asarray(sampler.gan.latent_fn(keys, sampler.gan.latent_dim))]
  for name, (shape, dtype) in list(generator.inputs.items())[1:]:
    if name == 'psi':
      found.append(np.float32(0.7))
    elif name == 'label' and sampler.gan.classes:
      found.append(np.arange(_BATCH, dtype=np.int32) % sampler.gan.classes)
    else:
      found.append(np.zeros((_BATCH, *shape), dtype))
  return found


def _difference(generator: Any, inputs: list[np.ndarray], found: Any) -> float:
  """Returns the largest difference from Python, in standard deviations."""
  expected = np.asarray(jax.jit(generator.function)(generator.weights, *inputs))
  return float(np.abs(expected - np.asarray(found)).max() / expected.std())


def _checked(name: str, difference: float) -> str:
  return (
    f'checked  {name} and Python differ by {difference:.1e} standard deviations'
    ' at most'
  )


def _digest(sampler: sampling.Sampler) -> str:
  """Returns the SHA-256 of the weights, in hexadecimal."""
  found = hashlib.sha256()
  for name, x in sorted(model_folder.weight_arrays(sampler).items()):
    found.update(name.encode())
    found.update(np.asarray(x, order='C').tobytes())
  return found.hexdigest()


def _description(
  request: Request,
  sampler: sampling.Sampler,
  generator: export_lib.Generator,
  facts: dict[str, Any],
) -> dict[str, Any]:
  """Returns what is written beside a program."""
  config = config_lib.to_dict(sampler.config)
  inputs = [
    {'name': name, 'shape': list(x.shape), 'dtype': str(x.dtype)}
    for name, x in generator.specs('batch').items()
  ]
  return {
    'format': request.to,
    'inputs': inputs,
    'output': {'name': 'x', 'shape': ['batch', *sampler.shape]},
    'latents': config['latents'],
    'classes': sampler.gan.classes,
    'class_names': list(facts.get('class_names', ())),
    'noise': 'none' if request.noise_seed is None else request.noise_seed,
    'run': {
      'name': facts['name'],
      'step': sampler.step,
      'weights': request.weights,
      'sha256': _digest(sampler),
    },
    'written': datetime.datetime.now(datetime.UTC).date().isoformat(),
    'versions': {'gan_jax': __version__, 'jax': jax.__version__},
  }
