#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""'atrctl log' over a log of the tests' own writer; tiles are checked independently."""
import base64
import hashlib
import json
import os
import subprocess
import sys
import tempfile

ATRCTL, WRITER = sys.argv[1:3]


def run(*args, ok=0):
    """Runs atrctl log; the exit status must be ok."""
    p = subprocess.run([ATRCTL, "log", *args], capture_output=True, text=True, check=False)
    assert p.returncode == ok, (args, p.returncode, p.stdout, p.stderr)
    return p.stdout + p.stderr


def trace(*args, ok=0):
    """Runs atrctl trace."""
    p = subprocess.run([ATRCTL, "trace", *args], capture_output=True, text=True, check=False)
    assert p.returncode == ok, (args, p.returncode, p.stdout, p.stderr)
    return p.stdout + p.stderr


def check_trace(d, new, key):
    """An event's story in both forms, and what is not there."""
    story = json.loads(trace("3:77", "--log", d, "--json"))
    assert story["admitted"] and story["shard"] == 0 and story["feeds"] is None, story
    out = trace("3:77", "--log", d)
    assert f"leaf {story['leaf']}," in out and "admitted" in out, out
    assert f"event {story['event']} (from 0) of " in out and story["event"] > 0, out
    assert f"byte {story['offset']}" in out and story["leaf_hash"] in out, out
    os.link(new.replace("-1", "-0"), f"{d}/shard-0.checkpoint")
    story = json.loads(trace("3:77", "--log", d, "--key", key, "--json"))
    assert story["checkpoint"]["proven"], story
    assert "not in the log" in trace("3:999999", "--log", d, ok=1)
    assert "not in the log" in trace("8:77", "--log", d, ok=1)
    trace("3-77", "--log", d, ok=2)
    trace("3:77", "--log", f"{d}/nothing", ok=2)
    trace("3:77", "--log", d, "--key", "00" * 32, ok=2)


def node(a, b):
    return hashlib.sha256(b"\1" + a + b).digest()


def root(leaves):
    """RFC 6962's recursive definition."""
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return node(root(leaves[:k]), root(leaves[k:]))


def checkpoint(path):
    lines = open(path, encoding="utf-8").read().split("\n")
    return int(lines[1]), base64.b64decode(lines[2])


def check_tiles(tiles, size, expected):
    """Entries and level 0 tiles lead to the checkpoint's root."""
    entries, hashes = [], []
    for n in range((size + 255) // 256):
        width = min(256, size - 256 * n)
        part = "" if width == 256 else f".p/{width}"
        data = open(f"{tiles}/tile/entries/{n:03}{part}", "rb").read()
        while data:
            length = int.from_bytes(data[:2], "big")
            entries.append(data[2:2 + length])
            data = data[2 + length:]
        tile = open(f"{tiles}/tile/0/{n:03}{part}", "rb").read()
        hashes += [tile[i:i + 32] for i in range(0, len(tile), 32)]
    assert [hashlib.sha256(b"\0" + e).digest() for e in entries] == hashes
    assert len(hashes) == size and root(hashes) == expected


def tampered(document):
    """Every document with one value changed."""
    for path in (("checkpoint",), ("record", "body"), ("commit", "body"), ("decided",),
                 ("record", "inclusion", 0), ("commit", "inclusion", 1)):
        copy = json.loads(json.dumps(document))
        at = copy
        for step in path[:-1]:
            at = at[step]
        text = at[path[-1]]
        # A byte that every check covers: of a record the first event's payload.
        i = 300 if path == ("record", "body") else len(text) // 2
        at[path[-1]] = text[:i] + ("1" if text[i] == "0" else "0") + text[i + 1:]
        yield copy
    for path in (("record", "leaf"), ("commit", "leaf")):
        copy = json.loads(json.dumps(document))
        copy[path[0]][path[1]] += 1
        yield copy


def check_verified(d, new, signed):
    """The checkpoint that a log was held to is told, in text and JSON; without one, none is."""
    origin, size, top = open(new, encoding="utf-8").read().split("\n")[:3]
    line = f"checkpoint: origin {origin} size {size} root {top} key {origin}: kept\n"
    assert run("verify", *signed, d).count(line) == 1
    assert "checkpoint:" not in run("verify", d)
    told = json.loads(run("verify", "--json", "--name", "test", *signed, d).splitlines()[0])
    assert [one["origin"] for one in told["shards"]] == ["test/shard/0", "test/shard/1"], told
    assert "checkpoint" not in told["shards"][0], told
    assert told["shards"][1]["size"] == int(size) and told["shards"][1]["root"] == top, told
    assert told["shards"][1]["checkpoint"] == {
        "origin": origin, "size": int(size), "root": top, "key": origin}, told
    assert told["records"] >= int(size) and told["events"] > 0 and told["bytes"] > 0, told


def main():
    with tempfile.TemporaryDirectory() as d:
        key = subprocess.run([WRITER, d], capture_output=True, text=True,
                             check=True).stdout.strip()
        new, old, proof = f"{d}/new-1", f"{d}/old-1", f"{d}/proof.json"
        signed = ("--checkpoint", new, "--key", key)
        out = run("verify", "--name", "test", *signed, d)
        assert "verified: shards=2" in out and "events/s=" in out, out
        size, expected = checkpoint(new)
        assert f"test/shard/1\n{size}\n{base64.b64encode(expected).decode()}\n" in out, out
        check_verified(d, new, signed)

        run("prove", *signed, "--source", "3", "--sequence", "77", "--out", proof, d)
        out = run("check-proof", "--key", key, proof)
        assert "source 3, sequence 77" in out and "in the log and admitted" in out, out
        document = json.load(open(proof, encoding="utf-8"))
        for changed in tampered(document):
            json.dump(changed, open(f"{d}/changed", "w", encoding="utf-8"))
            run("check-proof", "--key", key, f"{d}/changed", ok=1)
        run("prove", *signed, "--leaf", "3", "--out", proof, d)
        run("check-proof", "--key", key, proof)
        run("prove", *signed, "--source", "3", "--sequence", "999999", d, ok=1)

        assert "consistent:" in run("consistency", "--old", old, "--new", new, "--key", key, d)
        run("consistency", "--old", new, "--new", old, "--key", key, d, ok=1)
        run("export", *signed, "--out", f"{d}/tiles", d)
        check_tiles(f"{d}/tiles", size, expected)
        assert open(f"{d}/tiles/checkpoint", "rb").read() == open(new, "rb").read()

        check_trace(d, new, key)
        # The checkpoint of shard 0 lies beside it now; another shard's in its place is refused.
        assert "verified:" in run("verify", "--key", key, d)
        os.link(new, f"{d}/shard-1.checkpoint")
        assert "verified:" in run("verify", "--key", key, d)
        os.remove(f"{d}/shard-0.checkpoint")
        os.link(new, f"{d}/shard-0.checkpoint")
        run("verify", "--key", key, d, ok=1)
        os.remove(f"{d}/shard-0.checkpoint")

        segment = f"{d}/shard-1/segment-0000000000000000.atr"
        data = bytearray(open(segment, "rb").read())
        data[9000] ^= 1
        open(segment, "wb").write(data)
        out = run("verify", d, ok=1)
        assert "segment-0000000000000000.atr, byte" in out, out
        os.remove(segment)
        assert "segment-0000000000000000.atr" in run("verify", d, ok=1)
    print("ok")


main()
