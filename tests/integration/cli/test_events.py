#!/usr/bin/python3
"""Events by the command."""

import unittest

from cli import Case, png


class Tail(Case):
    def setUp(self):
        super().setUp()
        self.init("ada")

    def tail(self, *arguments, **more):
        return self.json("events", "tail", *arguments, **more)

    def test_what_happened_is_listed(self):
        self.run_jini("user", "set", "ada", "--tier", "Basic")
        made = self.json("grant", "add", "ada", 5).object()
        rows = self.tail().lines()
        self.assertEqual([row["type"] for row in rows], ["user.created", "user.tier_changed", "credits.granted"])
        self.assertEqual(rows[1]["payload"], {"tier": "Basic", "tier_before": "Premium"})
        self.assertEqual((rows[2]["subject_id"], rows[2]["payload"]["credits"]), (made["id"], 5))
        positions = [row["position"] for row in rows]
        self.assertEqual(positions, sorted(positions))
        self.assertEqual(self.tail("--from", positions[1]).lines(), rows[1:])
        self.assertEqual(self.tail("--from", positions[2] + 1).lines(), [])
        self.assertEqual(self.tail("--from", "2098-01-01").lines(), [])
        self.assertEqual(self.tail("--type", "credits.,user.c").lines(), [rows[0], rows[2]])
        self.assertEqual(self.tail("--user", "ada", "--limit", 1).lines(), rows[:1])
        self.assertEqual(self.tail("--user", "ada", "--follow", "--limit", 3).lines(), rows)
        text = self.run_jini("events", "tail").out
        self.assertIn("user.tier_changed", text)
        self.assertIn('{"tier":"Basic","tier_before":"Premium"}', text)
        self.assertIn("no events", self.run_jini("events", "tail", "--type", "payment.").out)

    def test_a_generation_has_its_events(self):
        self.run_jini("put", "ada", self.file("a.png", png(1)))
        rows = self.tail("--type", "job.").lines()
        self.assertEqual([row["type"] for row in rows], [] if not rows else ["job.admitted", "job.completed"])

    def test_wrong_options(self):
        for arguments, field in ((("--from", "yesterday"), "--from"), (("--type", ""), "--type"),
                                 (("--type", "a,,b"), "--type"), (("--type", "x" * 48), "--type"),
                                 (("--type", ",".join("abcdefghi")), "--type")):
            self.assertEqual(self.tail(*arguments, code=2).error()["field"], field, arguments)
        self.assertEqual(self.tail("--user", "bob", code=3).error()["name"], "E_NOT_FOUND")


if __name__ == "__main__":
    unittest.main()
