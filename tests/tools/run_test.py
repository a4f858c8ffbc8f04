#!/usr/bin/python3
"""tools/run does what its words say: the main job on a folder of images, and commands for what it leaves."""

import os
import pathlib
import re
import shlex
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "tools/run"
RENDER = ROOT / "build/release/bin/jini-render"
IMAGES = 9


class Run(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(dir=os.environ.get("JINI_TEST_TMPDIR"))
        self.root = pathlib.Path(self.folder.name)

    def tearDown(self):
        self.folder.cleanup()

    def run_in_folder(self, *command):
        return subprocess.run(command, cwd=self.root, text=True, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)

    def test_a_folder_of_images_and_the_commands_it_ends_with(self):
        (self.root / "images").mkdir()
        for seed in range(IMAGES):
            self.run_in_folder(RENDER, "--seed", str(seed), "--size", "64x64", "-o", f"images/{seed}.png")
        done = self.run_in_folder(SCRIPT, "demo", "images")
        self.assertEqual(done.returncode, 0, done.stdout)
        commands = re.findall(r"^    (\S+/jini .*?)(?: +#.*)?$", done.stdout, re.MULTILINE)
        self.assertEqual(len(commands), 5, done.stdout)
        for command in commands:
            shown = self.run_in_folder(*shlex.split(command))
            self.assertEqual(shown.returncode, 0, f"{command}\n{shown.stdout}")
            self.assertTrue(shown.stdout, command)

    def test_a_folder_that_is_not_there_is_named_and_nothing_is_begun(self):
        done = self.run_in_folder(SCRIPT, "demo", "no/such/folder")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn('"no/such/folder"', done.stdout)
        self.assertEqual(list(self.root.iterdir()), [])

    def test_what_it_does_not_know_is_answered_with_its_words(self):
        done = self.run_in_folder(SCRIPT, "one", "two")
        self.assertEqual(done.returncode, 2)
        self.assertIn("tools/run [demo] [FOLDER]", done.stdout)


if __name__ == "__main__":
    unittest.main()
