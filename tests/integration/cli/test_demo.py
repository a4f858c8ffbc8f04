#!/usr/bin/python3
"""What jini-demo says about a folder of images: all that it gives, all that it refuses."""

import os
import subprocess
import unittest

from cli import SLOW, Case, png

DEMO = os.environ.get("JINI_DEMO", "jini-demo")


class Demo(Case):
    def demo(self, *arguments, code=0):
        result = subprocess.run([DEMO, "--data", "data", *map(str, arguments)], cwd=self.directory,
                                env=self.environment, capture_output=True, timeout=300 * SLOW)
        self.assertEqual(result.returncode, code, result.stdout + result.stderr)
        return result.stdout.decode("utf-8", "replace"), result.stderr.decode("utf-8", "replace")

    def test_refused_files_are_counted_and_named(self):
        """Every override is printed in full, and what is no image is named, not counted as stored."""
        folder = self.pictures(60, width=16, height=16)
        self.file("in/note.txt", b"hello")
        self.file("in/bad\n.png", b"\x89PNG\r\n\x1a\n")
        out, _ = self.demo(folder)
        self.assertNotIn("every image is stored", out)
        self.assertIn("60 of 62 files are stored; 2 files were refused: bad\\x0a.png (", out)
        self.assertRegex(out.splitlines()[-1], r"^Nothing was lost of what was stored; 2 files were refused: .*note\.txt")
        self.assertRegex(out, r'gives fay, for the next request on: limits "[^"]+", width without bound, '
                              r'height without bound; the rest stays')

    def test_folders_without_images(self):
        (self.directory / "empty").mkdir()
        self.assertIn("there is no image in the folder empty: it has no files", self.demo("empty", code=3)[1])
        self.file("texts/a.txt", b"hello")
        self.assertIn("there is no image in the folder texts: all of its", self.demo("texts", code=3)[1])
        self.assertIn("demo's own database", self.demo("data/demo", code=1)[1])


if __name__ == "__main__":
    unittest.main()
