#!/usr/bin/python3
"""The table of verbs is in the help, the manual page and the completion; wrong use is explained."""

import os
import pathlib
import re
import shutil
import subprocess
import unittest

from cli import JINI, Case


class Help(Case):
    def table(self):
        return self.json("help").object()

    def completions(self, *words):
        """What bash completes after these words; the last one is the one under the cursor."""
        script = self.directory / "completion"
        script.write_text(self.run_jini("help", "--completion").out)
        program = (f"source {script}; compopt() {{ :; }}; COMP_WORDS=(\"$JINI\" \"$@\"); COMP_CWORD=$#; _jini; "
                   "printf '%s\\n' \"${COMPREPLY[@]}\"")
        result = subprocess.run(["bash", "-c", program, "bash", *words], cwd=self.directory,
                                capture_output=True, text=True, check=True,
                                env={**self.environment, "JINI": JINI})
        self.assertEqual(result.stderr, "")
        return result.stdout.split()

    def test_every_verb_teaches(self):
        """--help and "help VERB" of each verb print its usage, all its options and an example at least."""
        for verb in self.table()["verbs"]:
            with self.subTest(verb=verb["verb"]):
                words = verb["verb"].split()
                text = self.run_jini(*words, "--help").out
                self.assertTrue(text.startswith(f"Usage: jini {verb['verb']}"), text)
                self.assertEqual(text, self.run_jini("help", *words).out)
                self.assertNotIn("\n\n\n", text)
                self.assertGreaterEqual(len(verb["examples"]), 1)
                for example in verb["examples"]:
                    self.assertIn(example["command"], text)
                for option in verb["options"]:
                    self.assertIn("--" + option["name"], text)
                self.assertLessEqual(max(map(len, text.split("Examples")[0].splitlines())), 80)

    def test_help_lists_every_verb(self):
        text = self.run_jini("help").out
        for verb in self.table()["verbs"]:
            self.assertIn(f"  {verb['verb']} ", text)
            self.assertIn(verb["summary"], " ".join(text.split()))
        group = self.run_jini("help", "limit").out
        self.assertIn("limit peek", group)
        self.assertNotIn("user add", group)
        self.assertEqual(group, self.run_jini("limit", "--help").out)

    def test_manual_has_every_verb_and_option(self):
        page = self.run_jini("help", "--man").out
        for verb in self.table()["verbs"]:
            self.assertIn(f".SS jini {verb['verb']}", page)
            for option in verb["options"]:
                self.assertIn("\\-\\-" + option["name"].replace("-", "\\-"), page)
        self.assertIn("store.sync", page)
        self.assertIn(".SH EXIT STATUS", page)

    @unittest.skipUnless(shutil.which("groff"), "groff is not installed")
    def test_manual_is_good_roff(self):
        page = self.run_jini("help", "--man").raw
        result = subprocess.run(["groff", "-man", "-ww", "-z", "-Tutf8"], input=page,
                                capture_output=True, check=True)
        self.assertEqual(result.stderr, b"")

    def test_completion_is_good_bash(self):
        script = self.run_jini("help", "--completion").raw
        subprocess.run(["bash", "-n"], input=script, check=True)

    @unittest.skipUnless(shutil.which("shellcheck"), "shellcheck is not installed")
    def test_completion_pleases_shellcheck(self):
        script = self.run_jini("help", "--completion").raw
        subprocess.run(["shellcheck", "-s", "bash", "-"], input=script, check=True)

    def test_completion_has_every_verb_and_option(self):
        table = self.table()
        first = {verb["verb"].split()[0] for verb in table["verbs"]}
        self.assertEqual(set(self.completions("")), first)
        self.assertEqual(self.completions("lim"), ["limit"])
        self.assertEqual(set(self.completions("--db", "x", "tier", "")), {"list", "show", "set", "rm"})
        for verb in table["verbs"]:
            expected = {"--" + option["name"] for option in verb["options"] + table["global_options"]}
            self.assertEqual(set(self.completions(*verb["verb"].split(), "--")), expected)

    def test_completion_knows_values(self):
        self.file("one.png", b"")
        (self.directory / "folder").mkdir()
        self.assertEqual(self.completions("user", "set", "x", "--staff", ""), ["yes", "no"])
        self.assertEqual(self.completions("--db", "fol"), ["folder"])
        self.assertEqual(self.completions("put", "alice", "on"), ["one.png"])
        self.assertIn("store.sync=", self.completions("--set", "store.s"))
        self.assertEqual(self.completions("user", "show", ""), [])

    def test_completion_asks_the_database(self):
        """Users and tiers are completed by what is there; without a database, by nothing and no error."""
        self.assertEqual(self.completions("user", "show", "a"), [])
        self.assertEqual(self.completions("user", "add", "x", "--tier", ""), [])
        self.init("alice", "anna", "bob")
        self.assertEqual(self.completions("user", "show", "a"), ["alice", "anna"])
        self.assertEqual(self.completions("put", "b"), ["bob"])
        self.assertEqual(self.completions("--db", "elsewhere", "put", "b"), [])
        self.assertEqual(self.completions("user", "add", "x", "--tier", ""), ["Free", "Basic", "Premium"])
        self.assertEqual(self.completions("tier", "show", "P"), ["Premium"])
        self.assertEqual(self.completions("help", "ver"), ["verify"])
        self.assertEqual(set(self.completions("help", "lim")), {"limit", "limits"})
        self.assertEqual(set(self.completions("help", "tier", "s")), {"show", "set"})

    def test_notation_of_limits_is_explained(self):
        """The grammar of limits stands in a topic of the help and in the manual, and its examples are valid."""
        text = " ".join(self.run_jini("help", "limits").out.split())
        page = self.run_jini("help", "--man").out
        for word in ("sliding", "gcra [burst B]", "calendar [ZONE]", "anchor [ZONE]", "shadow", "second, minute, hour"):
            self.assertIn(word, text)
            self.assertIn(word, page)
        self.init()
        for limits in ("100/15 minutes", "500/3 months", "30/minute sliding", "60/minute gcra burst 10",
                       "30/day calendar Europe/Berlin", "1000/month anchor", "3/second shadow",
                       "5/minute; 30/day calendar Europe/Berlin; 9/second gcra burst 20", "30 per day"):
            self.assertIn(limits, text)
            self.run_jini("tier", "set", "Free", "--limits", limits)
        self.assertEqual(self.json("help", "limits").object()["topic"], "limits")

    def test_version(self):
        self.assertRegex(self.run_jini("--version").out, r"^jini \d+\.\d+\.\d+\n$")
        self.assertIn("version", self.json("--version").object())


class WrongUse(Case):
    def usage(self, *arguments):
        """The error of a command line that is wrong, in both forms."""
        text = self.run_jini(*arguments, code=2)
        error = self.json(*arguments, code=2).error()
        self.assertEqual(text.out, "")
        self.assertIn(error["message"], text.err)
        self.assertEqual(error["name"], "E_INVALID")
        return error["message"]

    def test_an_error_has_the_members_that_are_written_down(self):
        """Those of the README and of the manual, in their order."""
        members = list(self.json("pit", code=2).error())
        readme = pathlib.Path(__file__).parents[3] / "tools/jini/README.md"
        for text in (readme.read_text(), " ".join(self.run_jini("help", "--man").out.split())):
            listed = re.search(r'\{"error": \{([^}]*)\}\}', text.replace("\\", "")).group(1)
            self.assertEqual(re.findall(r'"(\w+)"', listed), members)

    def test_near_names_are_offered(self):
        self.assertIn('did you mean "put"', self.usage("pit"))
        self.assertIn('did you mean "user add"', self.usage("user", "ad"))
        self.assertIn('did you mean "tier list"', self.usage("help", "tier", "lst"))
        self.assertIn("did you mean --recursive", self.usage("put", "--recusive", "a", "b"))
        self.assertIn("did you mean --limits", self.usage("tier", "set", "Free", "--limit=5/day", "--limitz", "x"))
        self.assertNotIn("did you mean", self.usage("xyzzyplugh"))
        self.assertIn("did you mean store.sync", self.usage("--set", "store.snc=full", "options"))

    def test_rules_are_named(self):
        self.assertIn("a verb is needed", self.usage())
        self.assertIn('"user" needs a verb', self.usage("user"))
        self.assertIn("FILE|DIR is missing", self.usage("put", "alice"))
        self.assertIn("one argument too many", self.usage("stat", "x"))
        self.assertIn("--email needs a value", self.usage("user", "add", "x", "--email"))
        self.assertIn("takes no value", self.usage("verify", "--deep=yes"))
        self.assertIn("there is no option -z", self.usage("verify", "-z"))
        self.assertIn("begins several options", self.usage("user", "add", "--password-"))
        self.assertIn("not a whole number from 1 to", self.usage("ls", "--limit", "0"))
        self.assertIn("not a whole number", self.usage("ls", "--limit", "1x"))
        self.assertIn("not one of yes|no", self.usage("user", "set", "x", "--staff", "maybe"))
        self.assertIn("not NAME=VALUE", self.usage("--set", "store.sync", "options"))
        self.assertIn("nor the word", self.usage("user", "set", "x", "--steps-max", "many"))

    def test_options_stand_anywhere(self):
        self.init("alice")
        for line in (["--json", "user", "show", "alice"], ["user", "--json", "show", "alice"],
                     ["user", "show", "--json", "alice"], ["user", "show", "alice", "--json"],
                     ["user", "show", "--json", "--", "alice"]):
            self.assertEqual(self.run_jini(*line).object()["username"], "alice")

    def test_options_are_written_in_full(self):
        """--price is not taken for --price-minor, which would be another amount."""
        self.assertIn("did you mean --price-minor", self.usage("tier", "set", "Gold", "--price", "15"))
        self.assertIn("did you mean --price-minor", self.usage("tier", "set", "Gold", "--price=15"))
        self.assertIn("did you mean --json", self.usage("ls", "--js"))
        self.assertIn("begins several", self.usage("ls", "--ver"))

    def test_no_database(self):
        result = self.run_jini("ls", code=3)
        self.assertIn("jini --db", result.err)
        self.check_error(self.json("ls", code=3), "E_NOT_FOUND", "db", "init")
        self.assertFalse((self.directory / "db").exists())


if __name__ == "__main__":
    os.environ.setdefault("LC_ALL", "C")
    unittest.main()
