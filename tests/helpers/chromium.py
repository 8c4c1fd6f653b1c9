"""A headless Chromium that tests drive over a pipe, without other packages."""

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import tempfile
import time

COMMAND = 'apt-get install chromium'


def find():
  """The program, or None."""
  names = ('chromium', 'chromium-browser', 'google-chrome')
  return next(filter(None, map(shutil.which, names)), None)


class Page:
  """One tab.

  Attributes:
    errors: exceptions and messages of the console that are errors.
    requests: addresses that the page asked for, without files and data.
  """

  def __init__(self, write, read):
    self._write, self._read = write, read
    self._count, self._buffer = 0, b''
    self._session = None
    self.errors, self.requests = [], []
    target = self.call('Target.createTarget', url='about:blank')['targetId']
    attached = self.call('Target.attachToTarget', targetId=target, flatten=True)
    self._session = attached['sessionId']
    for domain in ('Page', 'Runtime', 'Log', 'Network'):
      self.call(f'{domain}.enable')

  def call(self, method, *, seconds=120, **params):
    """Calls a method of the DevTools protocol; returns its result."""
    self._count += 1
    message = {'id': self._count, 'method': method, 'params': params}
    if self._session:
      message['sessionId'] = self._session
    os.write(self._write, json.dumps(message).encode() + b'\0')
    end = time.monotonic() + seconds
    while True:
      found = self._next(end)
      if found.get('id') == self._count:
        if 'error' in found:
          raise RuntimeError(f'{method}: {found["error"]}')
        return found['result']

  def _next(self, end):
    while b'\0' not in self._buffer:
      left = end - time.monotonic()
      if left <= 0 or not select.select([self._read], [], [], left)[0]:
        raise TimeoutError('Chromium does not answer')
      self._buffer += os.read(self._read, 1 << 20)
    text, _, self._buffer = self._buffer.partition(b'\0')
    found = json.loads(text)
    method, params = found.get('method'), found.get('params', {})
    if method == 'Runtime.exceptionThrown':
      self.errors.append(params['exceptionDetails'])
    if method == 'Log.entryAdded' and params['entry']['level'] == 'error':
      self.errors.append(params['entry']['text'])
    if method == 'Runtime.consoleAPICalled' and params['type'] == 'error':
      self.errors.append(params['args'])
    if method == 'Network.requestWillBeSent':
      url = params['request']['url']
      if not url.startswith(('file:', 'data:', 'blob:', 'about:')):
        self.requests.append(url)
    return found

  def open(self, path):
    """Opens a file, and waits until it has loaded."""
    self.call('Page.navigate', url=path.absolute().as_uri())
    self.wait('document.readyState === "complete"')

  def evaluate(self, expression, seconds=120):
    """The value of a JavaScript expression, awaited if it is a promise."""
    found = self.call(
      'Runtime.evaluate',
      expression=expression,
      awaitPromise=True,
      returnByValue=True,
      seconds=seconds,
    )
    if 'exceptionDetails' in found:
      raise RuntimeError(found['exceptionDetails'])
    return found['result'].get('value')

  def wait(self, expression, seconds=120):
    """Waits until an expression is true."""
    end = time.monotonic() + seconds
    while not self.evaluate(expression):
      if time.monotonic() > end:
        raise TimeoutError(expression)
      time.sleep(0.05)

  def resize(self, width, height, dark=False):
    """Sets the size of the window, and the color scheme."""
    self.call(
      'Emulation.setDeviceMetricsOverride',
      width=width,
      height=height,
      deviceScaleFactor=1,
      mobile=False,
    )
    scheme = 'dark' if dark else 'light'
    features = [{'name': 'prefers-color-scheme', 'value': scheme}]
    self.call('Emulation.setEmulatedMedia', features=features)

  def screenshot(self, path):
    """Writes a picture of the window."""
    found = self.call('Page.captureScreenshot', format='png')
    path.write_bytes(base64.b64decode(found['data']))


@contextlib.contextmanager
def open_page():
  """Starts Chromium, and yields a Page."""
  to_browser, write = os.pipe()
  read, from_browser = os.pipe()
  with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
    options = (
      '--headless --no-sandbox --disable-gpu --remote-debugging-pipe '
      '--disable-dev-shm-usage --no-first-run --hide-scrollbars '
      f'--user-data-dir={profile}'
    )
    # Chromium reads commands from descriptor 3, and answers on 4.
    command = f'exec {find()} {options} 3<&{to_browser} 4>&{from_browser}'
    process = subprocess.Popen(
      ['bash', '-c', command],
      pass_fds=(to_browser, from_browser),
      stdout=subprocess.DEVNULL,
      stderr=subprocess.DEVNULL,
    )
    os.close(to_browser)
    os.close(from_browser)
    try:
      yield Page(write, read)
    finally:
      process.terminate()
      process.wait(20)
      os.close(write)
      os.close(read)
