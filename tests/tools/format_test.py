#!/usr/bin/python3
"""Every C file is as clang-format leaves it, by the settings of the tree."""

import pathlib
import subprocess
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = ["core", "tools", "bench", "tests", "bindings"]


class Format(unittest.TestCase):
    def test_every_file(self):
        """What differs is named with its line; `clang-format -i FILE` mends it."""
        files = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.[ch]"))
        self.assertGreater(len(files), 100)
        ran = subprocess.run(["clang-format", "--dry-run", "--Werror", *files], cwd=ROOT,
                             capture_output=True, text=True)
        self.assertEqual((ran.returncode, ran.stderr), (0, ""))


if __name__ == "__main__":
    unittest.main()
