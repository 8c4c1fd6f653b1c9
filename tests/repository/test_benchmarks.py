"""Tests of the benchmarks that do not measure anything."""

import functools
import json
import os
import pathlib
import runpy
import subprocess
import sys
import textwrap
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import config as config_lib
from gan_jax import layers
from gan_jax.experiment import program as program_lib

ROOT = pathlib.Path(__file__).parents[2]
DIRECTORY = ROOT / 'benchmarks'
# The PyTorch sides are started by other benchmarks and have no options.
COMMANDS = sorted(
  path.stem
  for path in DIRECTORY.glob('*.py')
  if 'parse_args' in path.read_text() or 'parse_known_args' in path.read_text()
)


@pytest.fixture(autouse=True)
def importable(monkeypatch):
  """Puts the directory of the benchmarks first, as Python does for a script."""
  monkeypatch.syspath_prepend(str(DIRECTORY))


@pytest.fixture
def turns(importable):
  import turns

  return turns


@pytest.fixture
def suite(importable, tmp_path, monkeypatch):
  import suite

  monkeypatch.setattr(suite, 'DOCS', tmp_path)
  return suite


MARKED = 'Before.\n<!-- toy begin -->\nold\n<!-- toy end -->\nAfter.\n'


def test_text_between_the_marks_is_replaced(suite):
  text = suite.replace(MARKED, 'toy', '| new |\n')
  assert text == (
    'Before.\n<!-- toy begin -->\n\n| new |\n\n<!-- toy end -->\nAfter.\n'
  )
  assert suite.replace(text, 'toy', '| new |') == text


@pytest.mark.parametrize(
  'text',
  [
    'none',
    '<!-- toy begin -->',
    '<!-- toy end --><!-- toy begin -->',
    MARKED + MARKED,
    MARKED + '<!-- toy end -->',
    '<!-- toy begin -->' + MARKED,
  ],
)
def test_missing_or_repeated_marks_are_refused(suite, text):
  with pytest.raises(ValueError, match='<!-- toy begin -->'):
    suite.replace(text, 'toy', 'new')


def test_every_benchmark_has_marks_in_its_document(suite):
  for benchmark in suite.BENCHMARKS:
    text = (ROOT / 'docs' / benchmark.document).read_text()
    assert 'new' in suite.replace(text, benchmark.name, 'new')
    assert benchmark.name in COMMANDS
    source = (DIRECTORY / f'{benchmark.name}.py').read_text()
    assert ('torch_python' in source) == benchmark.torch


def run_suite(suite, monkeypatch, tmp_path, program, *arguments):
  """Runs a suite whose only benchmark is `program`."""
  (tmp_path / 'benchmarks.md').write_text(MARKED)
  (tmp_path / 'toy.py').write_text(textwrap.dedent(program))
  monkeypatch.setattr(suite, '__file__', str(tmp_path / 'suite.py'))
  monkeypatch.setattr(suite, 'BENCHMARKS', [suite.Benchmark('toy', torch=True)])
  monkeypatch.setattr(sys, 'argv', ['suite.py', *arguments])
  with pytest.raises(SystemExit) as ended:
    suite.main()
  return int(ended.value.code), (tmp_path / 'benchmarks.md').read_text()


def test_suite_writes_the_output(suite, monkeypatch, tmp_path):
  program = """
    import sys
    print(*sys.argv[1:])
    print()
    print('| a |')
    print('| --- |')
    print('| 1 |')
  """
  code, text = run_suite(
    suite, monkeypatch, tmp_path, program, '--torch_python=/x', '--rounds=2'
  )
  assert code == 0
  assert text == suite.replace(
    MARKED, 'toy', '--torch_python=/x --rounds=2\n\n| a |\n| --- |\n| 1 |'
  )


@pytest.mark.parametrize(
  ('program', 'code', 'outcome'),
  [
    ("print('| a |\\n|---|\\n| 1 |'); raise SystemExit(3)", 1, 'FAILED'),
    ("print('No accelerator.')", 0, 'nothing measured: No accelerator.'),
    ("print('| a |\\n|---|')", 0, 'nothing measured'),
  ],
)
def test_suite_keeps_old_tables(
  suite, monkeypatch, tmp_path, capsys, program, code, outcome
):
  found = run_suite(suite, monkeypatch, tmp_path, program)
  assert found == (code, MARKED)
  assert f'toy            {outcome}' in capsys.readouterr().out


def test_medians_exclude_the_first_round(turns):
  spent = [turns.Spent(*x) for x in ((9, 9), (1, 4), (3, 2), (2, 3))]
  found = turns.medians({'a': spent, 'once': spent[:1]})
  assert found == {'a': (2, 3), 'once': (9, 9)}


def test_contenders_take_turns(turns, capsys):
  order = []

  def contender(name):
    def run():
      order.append(name)
      return turns.Spent(float(len(order)), 0.0)

    return run

  contenders = {name: contender(name) for name in 'abc'}
  found = turns.take_turns(contenders, 3, once='c')
  assert ''.join(order) == 'abcabab'
  assert found['a'].wall == 5 and found['b'].wall == 6 and found['c'].wall == 3


def test_fastest_is_found_per_column(turns):
  times = {'PyTorch, a': (4.0, 6.0), 'PyTorch, b': (2.0, 8.0)}
  times |= {'gan_jax': (1.0, 1.0)}
  assert turns.fastest(times, 'PyTorch') == (2.0, 6.0)
  assert turns.fastest(times, 'missing') is None
  assert turns.Spent(4.0, 6.0).per(2) == (2.0, 3.0)


def test_networks_of_different_sizes_are_refused(turns):
  turns.check_sizes({'a': 3, 'b': 3})
  with pytest.raises(AssertionError, match="differ in size: {'a': 3, 'b': 4}"):
    turns.check_sizes({'a': 3, 'b': 4})


def test_missing_pytorch_is_reported_once(turns, monkeypatch, capsys):
  monkeypatch.setattr(turns.importlib.util, 'find_spec', lambda name: None)
  turns.has_torch.cache_clear()
  for _ in range(2):
    with turns.start_torch('', 'toy_torch.py') as torch:
      assert torch is None
  turns.has_torch.cache_clear()
  assert capsys.readouterr().out.count('PyTorch is left out') == 1


def test_tables_are_markdown(turns):
  rows = [['a', 1.23456, 1234.5], ['b', None, '7'], ['c', 0.0123456, 8]]
  assert turns.table(['', 'x', 'y'], rows).splitlines() == [
    '|  | x | y |',
    '| --- | ---: | ---: |',
    '| a | 1.23 | 1,234 |',
    '| b |  | 7 |',
    '| c | 0.0123 | 8 |',
  ]


def test_a_worker_serves_requests(turns, tmp_path, monkeypatch):
  program = tmp_path / 'worker.py'
  program.write_text(
    textwrap.dedent(f"""
      import os, sys, time
      sys.path.insert(0, {str(DIRECTORY)!r})
      import turns
      turns.serve({{'got': sys.argv[1:] + [os.environ['TONE']]}}, time.sleep)
    """).replace('time.sleep)', 'lambda seconds: time.sleep(seconds))')
  )
  monkeypatch.setattr(turns, '__file__', str(tmp_path / 'turns.py'))
  worker = turns.Worker(sys.executable, 'worker.py', 'one', TONE='two')
  assert worker.info == {'got': ['one', 'two']}
  with worker:
    spent = worker.run(seconds=0.05)
  assert spent.wall >= 0.05 > spent.cpu
  assert worker.process.returncode == 0


def test_a_worker_that_ends_is_an_error(turns, tmp_path, monkeypatch):
  (tmp_path / 'worker.py').write_text('')
  monkeypatch.setattr(turns, '__file__', str(tmp_path / 'turns.py'))
  with pytest.raises(RuntimeError, match='worker.py ended'):
    turns.Worker(sys.executable, 'worker.py')


@pytest.mark.slow
def test_missing_steps_are_noticed(importable):
  import fused
  import toy

  from gan_jax import experiment

  run = fused.Fused(experiment.build(toy.config(3)), 3)
  assert run.run(2).wall > 0 and int(run.state.step) == 9
  run.state = run.state.replace(step=run.state.step + 1)
  with pytest.raises(RuntimeError, match='at step 13, not 12'):
    run.run()


def test_all_reduces_are_counted_with_what_they_overlap(importable):
  import gpu_collectives

  text = """
    %a = f32[3,4]{1,0} all-reduce(%x), channel_id=1
    %b = (f32[5]{0}, bf16[2,2]{1,0}, f32[]) all-reduce-start(%y, %z), channel_id=2
    %s = f32[5]{0} all-reduce-start(%q), channel_id=3
    %f = f32[100]{0} fusion(%e, %all-reduce), kind=kLoop
    %g = (f32[1]{0}, f32[2]{0}) custom-call(%e)
    %t = f32[5]{0} all-reduce-done(%s), metadata={}
    %h = f32[5]{0} bitcast(%t)
    ROOT %c = f32[5]{0} copy(%h)
    %d = (f32[5]{0}, bf16[2,2]{1,0}, f32[]) all-reduce-done(%b)
  """
  found = gpu_collectives.read_reduces(text)
  assert found == [(4 * 12, 0), (4 * 5, 2), (4 * 5 + 2 * 4 + 4, 3)]
  found = [gpu_collectives.Reduce(10**6, 0), gpu_collectives.Reduce(10**5, 2)]
  row = gpu_collectives.count_row('x', found, 275_000)
  assert row[2:] == ['2', '1,100,000', 1.0, '2', '9', '0, 2']


def test_the_estimate_is_that_of_the_formula(importable):
  import gpu_collectives as lib

  reduces = [lib.Reduce(4_500_000, 0)] * 2
  spent = lib.estimate(reduces, 1.0, 8)
  np.testing.assert_allclose(spent, [1, 2 * 7 / 8 * 2e-5, 4e-5])
  spent = lib.estimate(reduces, 1.0, 64)
  np.testing.assert_allclose(spent, [1, 2 * 63 / 64 * 18e-5, 8e-5])


def test_a_set_of_links_has_the_images_of_its_index(importable, tmp_path):
  import many_images

  many_images.write_large(tmp_path / 'large', 300)
  found = many_images.open_and_read('shards', *[str(tmp_path / 'large')] * 2)
  assert found['rate'] > 0
  row = many_images.stream(str(tmp_path / 'large'), 4, 0.0)
  assert row['images'] == 270 and row['rows'][0][0] == 1


def test_imports_of_train_py_are_found(importable):
  import startup

  code = startup.train_imports()
  assert 'gan_jax.runner import launch' in code
  assert 'from gan_jax.runner.train import train' in code
  exec(compile(code, 'imports', 'exec'), {})


def test_configs_of_the_benchmarks_are_valid(importable):
  import mixture_speed
  import toy

  toy_config = config_lib.resolve(toy.config(7))
  assert toy_config.steps_per_call == 7 and toy_config.num_devices == 1
  assert config_lib.is_ensemble(config_lib.resolve(mixture_speed.config(10)))
  assert not config_lib.is_ensemble(config_lib.resolve(mixture_speed.config(1)))


def test_a_folder_is_streamed(importable, tmp_path):
  import feed

  feed.write_images(tmp_path, 80, 64)
  streamed = feed.folder_experiment(tmp_path, 4, 3)
  assert streamed.config.generator.dcgan.width == 4
  assert not program_lib.fits_on_device(streamed.train, streamed.config)


def test_scaling_trains_small_networks_by_sgd(importable):
  import scaling

  built = scaling.make_experiment('SNGAN, ReACGAN', 4)
  assert built.shape == (8, 8, 3) and built.config.d_steps == 1
  assert built.config.g_optimizer.name == 'sgd'
  assert built.config.penalties.reacgan.weight > 0
  assert len(built.train) == scaling.EXAMPLES


def test_differences_of_parameters_are_relative(importable, tmp_path):
  import scaling

  first, before = [np.array([2.0, -4.0]), np.zeros(3)], [np.ones(2), np.ones(3)]
  second = [np.array([2.0, -3.0]), np.full(3, 1e-9)]
  scaling.save_parameters(tmp_path / 'a.npz', before, first)
  scaling.save_parameters(tmp_path / 'b.npz', before, second)
  found = scaling.largest_difference(tmp_path / 'a.npz', tmp_path / 'b.npz')
  assert found == 1 / 5


def test_gpu_compares_the_same_networks(importable):
  import gpu

  options = types.SimpleNamespace(width=4, batch=8, steps=2)
  dcgan = gpu.make_experiment(32, 'bfloat16', options)
  assert dcgan.config.generator.dcgan.width == 4
  assert dcgan.config.penalties.r1.weight == 0
  assert dcgan.config.compute_dtype == 'bfloat16'


@pytest.mark.parametrize(
  ('name', 'parameters'),
  [
    ('StyleGAN2', 314_387 + 324_993),
    ('R3GAN', 145_600 + 141_568),
    ('FastGAN', 618_932 + 147_808),
    ('WaveGAN', 683_009 + 273_537),
  ],
)
def test_sizes_of_modern_networks(importable, name, parameters):
  import modern_jax
  import modern_step

  sizes = modern_step.make_sizes(name, short=False)
  short = modern_step.make_sizes(name, short=True)
  assert short['width'] == sizes['width'] // 4 and short['batch'] == 4
  channels, *sides = sizes['shape']
  inputs = (sizes['latent_dim'],), (*sides, channels)
  found = 0
  for module, shape in zip(modern_jax.make_networks(name, sizes, {}), inputs):
    init = functools.partial(module.init, train=False)
    x = jax.ShapeDtypeStruct((sizes['batch'], *shape), jnp.float32)
    params = jax.eval_shape(init, jax.random.key(0), x)['params']
    found += sum(leaf.size for leaf in jax.tree.leaves(params))
  assert found == parameters


def test_ways_to_write_modern_networks(importable):
  import modern_step

  ways = modern_step.torch_ways('StyleGAN2', 'float32', on_gpu=False)
  assert len(ways) == 4
  title = 'PyTorch, a kernel per example, channels_last'
  assert ways[title] == dict(
    layout='channels_last', scales_kernels=1, compiled=False, dtype='float32'
  )
  assert list(modern_step.torch_ways('WaveGAN', 'float32', on_gpu=False)) == [
    'PyTorch'
  ]
  assert list(modern_step.torch_ways('R3GAN', 'bfloat16', on_gpu=True)) == [
    'PyTorch, eager',
    'PyTorch, compiled',
  ]


def test_parameters_get_the_names_and_axes_of_pytorch(importable):
  import modern_jax

  def found(path, *shape):
    name, x = modern_jax.to_torch(path, np.zeros(shape))
    return name, x.shape

  assert found('Block_0/Conv_1/kernel', 3, 5, 2, 7) == (
    'block_0.conv_1.weight',
    (7, 2, 3, 5),
  )
  assert found('Conv1D_0/kernel', 5, 2, 7) == ('conv1d_0.weight', (7, 2, 5))
  assert found('Dense_0/kernel', 2, 7) == ('dense_0.weight', (7, 2))
  assert found('a/constant', 4, 5, 7) == ('a.constant', (7, 4, 5))
  assert found('BatchNorm_0/scale', 7) == ('batchnorm_0.weight', (7,))
  assert found('noise/scale') == ('noise.scale', ())


def test_wavegan_is_mirrored(importable):
  """Compares with sound that is padded as in PyTorch, by 11 and 10 zeros."""
  import modern_jax

  draw = np.random.default_rng(0).standard_normal
  x, kernel = draw((1, 8, 1), np.float32), draw((25, 1, 1), np.float32)
  conv = layers.Conv1D(1, size=25, stride=4, use_bias=False)
  y = conv.apply({'params': {'kernel': kernel}}, x)
  padded = np.pad(modern_jax.channels_first(x)[0, 0], (11, 10))
  mirrored = modern_jax.mirror('Conv1D_0/kernel', kernel)[:, 0, 0]
  want = np.correlate(padded, mirrored)[::4]
  np.testing.assert_allclose(
    modern_jax.channels_first(y)[0, 0], want, rtol=1e-5
  )
  bias = np.arange(64)  # 32 samples of 2 channels
  found = modern_jax.mirror('Dense_0/bias', bias).reshape(2, 32)
  np.testing.assert_array_equal(found[0], np.arange(62, -1, -2))


def test_memory_is_that_of_the_process(importable):
  import memory

  before = memory.resident_mib()
  # 64 MiB are mapped anew; less may be memory that the process had freed.
  block = np.ones(64 * 2**17)
  assert memory.resident_mib() > before + 50
  assert memory.peak_mib() >= before + 50
  assert block.sum() == block.size


def test_other_networks_in_pytorch_are_refused(importable):
  import modern_step

  worker = lambda **info: types.SimpleNamespace(info=info)
  ours, torch = worker(parameters=3), worker(parameters=3, difference=1e-6)
  modern_step.check('R3GAN', ours, torch)
  torch.info['difference'] = float('nan')
  with pytest.raises(AssertionError, match='R3GAN: relative difference nan'):
    modern_step.check('R3GAN', ours, torch)


def test_pytorch_is_measured_again_with_all_threads(importable, turns):
  import modern_step

  def contender(cpu, **info):
    run = lambda **request: turns.Spent(4.0, cpu + 10 * (request['steps'] > 2))
    worker = types.SimpleNamespace(run=run, info={'peak_mib': 5.0} | info)
    return modern_step.Contender(worker, steps=2)

  contenders = {
    'gan_jax': contender(2.0, device='cpu', buffers_mib=1.0),
    'PyTorch, a': contender(6.0),
    'PyTorch, b': contender(4.0),
  }
  options = types.SimpleNamespace(rounds=1, steps=2)
  steps = modern_step.measure(contenders, options)
  assert list(steps)[3:] == ['PyTorch, b, all threads']
  assert steps['PyTorch, a'] == (2.0, 3.0)
  rows = modern_step.make_rows('R3GAN', contenders, steps, batch=4)
  assert rows[0] == ['R3GAN, gan_jax', 2000.0, 250.0, 2.0, 5.0, 1.0, 2.0]
  assert rows[1] == ['R3GAN, PyTorch, a', 2000.0, 750.0, 2.0, 5.0, None, 2 / 3]


def test_peaks_are_found_by_kind(importable):
  import gpu

  found = lambda kind, given=0: gpu.find_peak(kind, 'bfloat16', given)
  assert found('NVIDIA H100 80GB HBM3') == 989
  assert found('NVIDIA H100 PCIe') == 756
  assert found('a card') is None
  assert found('a card', 5) == 5
  assert gpu.find_peak('NVIDIA A100-SXM4-40GB', 'float32', 0) == 156


@pytest.mark.parametrize('name', COMMANDS)
def test_help(name, monkeypatch, capsys):
  monkeypatch.setattr(sys, 'argv', [f'{name}.py', '--help'])
  with pytest.raises(SystemExit) as ended:
    runpy.run_path(str(DIRECTORY / f'{name}.py'), run_name='__main__')
  assert ended.value.code == 0
  assert 'usage:' in capsys.readouterr().out


def test_images_of_the_feed_are_jpegs(importable, tmp_path):
  import feed
  from PIL import Image

  total = feed.write_images(tmp_path, 3, 64)
  paths = sorted(tmp_path.iterdir())
  assert sum(path.stat().st_size for path in paths) == total
  for path in paths:
    with Image.open(path) as image:
      assert image.format == 'JPEG' and image.size == (64, 64)


def test_pytorch_gets_the_sizes_of_the_mixture(importable):
  import mixture_speed

  sizes = json.loads(mixture_speed.torch_sizes())
  assert sizes['batch'] == 100 and sizes['data']['side'] == 5
  assert sizes['g_widths'] == [400] * 4 and sizes['d_widths'] == [200] * 3
  assert sizes['pieces'] == 5


@pytest.mark.slow
def test_gpu_measures_nothing_without_an_accelerator():
  found = subprocess.run(
    [sys.executable, str(DIRECTORY / 'gpu.py')],
    env=os.environ | {'JAX_PLATFORMS': 'cpu'},
    capture_output=True,
    text=True,
    check=True,
  )
  assert found.stdout.startswith('No accelerator')


# A program as XLA prints it, with a loop of 5 rounds and one of unknown length.
HLO = """
%known (p: (f32[4])) -> (f32[4]) {
  %k = f32[4]{0} get-tuple-element(%p), index=0
  %scaled = f32[4]{0} fusion(%k), kind=kLoop, calls=%inner
  ROOT %out = (f32[4]{0}) tuple(%scaled)
}

%unknown (p: (f32[8])) -> (f32[8]) {
  %u = f32[8]{0} get-tuple-element(%p), index=0
  ROOT %wrapped_copy = f32[8]{0} copy(%u)
}

%condition (p: (f32[8])) -> pred[] {
  ROOT %less = pred[] fusion(%p), kind=kLoop, calls=%inner
}

ENTRY %main (a: bf16[2,3]) -> f32[2,3] {
  %a = bf16[2,3]{1,0} parameter(0)
  %transpose_fusion = f32[2,3]{1,0} fusion(%a), kind=kInput, calls=%inner
  %w = (f32[4]{0}) while(%t), condition=%condition, body=%known, backend_config={"known_trip_count":{"n":"5"}}
  %v = (f32[8]{0}) while(%s), condition=%condition, body=%unknown
  ROOT %conv = f32[2,3]{1,0} custom-call(%transpose_fusion), custom_call_target="__cudnn$convForward"
}
"""


GATHER = """
%gathered (p0: u8[50,4], p1: s32[2]) -> u8[2,4] {
  %p0 = u8[50,4]{1,0} parameter(0)
  %p1 = s32[2]{0} parameter(1)
  ROOT %rows = u8[2,4]{1,0} gather(%p0, %p1), offset_dims={1}
}

ENTRY %main (x: u8[50,4], i: s32[2]) -> u8[2,4] {
  %x = u8[50,4]{1,0} parameter(0)
  %i = s32[2]{0} parameter(1)
  ROOT %taken = u8[2,4]{1,0} fusion(%x, %i), kind=kLoop, calls=%gathered
}
"""


def test_kernels_that_take_rows_read_those_rows(importable):
  import gpu_program

  (kernel,) = gpu_program.read_program(GATHER).kernels
  assert kernel.nbytes == 8 + 8 + 8  # rows written, rows read, indices


def test_kernels_and_loops_of_a_program_for_a_gpu(importable):
  import gpu_program

  program = gpu_program.read_program(HLO)
  assert [(k.kind, k.nbytes, k.rounds) for k in program.kernels] == [
    ('fusion transpose', 12 + 24, 1),
    ('fusion', 16 + 16, 5),
    ('__cudnn$convForward', 24 + 24, 1),
  ]
  (loop,) = program.loops
  assert [k.kind for k in loop.kernels] == ['copy', 'fusion']
  assert not loop.is_nested
  launches, gigabytes, moved_only = gpu_program.describe(program.kernels)
  assert launches == 7 and round(gigabytes * 1e9) == 36 + 160 + 48
  assert moved_only == 36 / 244
