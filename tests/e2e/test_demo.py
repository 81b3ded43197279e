#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# release only
# needs root: the demo has a namespace of its own
"""The inside of app/demo: its numbers add up, it shows what a person wants to see, an interrupt
ends it cleanly, and nothing is left behind."""
import os
import re
import signal
import subprocess
import tempfile
import time

from atr_harness import ROOT, Report, case
from lab import exists

DEMO = ['/usr/bin/python3', f'{ROOT}/tests/demo/demo.py']
CLOSING = re.compile(r'demo: offered=(\d+) admitted=(\d+) refused=(\d+) duplicate=(\d+) '
                     r'delivered=(\d+)')


def start(folder):
    return subprocess.Popen(DEMO, env=dict(os.environ, TMPDIR=folder), text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


@case
def adds_up(_):
    """Invariant: every event of the input is admitted twice, and the closing line says so."""
    with tempfile.TemporaryDirectory() as folder:
        demo = start(folder)
        output, _ = demo.communicate(timeout=120)
        assert demo.returncode == 0, output[-450:]
        closing = CLOSING.fullmatch(output.rstrip().splitlines()[-1])
        offered, admitted, refused, duplicate, delivered = map(int, closing.groups())
        assert admitted == 2 * 1707 and refused > 100 and duplicate > 20 and delivered > admitted
        assert offered == admitted + refused + duplicate
        for part in ('durability commit', 'log verified: shards=1 ', 'received ', '  M 6.4',
                     'signature  refused'):
            assert part in output, f'"{part}" is missing: {output}'
        assert not os.listdir(folder), os.listdir(folder)


@case
def interrupted(_):
    """Invariant: an interrupt ends the demo within seconds, and nothing is left behind."""
    for number, status in (signal.SIGINT, 130), (signal.SIGTERM, 143):
        with tempfile.TemporaryDirectory() as folder:
            demo = start(folder)
            time.sleep(4)
            assert demo.poll() is None, 'the demo ended by itself'
            demo.send_signal(number)
            output, _ = demo.communicate(timeout=30)
            assert demo.returncode == status, (demo.returncode, output[-1500:])
            assert not os.listdir(folder), os.listdir(folder)
            children = subprocess.run(['pgrep', '-f', folder], capture_output=True, text=True)
            assert not children.stdout, children.stdout


if __name__ == '__main__':
    Report.main(exists)
