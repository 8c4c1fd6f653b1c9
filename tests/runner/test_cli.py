"""Tests of train.py's command line, in this process."""

import ast
import pathlib
import re
import sys

import pytest
from absl import flags
from ml_collections import config_flags

from gan_jax import config as config_lib
from gan_jax.runner import cli, config_file

ROOT = pathlib.Path(__file__).parents[2]
DIGITS = ROOT / 'configs' / 'digits.py'


@pytest.fixture
def parse(monkeypatch):
  """Returns a function from arguments to the resolved config, as of train.py."""

  def run(*arguments):
    argv = ['train.py', *arguments]
    holder = flags.FlagValues()
    define = config_flags.DEFINE_config_file
    sys.modules.pop('config_config', None)  # of config_flags' last file
    with monkeypatch.context() as patch:
      patch.setattr(sys, 'argv', argv)  # where config_flags looks, too
      patch.setattr(flags, 'FLAGS', holder)
      patch.setattr(
        config_flags,
        'DEFINE_config_file',
        lambda *given: define(*given, flag_values=holder),
      )
      flag = cli.ConfigFlag(DIGITS)
      flag.parse(argv)
      return flag.resolve(), flag.run_name()

  monkeypatch.chdir(ROOT)
  return run


def refused(parse, *arguments):
  """Returns the message with which a command line is refused."""
  with pytest.raises((SystemExit, ValueError)) as error:
    parse(*arguments)
  message = str(error.value)
  if error.type is SystemExit:
    assert message.startswith('train.py: '), 'a message, not a number'
  assert '\n' not in message
  return message


def test_fewer_steps_than_the_average_needs(parse):
  with pytest.warns(UserWarning, match='num_steps=60, and 6000 in .*ema_decay'):
    parse('--config.num_steps=60')
  parse('--config.num_steps=5999')


def test_the_default_config(parse):
  config, name = parse()
  assert config == config_lib.resolve(config_file.load_config(DIGITS))
  assert name == 'digits'


@pytest.mark.parametrize(
  'arguments',
  [
    ['--config=configs/d2l_gaussian.py:test'],
    ['--config', 'configs/d2l_gaussian.py:test'],
    ['--config=d2l_gaussian:test'],
    [f'-config={ROOT}/configs/d2l_gaussian.py:test'],
  ],
)
def test_a_config_by_name(parse, arguments):
  config, name = parse(*arguments, '--config.batch_size=4')
  assert config.data.name == 'gaussian' and config.num_steps == 2
  assert config.batch_size == 4
  assert name == 'd2l_gaussian-test'


OVERRIDES = {
  'a network': (
    ['--config.generator.name=mlp'],
    lambda c: (c.generator.name, c.generator.options.norm),
    ('mlp', 'batch'),
  ),
  'an optimizer keeps the learning rate': (
    ['--config.d_optimizer.name=sgd'],
    lambda c: (c.d_optimizer.name, c.d_optimizer.learning_rate),
    ('sgd', 1e-3),
  ),
  'an augmentation and its option': (
    ['--config.augment.name=ada', '--config.augment.ada.target=0.7'],
    lambda c: (c.augment.name, c.augment.options.target),
    ('ada', 0.7),
  ),
  'a loss and its option': (
    [
      '--config.loss=least_squares',
      '--config.loss_options.least_squares.generator_target=0',
    ],
    lambda c: (c.loss, c.loss_options.least_squares.generator_target),
    ('least_squares', 0.0),
  ),
  'a short name': (
    ['--config.loss=lsgan'],
    lambda c: c.loss,
    'least_squares',
  ),
  'a tuple': (
    ['--config.generator.name=mlp', '--config.generator.mlp.features=(8,9)'],
    lambda c: c.generator.options.features,
    (8, 9),
  ),
  'a whole number for a float': (
    ['--config.penalties.r1.weight=2'],
    lambda c: c.penalties.r1.weight,
    2.0,
  ),
  'a value of its own word': (
    ['--config.log_every', '7', '--config.diagnostics'],
    lambda c: (c.log_every, c.diagnostics),
    (7, True),
  ),
}


@pytest.mark.parametrize('case', OVERRIDES)
def test_overrides(parse, case):
  arguments, read, expected = OVERRIDES[case]
  config, _ = parse(*arguments)
  assert read(config) == expected


# case -> (arguments, what the message must have).
REFUSED = {
  'a stray word': (['mnist'], ["'mnist'"]),
  'a name without its flag': (['mnist:test'], ['--config=mnist:test']),
  'a config without its flag': (
    ['configs/mnist.py'],
    ["'configs/mnist.py'", '--config=configs/mnist.py'],
  ),
  'a value apart from its option': (
    ['--config.batch_size=8', '16'],
    ["'16'"],
  ),
  'a config without .py': (
    ['--config=configs/mnist'],
    ["'configs/mnist'", "'configs/mnist.py'"],
  ),
  'no such config': (
    ['--config=configs/none.py'],
    ['configs/none.py', 'digits'],
  ),
  'no such config of the library': (
    ['--config=digts:test'],
    ["'digts:test'", "Did you mean 'digits:test'", 'the library: acgan'],
  ),
  'no such config, of its own word': (
    ['--config', 'configs/none.py'],
    ['configs/none.py', 'digits'],
  ),
  'variant': (
    ['--config=configs/digits.py:fast'],
    ["unknown variant 'fast'", "':test'"],
  ),
  'flag': (['--confg=x'], ["'--confg'", "Did you mean '--config'"]),
  'field': (
    ['--config.bach_size=3'],
    ["'bach_size'", "'batch_size'"],
  ),
  'field of a section': (
    ['--config.generator.nme=mlp'],
    ["'generator.nme'", "'generator.name'"],
  ),
  'field of a part': (
    ['--config.generator.dcgan.widht=3'],
    ["'generator.dcgan.widht'", "'generator.dcgan.width'"],
  ),
  'field of a loss': (
    ['--config.loss_options.least_squares.target=1'],
    ["'loss_options.least_squares.target'"],
  ),
  'field of the choice itself': (
    ['--config.d_optimizer.b1=0.5'],
    ["'d_optimizer.b1'", 'd_optimizer.adam.b1'],
  ),
  'another spelling of a penalty': (
    ['--config.penalties.wgan-gp.weight=1'],
    ["'penalties.wgan_gp.weight'"],
  ),
  'a name of before': (
    ['--config.eval.every=5'],
    ["'eval.every'", "'eval_every'"],
  ),
  'a section': (
    ['--config.generator=mlp'],
    ['generator is a section', 'generator.name'],
  ),
  'below a value': (
    ['--config.generator.dcgan.width.x=3'],
    ["'generator.dcgan.width.x'", 'generator.dcgan.width is a value'],
  ),
  'no number': (
    ['--config.num_steps=abc'],
    ['--config.num_steps=abc: must be a whole number'],
  ),
  'no truth value': (
    ['--config.diagnostics=maybe'],
    ['--config.diagnostics=maybe: must be true or false'],
  ),
  'a config of another ending': (
    ['--config=configs/digits.pyx'],
    ["'configs/digits.pyx.py'", "'configs/digits.py'"],
  ),
  'a variant of a config without .py': (
    ['--config=configs/digits:test'],
    ["'configs/digits.py:test'"],
  ),
  'a directory': (['--config=configs'], ['in configs/', 'digits']),
  'an empty name': (['--config='], ['config is empty']),
  'type': (['--config.batch_size=3.5'], ['batch_size', '3.5']),
  'range': (['--config.batch_size=0'], ['batch_size=0']),
  'no value': (['--config.num_steps'], ['type --config.num_steps=VALUE']),
  'a flag in place of a value': (
    ['--config.data.folder.path', '--config.conditional'],
    ['--config.data.folder.path has no value'],
  ),
  'loss': (['--config.loss=hing'], ["'hing'", "'hinge'"]),
  'loss of several options': (
    ['--config.loss=wgan-gp'],
    ["'wgan-gp'", "loss='wasserstein'", 'penalties.wgan_gp.weight=10'],
  ),
  'data': (['--config.data.name=digts'], ["'digts'", "'digits'"]),
  'metric': (['--config.eval.metrics=fidd'], ["'fidd'", "'fid'"]),
  'metric of another distribution': (
    ['--config.eval.metrics=modes'],
    ["'modes'", 'ring'],
  ),
  'option of a network not chosen': (
    ['--config.generator.mlp.norm=none'],
    ['generator.mlp.norm', "'dcgan'", 'generator.name=mlp'],
  ),
  'option of an optimizer not chosen': (
    ['--config.d_optimizer.name=sgd', '--config.d_optimizer.adam.b1=0.5'],
    ['d_optimizer.adam.b1', "'sgd'"],
  ),
  'option of a loss not chosen': (
    ['--config.loss_options.least_squares.generator_target=0'],
    ['loss_options.least_squares.generator_target', "'non_saturating'"],
  ),
  'option of a penalty of weight 0': (
    ['--config.penalties.lecam.decay=0.9'],
    ['penalties.lecam.decay', 'penalties.lecam.weight'],
  ),
  'sweep of what is no number': (
    ['--config.ensemble.sweep=batch_size=8,16'],
    ['ensemble.sweep', 'batch_size'],
  ),
}


@pytest.mark.parametrize('case', REFUSED)
def test_refused_with_the_names(parse, case):
  arguments, names = REFUSED[case]
  message = refused(parse, *arguments)
  for name in names:
    assert name in message


def test_a_field_below_a_number_is_refused(parse):
  assert "'batch_size.x'" in refused(parse, '--config.batch_size.x=3')


def test_options_of_other_parts_in_a_file_are_kept(parse, tmp_path):
  path = tmp_path / 'configs' / 'mine.py'
  path.parent.mkdir()
  path.write_text(
    'from gan_jax import config\n'
    'import ml_collections\n'
    'def get_config():\n'
    '  mine = ml_collections.ConfigDict(config.defaults())\n'
    '  mine.generator.mlp.features = (7,)\n'
    '  return mine\n'
  )
  config, name = parse(f'--config={path}')
  assert config.generator.name == 'dcgan' and name == 'mine'
  config, _ = parse(f'--config={path}', '--config.generator.name=mlp')
  assert config.generator.options.features == (7,)


@pytest.mark.parametrize(
  ('text', 'name'),
  [
    ('def get_config(:\n', 'line 1: invalid syntax'),
    ('x = 1\nimport nowhere\n', 'line 2: No module named'),
    ('x = 1\n', 'no function get_config'),
    ('def get_config():\n  raise ValueError("bad width")\n', 'bad width'),
    ('def get_config():\n  return {}["b"]\n', "line 2: there is no 'b'"),
  ],
)
def test_a_file_that_is_no_config(parse, tmp_path, text, name):
  path = tmp_path / 'mine.py'
  path.write_text(text)
  with pytest.raises(ValueError) as error:
    config_file.load_config(path)
  assert name in str(error.value) and str(path) in str(error.value)
  assert 'Error' not in str(error.value)
  assert refused(parse, f'--config={path}') == f'train.py: {error.value}'


@pytest.mark.parametrize('value', ['3', 'None', '[("seed", 1)]'])
def test_a_config_that_is_no_mapping(parse, tmp_path, value):
  path = tmp_path / 'mine.py'
  path.write_text(f'def get_config():\n  return {value}\n')
  assert 'must return a mapping' in refused(parse, f'--config={path}')


def test_a_config_file_may_return_a_mapping_of_some_fields(parse, tmp_path):
  path = tmp_path / 'mine.py'
  path.write_text(
    'def get_config():\n'
    '  return {"num_steps": 5, "data": {"digits": {"size": 8}}}\n'
  )
  config, _ = parse(
    f'--config={path}', '--config.batch_size=4', '--config.augment.name=ada'
  )
  assert (config.num_steps, config.batch_size) == (5, 4)
  assert config.data.digits.size == 8 and config.augment.name == 'ada'
  path.write_text('def get_config():\n  return {"data": {"nme": "ring"}}\n')
  assert "'data.nme'" in refused(parse, f'--config={path}')


def test_a_config_file_runs_once(parse, tmp_path):
  path = tmp_path / 'mine.py'
  path.write_text(
    'import pathlib\n'
    f'count = pathlib.Path({str(tmp_path / "count")!r})\n'
    'def get_config():\n'
    '  count.write_text(count.read_text() + "x" if count.exists() else "x")\n'
    '  return {}\n'
  )
  parse(f'--config={path}')
  assert (tmp_path / 'count').read_text() == 'x'


def test_a_config_in_the_home_directory(parse, tmp_path, monkeypatch):
  monkeypatch.setenv('HOME', str(tmp_path))
  (tmp_path / 'mine.py').write_text('def get_config():\n  return {"seed": 7}\n')
  assert parse('--config=~/mine.py')[0].seed == 7


def test_a_config_file_imports_what_is_beside_it(tmp_path):
  folder = tmp_path / 'configs_of_mine'
  folder.mkdir()
  (folder / 'shared.py').write_text('STEPS = 7\n')
  (folder / 'mine.py').write_text(
    'from configs_of_mine import shared\n'
    'def get_config(variant):\n'
    '  return {"num_steps": shared.STEPS, "loss": variant}\n'
  )
  before = list(sys.path)
  loaded = config_file.load_config(f'{folder}/mine.py:hinge')
  assert loaded == {'num_steps': 7, 'loss': 'hinge'}
  assert sys.path == before


def test_every_field_is_printed_and_can_be_typed_back(parse):
  arguments = [
    '--config.augment.name=ada',
    '--config.schedules=penalties.r1.weight=linear(1, 0.1)',
  ]
  config, _ = parse(*arguments)
  text = config_lib.format_config(config)
  printed = dict(line.split(' = ', 1) for line in text.splitlines())
  expected = config_lib.flatten(config_lib.to_dict(config))
  assert printed.keys() == expected.keys()
  assert printed['augment.ada.target'] == '0.6'  # a default
  assert printed['schedules'].endswith('steps=6000)')  # num_steps
  assert 'generator.mlp.features' not in printed
  typed = [
    f'--config.{name}={value}'
    for name, value in printed.items()
    if name != 'ensemble.sweep'
  ]
  assert parse(*typed)[0] == config


# Modules whose messages only one program prints.
PROGRAM_OF = {
  'runner/evaluate.py': 'evaluate.py',
  'runner/export.py': 'export.py',
  'experiment/model_folder.py': 'export.py',
  'data/sample_files.py': 'evaluate.py',
  'data/tfds.py': 'prepare.py',
  'data/prepare.py': 'prepare.py',
  'data/import_images.py': 'prepare.py',
  'data/shards.py': 'prepare.py',
  'data/shard_writer.py': 'prepare.py',
  'runner/launch.py': 'train.py',
  'runner/report.py': 'report.py',
  'runner/report_server.py': 'report.py',
  'sampling/styles.py': 'sample.py',
  'runner/sample.py': 'sample.py',
  'runner/sample_examples.py': 'sample.py',
  'runner/sample_pictures.py': 'sample.py',
  'runner/sample_writers.py': 'sample.py',
  'runner/convert_weights.py': 'train.py',  # options that it prints
  'runner/cli.py': 'train.py',
  'runner/extract.py': 'train.py',
  'commands/convert_weights.py': 'train.py',
  'commands/list.py': 'train.py',
  'commands/main.py': 'train.py',
  'io/torch_checkpoint.py': 'train.py',  # --help
}
FLAG = re.compile(r'(?:(\w+\.py): )?(?<![\w-])--([a-z]\w*(?:\.\w+)*)')


def flags_of(program):
  """Returns the flags that a program defines, read from its source."""
  directory = 'data' if program == 'prepare.py' else 'commands'
  text = (ROOT / 'gan_jax' / directory / program).read_text()
  found = re.findall(r"(?:DEFINE_\w+\(|add_argument\()\s*'(?:--)?(\w+)'", text)
  return {*found, 'help', *(['config'] if 'ConfigFlag' in text else [])}


def messages(path):
  """Yields the strings of a module, without docstrings and formatted parts."""
  tree = ast.parse(path.read_text())
  documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
  docs = {
    id(node.body[0].value)
    for node in ast.walk(tree)
    if isinstance(node, documented) and isinstance(node.body[0], ast.Expr)
  }
  for node in ast.walk(tree):
    if isinstance(node, ast.JoinedStr):
      docs |= {id(part) for part in node.values}
      yield ''.join(
        getattr(part, 'value', '{}')
        for part in node.values
        if isinstance(getattr(part, 'value', ''), str)
      )
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
      if id(node) not in docs:
        yield node.value


def test_flags_that_messages_recommend_exist():
  """A message says what its own program, or one that it names, accepts."""
  seen = set()
  for path in sorted((ROOT / 'gan_jax').rglob('*.py')):
    module = path.relative_to(ROOT / 'gan_jax').as_posix()
    for text in messages(path):
      for named, flag in FLAG.findall(text):
        if flag.startswith('xla_') or flag in ('data_dir', 'version'):
          continue
        own = path.name if module.startswith('commands/') else None
        program = named or PROGRAM_OF.get(module, own)
        assert program, f'{module}: --{flag}: for which program? {text}'
        seen.add((program, flag))
        if flag.startswith('config.') and program == 'train.py':
          name = flag.removeprefix('config.')
          if name not in ('FIELD', 'ensemble'):
            config_lib.check_name(name)
        else:
          assert flag in flags_of(program), f'{module}: --{flag}: {text}'
  assert ('evaluate.py', 'size') in seen
  assert ('train.py', 'config.data.folder.path') in seen


def test_points_of_an_ensemble_come_from_a_file_of_json_lines(parse, tmp_path):
  path = tmp_path / 'points.jsonl'
  path.write_text('{"ema_decay": 0.5}\n\n{"ema_decay": 0.9}\n')
  config, _ = parse(f'--config.ensemble.points={path}')
  assert config.ensemble.points == ('{"ema_decay": 0.5}', '{"ema_decay": 0.9}')
  # A line of --print_config, and mappings.
  for points in (
    config.ensemble.points,
    '{"ema_decay": .5}, {"ema_decay": .9}',
  ):
    assert parse(f'--config.ensemble.points={points}')[0] == config
  message = refused(parse, f'--config.ensemble.points={tmp_path}/none.jsonl')
  assert 'none.jsonl: there is no such file' in message
  path.write_text('\n')
  message = refused(parse, f'--config.ensemble.points={path}')
  assert 'points.jsonl has no points' in message
  path.write_bytes(b'\xff\xfe')
  message = refused(parse, f'--config.ensemble.points={path}')
  assert 'is no text file' in message
  path.write_text('{"ema_decay": 0.5}\n{"ema_decay": 2}\n')
  config, _ = parse(f'--config.ensemble.points={path}')  # the range: later
  path.write_text('{"ema_decay": 0.5}\n{"ema_decay"}\n')
  assert "points[1]='{" in refused(parse, f'--config.ensemble.points={path}')
