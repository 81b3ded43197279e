#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""'atrctl snapshot' over a log with a snapshot: the digest is reproduced from the log alone, and a
snapshot that differs is told."""
import hashlib
import json
import os
import subprocess
import sys
import tempfile

ATRCTL, WRITER = sys.argv[1:3]


def run(*args, ok=0):
    """Runs atrctl snapshot; the exit status must be ok."""
    p = subprocess.run([ATRCTL, 'snapshot', *args], capture_output=True, text=True, check=False)
    assert p.returncode == ok, (args, p.returncode, p.stdout, p.stderr)
    return p.stdout + p.stderr


def main():
    with tempfile.TemporaryDirectory() as d:
        subprocess.run([WRITER, d], check=True)
        path = os.path.join(d, 'shard-1', 'snapshot-000000000000000a.atr')
        with open(path, 'rb') as f:
            whole = f.read()
        digest = hashlib.sha256(whole).hexdigest()
        shown = json.loads(run('show', '--json', path))
        assert (shown['shard'], shown['group'], shown['state']) == (1, 10, 2), shown
        assert shown['digest'] == digest and shown['bytes'] == len(whole), shown
        assert 'group 10\n' in run('show', path)
        again = json.loads(run('rebuild', '--shard', '1', '--json', d))
        assert again == {'shard': 1, 'group': 10, 'digest': digest, 'file': 'same',
                         'record': 'none'}, again
        other = json.loads(run('rebuild', '--shard', '1', '--group', '20', '--json', d))
        assert other['group'] == 20 and other['digest'] != digest, other
        assert 'beyond the log' in run('rebuild', '--shard', '1', '--group', '21', d, ok=1)
        with open(path, 'wb') as f:
            f.write(whole[:-1] + bytes([whole[-1] ^ 1]))
        assert 'CRC' in run('show', path, ok=1)
        assert 'file DIFFERS' in run('rebuild', '--shard', '1', d, ok=1)
        os.unlink(path)
        end = json.loads(run('rebuild', '--shard', '1', '--json', d))
        assert end['group'] == 20 and end['digest'] == other['digest'], end
        run('show', path, ok=2)
        run('rebuild', ok=2)


main()
