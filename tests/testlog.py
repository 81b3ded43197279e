#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Prints meson's testlog.json as "ok NAME" and "not ok NAME: why" lines, one for each single cmocka
test, or one for the program where it prints none.
Usage: testlog.py FILE"""
import json
import re
import sys

CMOCKA = re.compile(r'^\[\s+(OK|FAILED|SKIPPED)\s+\] (\S+?)\s*$', re.M)


def lines(record):
    program = record['name'].split(':')[-1].strip().split(' / ')[-1]
    output = (record.get('stdout') or '') + '\n' + (record.get('stderr') or '')
    # cmocka repeats the names of the failed ones in its summary.
    single = dict()
    for verdict, name in CMOCKA.findall(output):
        single[name] = 'FAILED' if single.get(name) == 'FAILED' else verdict
    for name, verdict in single.items():
        if verdict == 'OK':
            yield f'ok {program}/{name}'
        elif verdict == 'SKIPPED':
            yield f'not ok {program}/{name}: skipped'
        else:
            around = re.findall(rf'^\[\s+(?:ERROR|LINE)\s+\] ---? ?(.*)$', output, re.M)
            yield f'not ok {program}/{name}: ' + ' '.join(around)[:300]
    if record['result'] not in ('OK', 'EXPECTEDFAIL'):
        if 'FAILED' not in single.values():
            tail = ' '.join(output.split())[-400:]
            yield f'not ok {program}: {record["result"]} {tail}'
    elif not single:
        yield f'ok {program}'


def main():
    with open(sys.argv[1], encoding='utf-8') as file:
        for line in file:
            for text in lines(json.loads(line)):
                print(text.replace('\n', ' '))


if __name__ == '__main__':
    main()
