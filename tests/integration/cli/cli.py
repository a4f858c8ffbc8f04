"""What the tests of the jini command share: a directory and a database for each case, running the command,
and images to put.

JINI names the binary, JINI_TEST_TMPDIR the folder to work in.
"""

import contextlib
import json
import os
import pathlib
import random
import shutil
import signal
import struct
import subprocess
import tempfile
import unittest
import zlib

JINI = os.environ.get("JINI", "jini")
SANITIZED = bool(os.environ.get("JINI_SANITIZE"))  # which is slow, and what is only done again is done less often
SLOW = 6 if SANITIZED else 1
MEMORY = "/dev/shm"
MEMORY_BYTES_MIN = 256 << 20  # as in harness.c
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it, as would the command


class Result:
    """How a command ended."""

    def __init__(self, code, out, err):
        self.code = code
        self.raw = out
        self.out = out.decode("utf-8", "replace")
        self.err = err.decode("utf-8", "replace")

    def lines(self):
        """The objects of --json, one a line."""
        return [json.loads(line) for line in self.out.splitlines()]

    def object(self):
        """The one object of --json."""
        objects = self.lines()
        if len(objects) != 1:
            raise AssertionError(f"{len(objects)} objects instead of one: {self.out}")
        return objects[0]

    def error(self):
        """The error of --json."""
        return json.loads(self.err.strip().splitlines()[-1])["error"]


def chunk(kind, body):
    """A chunk of a PNG."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(seed, width=64, height=64, text=None, chunks=b""):
    """A PNG of noise, which does not compress, with an infotext, and with chunks before it."""
    noise = random.Random(seed)
    rows = b"".join(b"\0" + noise.randbytes(width * 3) for _ in range(height))
    infotext = text if text is not None else f"noise\nSteps: 20, Seed: {seed}, Size: {width}x{height}"
    return (b"\x89PNG\r\n\x1a\n" +
            chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) + chunks +
            chunk(b"tEXt", b"parameters\0" + infotext.encode("latin-1")) +
            chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b""))


def folder_to_work_in():
    """As harness.c chooses it: a sanitizer waits for a disk without learning anything by it. None: any."""
    named = os.environ.get("JINI_TEST_TMPDIR")
    with contextlib.suppress(OSError):  # there is no such memory
        if not named and SANITIZED and shutil.disk_usage(MEMORY).free >= MEMORY_BYTES_MIN:
            return MEMORY
    return named


class Case(unittest.TestCase):
    """A case with a working directory of its own; the database is made by init()."""

    def setUp(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="jini-cli-", dir=folder_to_work_in()))
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("JINI_")}
        self.environment["JINI_DB"] = str(self.directory / "db")
        self.environment.pop("NO_COLOR", None)
        self.prefix = []  # of the command line: a program that starts the command in another way

    def start(self, *arguments, **options):
        """Starts the command and leaves it running."""
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("bufsize", 0)  # communicate() does not see what a buffer has read ahead
        process = subprocess.Popen([*self.prefix, JINI, *map(str, arguments)], cwd=self.directory,
                                   env=self.environment, stderr=subprocess.PIPE, **options)
        self.addCleanup(self.end, process)
        return process

    def end(self, process):
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.kill()
        process.communicate()

    def finish(self, process, timeout=120):
        out, err = process.communicate(timeout=timeout * SLOW)
        return Result(process.returncode, out, err)

    def run_jini(self, *arguments, code=0, stdin=None, **options):
        """Runs the command to its end and checks the exit status."""
        process = self.start(*arguments, stdin=subprocess.PIPE, **options)
        out, err = process.communicate(stdin, timeout=120 * SLOW)
        result = Result(process.returncode, out, err)
        self.assertEqual(result.code, code, f"{arguments}\n{result.out}\n{result.err}")
        return result

    def json(self, *arguments, **options):
        return self.run_jini("--json", *arguments, **options)

    def init(self, *users, tier="Premium"):
        self.run_jini("init")
        for user in users:
            self.run_jini("user", "add", user, "--tier", tier, "--email", f"{user}@example.org")

    def file(self, name, content):
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def pictures(self, count, folder="in", **options):
        """That many different images in a folder."""
        for i in range(count):
            self.file(f"{folder}/{i:04}.png", png(i, **options))
        return self.directory / folder

    def mount(self, name, *arguments):
        """A new folder with something mounted on it, as mount(8) is told, or the case is skipped."""
        place = self.directory / name
        place.mkdir(parents=True)
        if subprocess.run(["mount", *map(str, arguments), place], capture_output=True).returncode:
            self.skipTest("nothing can be mounted here")
        self.addCleanup(subprocess.run, ["umount", place], check=True)

    def check_error(self, result, name, field, *words):
        """An error of --json names its status, its field and what to do."""
        error = result.error()
        self.assertEqual((error["name"], error["field"]), (name, field), error)
        for word in words:
            self.assertIn(word, error["message"])

    def verify(self, *arguments):
        result = self.json("verify", *arguments)
        self.assertEqual(result.lines()[-1]["problems"], 0)
        return result.lines()[-1]
