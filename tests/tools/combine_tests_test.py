#!/usr/bin/python3
"""tools/combine-tests makes one row of tests of several builds, and that row fails when any of them fails."""

import pathlib
import re
import subprocess
import tempfile
import unittest

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "tools/combine-tests"

PROJECT = """
cmake_minimum_required(VERSION 3.25)
project(small NONE)
enable_testing()
add_custom_target(everything ALL COMMAND ${CMAKE_COMMAND} -E touch built COMMAND %(build)s)
add_test(NAME tools-rules COMMAND true)
add_subdirectory(inner)
"""
INNER = """
add_test(NAME first COMMAND ls ../built)
add_test(NAME "second test" COMMAND %(second)s "a;b" "c d")
set_tests_properties(first PROPERTIES FIXTURES_SETUP server ENVIRONMENT "A=1;B=2")
set_tests_properties("second test" PROPERTIES FIXTURES_REQUIRED server)
"""


class CombineTests(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.root = pathlib.Path(self.folder.name)

    def tearDown(self):
        self.folder.cleanup()

    def build(self, name, build="true", second="true"):
        source = self.root / ("source-" + name)
        (source / "inner").mkdir(parents=True)
        (source / "CMakeLists.txt").write_text(PROJECT % {"build": build})
        (source / "inner/CMakeLists.txt").write_text(INNER % {"second": second})
        subprocess.run(["cmake", "-G", "Ninja", "-S", str(source), "-B", str(self.root / name)],
                       check=True, capture_output=True)
        return self.root / name

    def run_all(self, *builds):
        """The exit code of ctest over these builds, its output, and what became of each test."""
        row = self.root / "all"
        subprocess.run([SCRIPT, "--output", str(row), "--jobs", "2", *map(str, builds)], check=True)
        done = subprocess.run(["ctest", "--test-dir", str(row), "-j", "2"], text=True,
                              capture_output=True, check=False)
        results = dict(re.findall(r"Test +#\d+: (.+?) \.+ *\**(Passed|Failed|Not Run)", done.stdout))
        return done.returncode, done.stdout, results

    def test_all_tests_of_all_builds_run_once(self):
        code, output, results = self.run_all(self.build("one"), self.build("two"))
        self.assertEqual(code, 0, output)
        self.assertEqual(results, {name: "Passed" for name in (
            "one/build", "one/tools-rules", "one/first", "one/second test",
            "two/build", "two/first", "two/second test")})
        self.assertIn("100% tests passed, 0 tests failed out of 7", output)

    def test_the_first_build_is_tested_before_the_second_is_built(self):
        _, output, _ = self.run_all(self.build("one"), self.build("two"))
        self.assertLess(output.index("one/second test"), output.index("two/build"))

    def test_a_failed_test_fails_the_row(self):
        code, output, results = self.run_all(self.build("one", second="false"), self.build("two"))
        self.assertNotEqual(code, 0)
        self.assertEqual(results["one/second test"], "Failed")
        self.assertEqual(results["two/second test"], "Passed")
        self.assertIn("1 tests failed out of 7", output)

    def test_a_failed_build_fails_its_tests_and_no_others(self):
        code, _, results = self.run_all(self.build("one"), self.build("two", build="false"))
        self.assertNotEqual(code, 0)
        self.assertEqual(results["one/first"], "Passed")
        self.assertEqual(results["two/build"], "Failed")
        self.assertEqual(results["two/first"], "Not Run")


if __name__ == "__main__":
    unittest.main()
