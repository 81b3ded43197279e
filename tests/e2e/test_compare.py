#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# release only
# needs root: a namespace with interfaces of its own
"""The comparison with other systems works from end to end: every system has its rows, each
loss-free, and nothing is left behind. Never a figure: those need a quiet machine."""
import glob
import json
import os
import subprocess
import sys
import tempfile

import atr_harness as harness
from atr_harness import Report, case

FOLDER = os.path.join(harness.ROOT, 'tests/bench/compare')
COMMAND = os.path.join(FOLDER, 'run')
SLOW = 200
SYSTEMS = ['atr-rings', 'atr-rings-durable', 'atr-sockets', 'atr-sockets-durable', 'nats',
           'jetstream', 'zeromq', 'redis', 'redis-everysec', 'redis-always']
CELLS = [(64, 1), (1024, 3)]
sys.path.insert(0, FOLDER)
import table  # pylint: disable=wrong-import-position


def children():
    """Command lines of all processes that the comparison starts."""
    found = []
    for path in glob.glob('/proc/[0-9]*/cmdline'):
        try:
            with open(path, 'rb') as file:
                found.append(file.read().replace(b'\0', b' ').decode('utf-8', 'replace'))
        except OSError:
            continue  # it has ended
    return found


@case
def every_row_loss_free(_):
    """Invariant: every system moves every message to every subscriber, once and in order, and its
    rows say so; servers, clients and folders end with the command."""
    with tempfile.TemporaryDirectory(prefix='atr-e2e-') as work:
        path = os.path.join(work, 'compare.json')
        run = subprocess.run([COMMAND, '--quick', f'--json={path}'], capture_output=True, text=True,
                             timeout=SLOW, check=False, env=dict(os.environ, TMPDIR=work))
        assert run.returncode == 0, run.stderr[-600:]
        with open(path, encoding='utf-8') as file:
            document = json.load(file)
        assert os.listdir(work) == ['compare.json'], os.listdir(work)
        left = [line for line in children() if work in line]
        assert not left, left
    rows = {(row['system'], row['bytes'], row['subscribers']): row for row in document['results']}
    assert set(rows) == {(name, *cell) for name in SYSTEMS for cell in CELLS}, sorted(rows)
    for row in rows.values():
        assert 'failed' not in row and row['unit'] == 'msg/s', row
        assert 0 < row['minimum'] <= row['median'] <= row['maximum'], row
        assert set(row['ratios']) == {'rings', 'sockets'}, row
        assert all(value > 0 for value in row['ratios'].values()), row
        assert row['title'] in run.stdout, row['title']


@case
def lost_message_fails(_):
    """Invariant: a row that cannot be measured is shown as failed, with the reason, and never as a
    figure or a ratio."""
    row = {'name': 'nats.64.1', 'title': 'NATS core', 'class': 'memory', 'bytes': 64,
           'subscribers': 1, 'failed': 'subscriber 0 of 500 messages'}
    ours = {'name': 'atr-rings.64.1', 'title': 'ATR', 'class': 'memory', 'bytes': 64,
            'subscribers': 1, 'median': 100.0, 'minimum': 90.0, 'maximum': 110.0, 'repetitions': 3}
    table.ratios([row, ours])
    assert row['ratios'] == {} and ours['ratios'] == {'rings': 1.0}, (row, ours)
    assert 'FAILED: subscriber 0 of 500 messages' in table.line(row), table.line(row)


@case
def wrong_options_refused(_):
    """Invariant: nothing is measured when an option is wrong or selects nothing."""
    for args in (['--nonsense'], ['--only', 'nobody'], ['--passes', '0']):
        run = subprocess.run([COMMAND, *args], capture_output=True, text=True, timeout=SLOW,
                             check=False)
        assert run.returncode == 2 and run.stderr and not run.stdout, (args, run)


if __name__ == '__main__':
    Report.main()
