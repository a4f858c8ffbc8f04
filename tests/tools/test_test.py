#!/usr/bin/python3
"""tools/test exits with 0 only when there were tests and all have passed."""

import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

TOOLS = pathlib.Path(__file__).resolve().parents[2] / "tools"

PROJECT = """
cmake_minimum_required(VERSION 3.25)
project(small NONE)
enable_testing()
add_test(NAME store-space COMMAND true)
add_test(NAME store-broken COMMAND false)
"""
PRESETS = """
{"version": 6, "configurePresets":
    [{"name": "debug", "generator": "Ninja", "binaryDir": "${sourceDir}/build/debug"}]}
"""


class Test(unittest.TestCase):
    """The script at work in a small project of its own."""

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(dir=os.environ.get("JINI_TEST_TMPDIR"))
        self.addCleanup(self.folder.cleanup)
        self.root = pathlib.Path(self.folder.name)
        (self.root / "tools").mkdir()
        for name in ("test", "lib.sh", "combine-tests"):
            shutil.copy(TOOLS / name, self.root / "tools")
        with (self.root / "tools/lib.sh").open("a") as library:
            library.write("install_packages() { :; }\n")
        (self.root / "CMakeLists.txt").write_text(PROJECT)
        (self.root / "CMakePresets.json").write_text(PRESETS)

    def run_quick(self, pattern):
        return subprocess.run([self.root / "tools/test", "--quick", "--jobs", "1", "--", "-R", pattern],
                              text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)

    def test_tests_that_pass_are_a_success(self):
        done = self.run_quick("^debug/store-space")
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn("debug/store-space", done.stdout)

    def test_a_test_that_fails_is_none(self):
        done = self.run_quick("^debug/store-")
        self.assertNotEqual(done.returncode, 0, done.stdout)
        self.assertIn("debug/store-broken", done.stdout)

    def test_a_pattern_that_matches_nothing_is_none(self):
        done = self.run_quick("^store-space")
        self.assertNotEqual(done.returncode, 0, done.stdout)
        self.assertIn("No tests were found", done.stdout)


if __name__ == "__main__":
    unittest.main()
