#!/usr/bin/python3
"""jini-bench measures every case and writes what its page quotes.

    smoke_test.py PROGRAM [--scale F]
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree

PAGE = pathlib.Path(__file__).resolve().parents[2] / "bench/README.md"
PROGRAM = None
SCALE = "0.005"

CASES = ["limit-hot", "limit-spread", "write-small", "read-user", "write-procs", "image-put",
         "image-get", "open", "growth", "memory", "transfer-batch", "transfer-spread", "transfer-single",
         "admit", "admit-uniform", "admit-mixed"]
TRANSFERS = [case for case in CASES if case.startswith("transfer-")]
DURABLE = ["write-small", "write-procs", "image-put"]
# Second demands of the table, by the field that answers them.
SECOND = {"limit-spread": ["subjects_over_the_limit"], "write-small": ["ratio_to_raw_lmdb"],
          "write-procs": ["longest_wait_s"], "open": ["cold_s"], "growth": ["pages_growth_with_history", "time_loss_to_raw_lmdb"],
          "transfer-spread": ["ratio_to_raw_lmdb", "ratio_to_postgresql"], "transfer-single": ["ratio_to_postgresql"],
          "admit": ["p99_s", "ratio_to_postgresql_redis"]}
# Fields that stand in the row of a case without a demand.
SHOWN = {"transfer-batch": ["ratio_to_postgresql", "ratio_to_sqlite"], "transfer-spread": ["ratio_to_sqlite"],
         "admit-uniform": ["pages_per_admission"], "admit-mixed": ["admissions_per_s", "batches_per_s"],
         "growth": ["raw_pages_growth_with_history", "batch_pages_growth", "raw_batch_pages_growth"]}
UNITS = {"limit-hot": "checks/s", "limit-spread": "checks/s", "write-small": "writes/s",
         "open": "s", "admit": "admissions/s", "admit-mixed": "s", "memory": "bytes", **dict.fromkeys(TRANSFERS, "transfers/s")}
# What is measured beside PostgreSQL, where that is not installed.
MISSING = ["postgresql_missing", "postgresql_redis_missing"]
BESIDE = ["ratio_to_postgresql", "ratio_to_postgresql_redis"]


def is_missing(result):
    return any(field in result for field in MISSING)


def run(*arguments):
    return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, check=False)


class Bench(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(dir=os.environ.get("JINI_TEST_TMPDIR"))
        root = pathlib.Path(cls.folder.name)
        root.chmod(0o711)  # for the user postgres, who runs the server where this is root
        cls.data = root / "data"
        cls.results = root / "results"
        cls.page = root / "README.md"
        shutil.copy(PAGE, cls.page)
        cls.ran = run("all", "--quick", "--seconds", "0.05", "--scale", SCALE, "--dir", str(cls.data),
                      "--results", str(cls.results), "--readme", str(cls.page))

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def object(self, case):
        return json.loads((self.results / f"{case}.json").read_text())

    def test_all_cases_run_and_no_promise_is_broken(self):
        self.assertEqual(self.ran.returncode, 0, self.ran.stdout + self.ran.stderr)
        whole = json.loads((self.results / "all.json").read_text())
        self.assertEqual([case["bench"] for case in whole["cases"]], CASES)
        for field in ["cores", "memory_bytes", "kernel", "filesystem"]:
            self.assertIn(field, whole["run"])
        self.assertRegex(whole["run"]["commit"], r"^([0-9a-f]{40}(-dirty)?|unknown)$")
        for case in whole["cases"]:
            self.assertNotIn("broken", case)

    def test_each_object_has_value_ceiling_peer_and_ratios(self):
        for case in CASES:
            result = self.object(case)
            self.assertEqual(result["bench"], case)
            self.assertEqual(result["commit"], self.object("open")["commit"])
            if case != "admit":  # 0: of no rate that was offered all were in time
                self.assertGreater(result["value"], 0, case)
            self.assertEqual(result["unit"], UNITS.get(case, "ratio"))
            self.assertGreater(result["ceiling"], 0, case)
            self.assertTrue(result["ceiling_what"])
            self.assertGreater(result["ratio_to_ceiling"], 0, case)
            if "peer" in result:
                self.assertGreater(result["peer"], 0, case)
                self.assertTrue(result["peer_what"])
                self.assertIn("ratio_to_peer", result, case)
            self.assertIs(result["quick"], True)

    def test_every_demand_is_a_field_and_judged(self):
        for case in CASES:
            result = self.object(case)
            fields = [target["field"] for target in result["targets"]]
            self.assertEqual(fields[0], "ratio_to_raw_lmdb" if case == "transfer-spread" else "value")
            for target in result["targets"]:
                bound = target.get("at_least", target.get("at_most"))
                if is_missing(result) and target["field"] in BESIDE:
                    self.assertIs(target["met"], False)
                    continue
                measured = result[target["field"]]
                met = measured >= bound if "at_least" in target else measured <= bound
                self.assertEqual(met, target["met"], case)
            for field in SECOND.get(case, []):
                if not is_missing(result) or field not in BESIDE:
                    self.assertIn(field, result, case)

    def test_durable_figures_have_syncs_beside_them(self):
        for case in DURABLE:
            result = self.object(case)
            for field in ["syncs_per_s", "peer_syncs_per_s", "disk_syncs_per_s"]:
                self.assertGreater(result[field], 0, case)

    def test_no_subject_is_over_its_limit(self):
        result = self.object("limit-spread")
        self.assertEqual(result["subjects_over_the_limit"], 0)
        self.assertGreater(result["subjects_that_asked_for_more"], 0)

    def test_transfers_are_measured_beside_every_ledger_that_is_installed(self):
        """PostgreSQL is missing only where its server is not there, and then the case says so."""
        for case in TRANSFERS:
            result = self.object(case)
            self.assertGreater(result["ratio_to_sqlite"], 0, case)
            if os.path.exists("/usr/lib/postgresql/15/bin/postgres"):
                self.assertFalse(is_missing(result))
                self.assertIn("PostgreSQL 15", result["peer_what"])
                self.assertGreater(result["ratio_to_postgresql"], 0, case)
            else:
                self.assertIn("postgresql-15", result[MISSING[0]])

    def test_every_index_answers_after_each_batch(self):
        for case in ["transfer-batch", "transfer-spread"]:
            self.assertEqual(self.object(case)["wrong_answers"], 0, case)

    def test_table_plots_and_page_are_written(self):
        table = (self.results / "table.md").read_text()
        page = self.page.read_text()
        for case in CASES:
            self.assertIn(f"| `{case}` |", table)
            row = next(line for line in table.splitlines() if line.startswith(f"| `{case}` |"))
            for field in SECOND.get(case, []) + SHOWN.get(case, []):
                self.assertIn(f"; {field} ", row)
            self.assertIn(f"### {case}\n", page)
            root = xml.etree.ElementTree.parse(self.results / f"{case}.svg").getroot()
            self.assertTrue(root.tag.endswith("svg"))
        self.assertIn("A SMOKE TEST", page)
        self.assertIn(f"commit {self.object('open')['commit']}, ", page)
        written = PAGE.read_text().splitlines()
        self.assertEqual(page.splitlines()[0], written[0])
        self.assertEqual(page.splitlines()[-1], written[-1])

    def test_data_is_removed(self):
        self.assertFalse(self.data.exists())

    def test_list_and_help_know_every_case(self):
        listed = run("--list").stdout.splitlines()
        self.assertEqual([line.split()[0] for line in listed], CASES)
        for case in CASES:
            text = run("help", case)
            self.assertEqual(text.returncode, 0)
            self.assertIn("target:", text.stdout)

    def test_wrong_use_is_refused(self):
        for arguments in [[], ["no-such-case"], ["--scale", "x", "open"], ["--seconds", "-1", "open"],
                          ["help", "no-such-case"], ["open", "growth"], ["--no-such-option"]]:
            self.assertNotEqual(run(*arguments).returncode, 0, arguments)

    def test_one_case_prints_one_object(self):
        with tempfile.TemporaryDirectory(dir=os.environ.get("JINI_TEST_TMPDIR")) as folder:
            printed = run("image-get", "--json", "--quick", "--seconds", "0.02", "--dir", folder)
            self.assertEqual(json.loads(printed.stdout)["bench"], "image-get")
            self.assertEqual(os.listdir(folder), [])


if __name__ == "__main__":
    arguments = sys.argv[1:]
    PROGRAM = arguments.pop(0)
    if arguments[:1] == ["--scale"]:
        SCALE = arguments[1]
    unittest.main(argv=sys.argv[:1], verbosity=2)
