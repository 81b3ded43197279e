#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""How long a killed appliance takes to serve again when its newest snapshot is so many events old.
Scope: class-d, one shard, from exec to the first answered question, EAL's own start included.

usage: restart_time.py [--events 5000000] [--repeat 5]"""
import argparse
import os
import re
import statistics
import subprocess

import atr_harness as harness
import classd_lab
import lab

ATRCTL = os.path.join(harness.BUILD, 'app', 'atrctl', 'atrctl')
SOURCE = 'alpha'
NEVER = 1 << 40  # events between snapshots: only a clean stop makes one


def publish(one, key, events):
    report = subprocess.run(
        [ATRCTL, 'pub', '--plan', one.plan, '--source', SOURCE, '--key', key, '--to',
         f'{lab.APPLIANCE_IP}:26400', '--from', lab.OUR_IP, '--generate', str(events), '--topic',
         'test.plain', '--type', 'reading', '--as', 'frames', '--outbox', f'{one.work}/outbox',
         '--acks-key', one.keys[0].hex(), '--timeout', '600', '--json'],
        capture_output=True, text=True)
    assert report.returncode == 0, report.stdout + report.stderr


def measure(events, repeat):
    one = classd_lab.Lab(['--snapshot-events', NEVER])
    try:
        one.start()
        key = f'{one.work}/{SOURCE}.key'
        subprocess.run([ATRCTL, 'keygen', '--out', key, '--from-phrase', f'atr e2e {SOURCE} 1'],
                       check=True, capture_output=True)
        publish(one, key, 10000)
        one.stop()
        one.start()
        publish(one, key, events)
        for _ in range(repeat):
            one.kill()
            one.start()
            found = re.search(r'recovered (\d+) events in ([\d.]+) s', one.atr.tail(100))
            assert 'from a snapshot' in one.atr.tail(100), one.atr.tail(100)
            assert int(found.group(1)) >= events, found.group(0)
            print(f'# {found.group(0)}; serving {one.served[-1]:.2f} s after exec', flush=True)
        served = sorted(one.served[-repeat:])
        print(f'class-d, one shard, snapshot {events} events old: serving after '
              f'{statistics.median(served):.2f} s, median of {repeat} ({served[0]:.2f} to '
              f'{served[-1]:.2f})')
    finally:
        one.close()


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--events', type=int, default=5000000)
    parser.add_argument('--repeat', type=int, default=5)
    options = parser.parse_args()
    measure(options.events, options.repeat)
