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


class Consumers(Case):
    def setUp(self):
        super().setUp()
        self.init("ada")

    def consumers(self):
        return self.json("events", "consumers").lines()

    def test_consumers(self):
        self.assertEqual(self.consumers(), [])
        made = self.json("events", "create", "mails", "--type", "user.,credits.").object()
        self.assertEqual((made["kind"], made["types"], made["position"]), ("once", ["user.", "credits."], 0))
        self.assertEqual(self.json("events", "create", "mails", "--type", "user.,credits.").object()["name"], "mails")
        self.assertEqual(self.json("events", "create", "mails", code=4).error()["name"], "E_EXISTS")
        self.run_jini("events", "create", "printer", "--each", "--deliveries-max", 5, "--from", "end")
        rows = self.consumers()
        self.assertEqual([(row["name"], row["kind"], row["lag_events"]) for row in rows],
                         [("mails", "once", 1), ("printer", "each", 0)])
        self.run_jini("events", "replay", "mails", "--from", "end")
        self.run_jini("events", "replay", "printer", "--from", "2001-01-01")
        self.assertEqual([row["lag_events"] for row in self.consumers()], [0, 1])
        self.assertEqual(self.json("events", "dead", "printer").lines(), [])
        self.assertEqual(self.json("events", "dead", "printer", "--resend", "all").object(), {"sent_again": 0})
        self.assertIn("no dead letters", self.run_jini("events", "dead", "mails").out)
        self.run_jini("events", "rm", "printer")
        self.assertEqual([row["name"] for row in self.consumers()], ["mails"])
        self.assertIn("mails", self.run_jini("events", "consumers").out)
        self.assertIn('consumer="mails"', self.run_jini("stat", "--prometheus").out)

    def test_wrong_options(self):
        for arguments, code in ((("create", "a b"), 2), (("create", "a", "--deliveries-max", 3), 2), (("rm", "b"), 3),
                                (("replay", "b"), 2), (("replay", "b", "--from", "begin"), 3), (("dead", "b"), 3),
                                (("dead", "b", "--drop", "x"), 2), (("dead", "b", "--drop", 0), 2),
                                (("dead", "b", "--drop", 5, "--resend", 5), 2),
                                (("create", "x" * 70), 2)):
            self.json("events", *arguments, code=code)


if __name__ == "__main__":
    unittest.main()
