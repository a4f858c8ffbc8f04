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
        self.addCleanup(self.folder.cleanup)
        self.root = pathlib.Path(self.folder.name)

    def run_in_folder(self, *command, **environment):
        return subprocess.run(command, cwd=self.root, text=True, stdin=subprocess.DEVNULL,
                              env={**os.environ, **environment},
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)

    def render(self):
        (self.root / "images").mkdir()
        for seed in range(IMAGES):
            self.run_in_folder(RENDER, "--seed", str(seed), "--size", "64x64", "-o", f"images/{seed}.png")

    def go_to_an_overlay(self):
        """Has the script run on a filesystem that the engine keeps no database on; the folder beside it."""
        disk = self.root
        for name in ("lower", "upper", "work", "merged", "tmp"):
            (disk / name).mkdir()
        layers = f"lowerdir={disk}/lower,upperdir={disk}/upper,workdir={disk}/work"
        mount = ["mount", "-t", "overlay", "-o", layers, "overlay", str(disk / "merged")]
        if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
            self.skipTest("no overlay can be mounted here")
        self.addCleanup(subprocess.run, ["umount", str(disk / "merged")], check=True)
        self.root = disk / "merged"
        return disk / "tmp"

    def check_commands(self, done):
        """Each command that it ends with shows something."""
        commands = re.findall(r"^    (\S+/jini .*?)(?: +#.*)?$", done.stdout, re.MULTILINE)
        self.assertEqual(len(commands), 5, done.stdout)
        for command in commands:
            shown = self.run_in_folder(*shlex.split(command))
            self.assertEqual(shown.returncode, 0, f"{command}\n{shown.stdout}")
            self.assertTrue(shown.stdout, command)

    def test_a_folder_of_images_and_the_commands_it_ends_with(self):
        self.render()
        done = self.run_in_folder(SCRIPT, "demo", "images")
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertTrue((self.root / "data/demo").is_dir())
        self.check_commands(done)

    def test_on_an_overlay_it_works_elsewhere_and_says_where(self):
        disk = self.go_to_an_overlay()
        self.render()
        done = self.run_in_folder(SCRIPT, "demo", "images", TMPDIR=str(disk))
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertRegex(done.stdout.splitlines()[0], rf"\./data would lie on overlayfs, .*; the demo works in {disk}/jini-data-0 ")
        self.assertFalse((self.root / "data").exists())
        self.check_commands(done)

    def test_on_an_overlay_without_room_elsewhere_it_says_at_once_what_to_do(self):
        self.go_to_an_overlay()
        (self.root / "images").mkdir()
        with (self.root / "images/huge.png").open("wb") as file:
            file.truncate(1 << 43)
        done = self.run_in_folder(SCRIPT, "demo", "images")
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertEqual(len(done.stdout.splitlines()), 1, done.stdout)
        self.assertIn("./data would lie on overlayfs", done.stdout)
        self.assertIn("Run it in a folder on a local disk", done.stdout)
        self.assertIn('"export JINI_STORE_ALLOW_UNSAFE_FILESYSTEM=yes"', done.stdout)

    def test_on_an_overlay_that_is_allowed_it_stays(self):
        self.go_to_an_overlay()
        self.render()
        done = self.run_in_folder(SCRIPT, "demo", "images", JINI_STORE_ALLOW_UNSAFE_FILESYSTEM="yes")
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertTrue((self.root / "data/demo").is_dir())

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
