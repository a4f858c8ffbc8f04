#!/usr/bin/python3
"""What operations cost in counters that do not depend on the machine is what bench/counters.json says.

    counters_test.py PROGRAM

After a change that is meant: build/release/bin/jini-bench counters --write bench/counters.json
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

COMMITTED = pathlib.Path(__file__).resolve().parents[2] / "bench/counters.json"
PROGRAM = None


class Counters(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(dir=os.environ.get("JINI_TEST_TMPDIR"))
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def counters(self, *arguments):
        return subprocess.run([PROGRAM, "counters", "--dir", self.folder / "data", *arguments],
                              capture_output=True, text=True, check=False)

    def test_no_operation_costs_more_than_it_did(self):
        """Commits, pages, syncs, requests to the archive and allocations of each operation are as committed."""
        ran = self.counters("--compare", COMMITTED)
        self.assertEqual((ran.returncode, ran.stdout), (0, ""), ran.stdout + ran.stderr)

    def test_a_difference_is_named(self):
        """A page more for an admission, and a script that the file does not know, are found and named."""
        other = json.loads(COMMITTED.read_text())
        other["admit"]["pages"] -= 1
        del other["settle"]
        changed = self.folder / "changed.json"
        changed.write_text(json.dumps(other))
        ran = self.counters("--compare", changed)
        self.assertEqual(ran.returncode, 1)
        self.assertRegex(ran.stdout, r"(?m)^admit: pages per operation: [\d.]+, was [\d.]+$")
        self.assertIn("settle: pages per operation: ", ran.stdout)
        self.assertIn(f"--write {changed}", ran.stdout)

    def test_writing_is_one_command(self):
        """What --write leaves is the form that --compare takes, and nothing else stays behind."""
        written = self.folder / "written.json"
        self.assertEqual(self.counters("--write", written).returncode, 0)
        self.assertEqual({name: set(row) for name, row in json.loads(written.read_text()).items()},
                         {name: set(row) for name, row in json.loads(COMMITTED.read_text()).items()})
        self.assertEqual(os.listdir(self.folder), ["written.json"])


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main(argv=sys.argv[:1], verbosity=2)
