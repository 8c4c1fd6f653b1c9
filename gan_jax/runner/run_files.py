"""Reads the files of a run or of an ensemble for its page, without JAX.

What others wrote is checked: a file that is not as the library writes it is
either refused by name or left out, with a line that says so.
"""

import math
import pathlib
from typing import Any, Iterable, Mapping, Sequence

from gan_jax import config as config_lib
from gan_jax.io import files, jsonl
from gan_jax.report.html_report import (
  EnsembleRecord,
  Evaluation,
  Picture,
  RunRecord,
  curves,
  encode_picture,
  pictures,
)

_MOST_PICTURES = 40
_MOST_PNG = 2**26  # bytes
_MOST_WAV = 3 * 2**20  # bytes
_MOST_EVALUATIONS = 20
_CONFIG, _MEMBERS = 'config.json', 'members.json'

Json = dict[str, Any]


class PictureCache:
  """Encodes pictures of files, each once as long as its file stays the same."""

  def __init__(self):
    self._found: dict[tuple[Any, ...], Picture] = {}

  def read(self, path: pathlib.Path, step: int = 0) -> Picture:
    """Returns the picture of a PNG.

    Args:
      path: path of the file.
      step: number of train steps done.

    Raises:
      OSError: if the file cannot be read.
      ValueError: if it is no picture that can be shown.
    """
    about = path.stat()
    key = (str(path), about.st_mtime_ns, about.st_size, step)
    if key not in self._found:
      content = files.read_bounded(path, most=_MOST_PNG)
      self._found[key] = encode_picture(content, step)
    return self._found[key]


def is_ensemble(workdir: pathlib.Path) -> bool:
  """Returns whether a directory is of an ensemble.

  Args:
    workdir: a directory that holds a run.
  """
  return (workdir / _MEMBERS).is_file()


def check_run(workdir: pathlib.Path) -> None:
  """Refuses a directory that holds no run.

  Args:
    workdir: the directory.

  Raises:
    FileNotFoundError: if there is none; a directory of runs is told.
    NotADirectoryError: if it is a file.
  """
  shown = files.printable(workdir)
  if workdir.is_file():
    raise NotADirectoryError(f'{shown} is a file; must be a directory of a run')
  if not workdir.is_dir():
    raise FileNotFoundError(f'there is no directory {shown}')
  if (workdir / _CONFIG).is_file():
    return
  below = sorted(path.parent for path in workdir.glob(f'*/{_CONFIG}'))
  if below:
    names = ', '.join(files.printable(path.name) for path in below[:4])
    more = ', ...' if len(below) > 4 else ''
    raise FileNotFoundError(
      f'{shown} holds no run, but directories of runs: {names}{more}; name '
      f'them, such as {shown}/*'
    )
  raise FileNotFoundError(f'{shown} holds no run: there is no {_CONFIG} in it')


def read_run(
  workdir: pathlib.Path,
  cache: PictureCache,
  *,
  name: str = '',
  most_pictures: int = _MOST_PICTURES,
) -> RunRecord:
  """Reads a run, which may still be under way.

  Args:
    workdir: its directory.
    cache: encodes pictures.
    name: its name in the page; '' for that of the directory.
    most_pictures: largest number of pictures over the steps.

  Returns:
    The run.

  Raises:
    OSError: if a file cannot be read.
    ValueError: if a file of the run is damaged; the message names it.
  """
  metadata = _read_metadata(workdir)
  summary = _read_object(workdir / 'summary.json')
  problems: list[str] = []
  lines = _metric_lines(workdir / 'metrics.jsonl')
  history = _score_lines(workdir / 'scores.jsonl')
  shown = _read_pictures(workdir, cache, most_pictures, problems)
  classes = metadata.get('class_names')
  return RunRecord(
    name=name or _name_of(workdir),
    **_config_of(metadata),
    lines=lines,
    history=history,
    scores=_score_rows(summary.get('scores')),
    notes=_strings(summary.get('notes')),
    warnings=_warning_lines(workdir / 'warnings.jsonl'),
    evaluations=_evaluations(workdir, problems),
    pictures=shown,
    real=_one_picture(workdir / 'real.png', cache, problems),
    sounds=_sounds(workdir, problems),
    class_names=_strings(classes),
    problems=problems,
  )


def read_ensemble(workdir: pathlib.Path, cache: PictureCache) -> EnsembleRecord:
  """Reads an ensemble, which may still be under way.

  Args:
    workdir: its directory.
    cache: encodes pictures.

  Returns:
    The ensemble.

  Raises:
    OSError: if a file cannot be read.
    ValueError: if a file of the ensemble is damaged; the message names it.
  """
  metadata = _read_metadata(workdir)
  summary = _read_object(workdir / 'summary.json')
  problems: list[str] = []
  found = _by_step(workdir / 'members.jsonl')
  members = _read_members(workdir / _MEMBERS)
  rows = [
    _score_rows(member.get('scores')) or None
    for member in _mappings(summary.get('members'))
  ]
  baselines = {}
  for score, pair in _mapping(summary.get('baselines')).items():
    if isinstance(pair, list) and len(pair) == 2:
      baselines[score] = (_number(pair[0]), _number(pair[1]))
  return EnsembleRecord(
    name=_name_of(workdir),
    **_config_of(metadata),
    members=members,
    lines=[_member_line(line) for line in found if 'metrics' in line],
    history=[_member_scores(line) for line in found if 'scores' in line],
    rows=rows,
    baselines=baselines,
    notes=_strings(summary.get('notes')),
    picture=_one_picture(workdir / 'samples.png', cache, problems),
    sounds=_sounds(workdir, problems),
    problems=problems,
  )


# ---- The parts of a run.


def _name_of(workdir: pathlib.Path) -> str:
  return workdir.absolute().name or str(workdir)


def _read_metadata(workdir: pathlib.Path) -> Json:
  path = workdir / _CONFIG
  metadata = files.read_json(path)
  if not isinstance(metadata.get('config'), dict):
    raise ValueError(
      f"{files.printable(path)} is not as it was written: bad 'config'"
    )
  return metadata


def _config_of(metadata: Json) -> Json:
  """Returns the fields of a record that config.json has."""
  versions = _mapping(metadata.get('versions'))
  config = config_lib.flatten(metadata['config'])
  shape = metadata.get('shape')
  examples = _mapping(metadata.get('examples'))
  data = f'data {config.get("data.name")}'
  if isinstance(shape, list):
    data += f' {" x ".join(map(str, shape))}'
  if isinstance(examples.get('train'), int):
    data += f', {examples["train"]:,} examples'
  known = [f'{n} {versions[n]}' for n in ('gan_jax', 'jax') if n in versions]
  return {
    'config': config,
    'defaults': config_lib.flatten(config_lib.defaults()),
    'penalties': tuple(config_lib.PENALTIES),
    'facts': [data, *known],
  }


def _metric_lines(path: pathlib.Path) -> list[Json]:
  return [
    {'step': line['step'], **_numbers_of(line)} for line in _by_step(path)
  ]


def _numbers_of(line: Mapping[str, Any]) -> dict[str, float | None]:
  return {
    name: _number(value)
    for name, value in line.items()
    if name != 'step' and (value is None or type(value) in (int, float))
  }


def _score_lines(path: pathlib.Path) -> list[Json]:
  found = [
    {'step': line['step'], 'scores': _score_rows(line.get('scores'))}
    for line in _by_step(path)
  ]
  return [line for line in found if line['scores']]


def _warning_lines(path: pathlib.Path) -> list[Json]:
  return [
    {'step': line['step'], 'warnings': line['warnings']}
    for line in _by_step(path)
    if isinstance(line.get('warnings'), dict) and line['warnings']
  ]


def _evaluations(
  workdir: pathlib.Path, problems: list[str]
) -> list[Evaluation]:
  """Reads the records of evaluate.py, the newest first."""
  paths = [p for p in workdir.glob('evaluation-*.json') if p.is_file()]
  paths.sort(key=lambda path: path.stat().st_mtime, reverse=True)
  found = []
  for path in paths[:_MOST_EVALUATIONS]:
    try:
      record = files.read_json(path)
    except ValueError as error:
      problems.append(str(error))
      continue
    samples = _mapping(record.get('samples'))
    features = _mapping(record.get('features'))
    facts = [
      f'{name} {value}'
      for name, value in samples.items()
      if name != 'samples' and not isinstance(value, dict | list)
    ]
    facts += [f'features {features["name"]}'] if 'name' in features else []
    rows = _score_rows(record.get('scores'))
    if rows:
      found.append(Evaluation(f'Scored: {path.stem}', ', '.join(facts), rows))
  return found


def _read_pictures(
  workdir: pathlib.Path,
  cache: PictureCache,
  most: int,
  problems: list[str],
) -> list[Picture]:
  """Reads some of the pictures of samples, in the order of steps."""
  paths = [
    path
    for path in workdir.glob('samples/*.png')
    if path.stem.isascii() and path.stem.isdigit() and len(path.stem) < 16
  ]
  paths.sort(key=lambda path: int(path.stem))
  kept = curves.thin_steps([int(path.stem) for path in paths], most)
  found = []
  for path in (paths[i] for i in kept):
    picture = _one_picture(path, cache, problems, int(path.stem))
    if picture is not None:
      found.append(picture)
  return found


def _one_picture(
  path: pathlib.Path,
  cache: PictureCache,
  problems: list[str],
  step: int = 0,
) -> Picture | None:
  try:
    return cache.read(path, step) if path.exists() else None
  except (OSError, ValueError) as error:
    problems.append(f'{path.name}: {error}')
    return None


def _sounds(workdir: pathlib.Path, problems: list[str]) -> dict[str, str]:
  found = {}
  for name in ('samples', 'real'):
    path = workdir / f'{name}.wav'
    try:
      if path.exists():
        content = files.read_bounded(path, most=_MOST_WAV)
        found[name] = pictures.data_uri(content, 'audio/wav')
    except (OSError, ValueError) as error:
      problems.append(f'{path.name}: {error}')
  return found


# ---- The parts of an ensemble.


def _read_members(path: pathlib.Path) -> list[Json]:
  members = files.read_json_list(path)
  if not all(isinstance(member, dict) for member in members):
    raise ValueError(f'{files.printable(path)} is not a list of members')
  return [
    {k: v for k, v in member.items() if not isinstance(v, dict | list)}
    for member in members
  ]


def _member_line(line: Json) -> Json:
  diverged = line.get('diverged')
  return {
    'step': line['step'],
    'diverged': [i for i in diverged or () if type(i) is int],
    'metrics': {
      name: [_number(v) for v in values]
      for name, values in _mapping(line['metrics']).items()
      if isinstance(values, list)
    },
  }


def _member_scores(line: Json) -> Json:
  rows = line['scores'] if isinstance(line['scores'], list) else []
  return {
    'step': line['step'],
    'scores': [
      {name: _number(v) for name, v in of.items()}
      if isinstance(of, dict)
      else None
      for of in rows
    ],
  }


# ---- Values as they should be.


def _read_object(path: pathlib.Path) -> Json:
  return files.read_json(path) if path.is_file() else {}


def _by_step(path: pathlib.Path) -> list[Json]:
  """Reads lines in the order of steps; of several of a step, the last ones."""
  lines = jsonl.read_jsonl(path) if path.is_file() else []
  kinds: dict[tuple[int, bool], Json] = {}
  for line in lines:
    kinds[line['step'], 'scores' in line] = line
  return [kinds[key] for key in sorted(kinds)]


def _number(value: Any) -> float | None:
  is_number = type(value) in (int, float) and math.isfinite(value)
  return value if is_number else None


def _mapping(value: Any) -> Mapping[str, Any]:
  return value if isinstance(value, dict) else {}


def _mappings(value: Any) -> Iterable[Mapping[str, Any]]:
  return [_mapping(v) for v in value] if isinstance(value, list) else []


def _strings(value: Any) -> Sequence[str]:
  return [str(v) for v in value] if isinstance(value, list) else []


def _score_rows(value: Any) -> list[Json]:
  """Returns the rows of scores that have a name, their numbers checked."""
  numbers = ('value', 'error', 'baseline', 'baseline_error', 'p_value')
  return [
    {
      'name': str(row['name']),
      'better': str(row.get('better') or ''),
      'real': str(row.get('real') or ''),
      'counts': dict(_mapping(row.get('counts'))),
      **{name: _number(row.get(name)) for name in numbers},
    }
    for row in _mappings(value)
    if 'name' in row
  ]
