"""The page in headless Chromium: its controls, sizes, keyboard, and requests."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from gan_jax import export
from tests.helpers import browser, samplers

pytestmark = [pytest.mark.slow, browser.needs_chromium]
NAMES = ['<img src=x onerror=alert(1)>', 'two', 'three']


@pytest.fixture(scope='module')
def tab(tmp_path_factory):
  with browser.chromium(tmp_path_factory.mktemp('profile')) as page:
    yield page


@pytest.fixture
def opened(tab, tmp_path):
  """Opens the page of an architecture; returns the sampler."""

  def open_page(name, width=1200, **options):
    sampler = samplers.make(name)
    text = export.make_page(sampler, class_names=NAMES, **options)
    (tmp_path / 'page.html').write_text(text)
    tab.open((tmp_path / 'page.html').as_uri(), width=width)
    tab.wait_for('document.body.dataset.filled === "yes"')
    return sampler

  yield open_page
  assert tab.errors == [] and tab.requests_of_others() == []


def picture(tab, canvas='#sample'):
  """The pixels of a canvas."""
  url = tab.evaluate(f"document.querySelector('{canvas}').toDataURL()")
  content = base64.b64decode(url.partition(',')[2])
  return np.asarray(Image.open(io.BytesIO(content)).convert('RGB')).astype(int)


def move(tab, selector, value):
  """Moves a slider, as a person does, and waits for the picture."""
  before = picture(tab)
  tab.evaluate(
    f"(() => {{ const e = document.querySelector('{selector}');"
    f' e.value = {value}; e.oninput(); }})()'
  )
  tab.wait_for('!drawing')
  return np.abs(picture(tab) - before).max()


def press(tab, key):
  for kind in ('keyDown', 'keyUp'):
    tab.call('Input.dispatchKeyEvent', type=kind, key=key, code=key)
  tab.wait_for('!drawing')


def test_pictures_are_those_of_python(tab, opened):
  sampler = opened('biggan')
  expected = sampler(3, seed=0, label=[0, 0, 1])
  pixels = np.rint((expected + 1) * 127.5)
  assert np.abs(picture(tab) - pixels[0]).max() <= 1
  second = picture(tab, '#gallery button:nth-child(2) canvas')
  assert np.abs(second - pixels[1]).max() <= 1
  tab.evaluate("document.querySelectorAll('#classes button')[1].click()")
  press(tab, 'ArrowRight')
  press(tab, 'ArrowRight')
  assert tab.evaluate('[state.index, state.label]') == [2, 1]
  assert np.abs(picture(tab) - pixels[2]).max() <= 1
  # The name of a class is text.
  names = "[...document.querySelectorAll('#classes button')]"
  assert tab.evaluate(f'{names}.map((b) => b.textContent)') == NAMES
  assert tab.evaluate("document.querySelectorAll('img').length") == 0


def test_sliders_move_the_picture(tab, opened):
  opened('stylegan2')
  start = picture(tab)
  first = move(tab, '#slider-d1', 3)
  assert first > 20
  assert move(tab, '#psi', 0) > 5
  tab.evaluate("document.getElementById('reset').click()")
  tab.wait_for('!drawing')
  np.testing.assert_array_equal(picture(tab), start)
  assert tab.evaluate("document.getElementById('slider-d1').value") == '0'
  tab.evaluate("document.getElementById('entries').open = true")
  tab.wait_for("document.getElementById('slider-z5') !== null")
  assert move(tab, '#slider-z0', -2) > 1


def test_sound_plays(tab, opened):
  opened('wavegan', rate=4000)
  tab.wait_for("document.getElementById('audio').duration > 0")
  duration = tab.evaluate("document.getElementById('audio').duration")
  assert duration == pytest.approx(256 / 4000)


def test_points_are_a_plot(tab, opened):
  sampler = samplers.make('mlp')
  text = export.make_page(sampler)
  assert '"kind":"point"' in text
  opened('mlp')
  before = picture(tab)
  assert len(np.unique(before.reshape(-1, 3), axis=0)) > 5
  assert move(tab, '#slider-d1', 3) > 20


@pytest.mark.parametrize('width', [400, 1200])
def test_nothing_is_wider_than_the_window(tab, opened, width):
  opened('stylegan2', width=width)
  assert tab.evaluate('document.documentElement.scrollWidth') <= width
  # Each control has a name.
  unnamed = (
    "[...document.querySelectorAll('input,button,canvas')].filter((e) => "
    '!e.labels?.length && !e.textContent && !e.ariaLabel && '
    "!e.closest('button')?.ariaLabel).length"
  )
  assert tab.evaluate(unnamed) == 0
