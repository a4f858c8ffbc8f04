#!/usr/bin/python3
"""Keys and sessions by the command."""

import unittest

from cli import Case


class Keys(Case):
    def setUp(self):
        super().setUp()
        self.init("ada")

    def test_a_key_from_making_to_revoking(self):
        key = self.json("key", "add", "ada", "--name", "build server", "--limits", "30/minute").object()
        self.assertEqual((key["name"], key["limits"], key["expires"], key["revoked"]),
                         ("build server", "30/minute", None, None))
        self.assertRegex(key["text"], "^jk_[0-9a-z]{12}_[0-9a-z]{26}$")
        self.assertTrue(key["text"].startswith(key["id"] + "_"))
        listed = self.json("key", "list", "ada").object()
        self.assertNotIn("text", listed)
        self.assertEqual(listed["id"], key["id"])
        # Whoever pastes a whole key revokes it, and its secret is not printed.
        removed = self.json("key", "rm", key["text"])
        self.assertEqual(removed.object(), {"id": key["id"], "status": "OK"})
        self.assertIsNotNone(self.json("key", "list", "ada").object()["revoked"])
        self.assertEqual(self.json("session", "list", "ada").lines(), [])

    def test_what_is_no_key(self):
        self.assertEqual(self.json("key", "rm", "jk_000000000001", code=3).error()["field"], "id")
        self.assertEqual(self.json("key", "rm", "hunter2", code=2).error()["field"], "ID")
        self.assertEqual(self.json("key", "add", "ada", "--limits", "5/day", code=2).error()["field"], "--limits")
        self.assertEqual(self.json("key", "add", "ada", "--expires", "2020-01-01", code=2).error()["field"],
                         "expires_ms")
        self.assertEqual(self.json("key", "list", "nobody", code=3).error()["name"], "E_NOT_FOUND")

    def test_sessions(self):
        first = self.json("session", "begin", "ada", "--name", "laptop").object()
        second = self.json("session", "begin", "ada", "--expires", "2099-12-31").object()
        self.assertEqual({s["id"] for s in self.json("session", "list", "ada").lines()}, {first["id"], second["id"]})
        self.json("session", "rm", first["id"])
        self.assertEqual(self.json("session", "list", "ada").object()["id"], second["id"])
        self.assertEqual(self.json("session", "rm", "--user", "ada").object()["revocation_epoch"], 1)
        self.assertEqual(self.json("session", "list", "ada").lines(), [])
        self.assertEqual(self.json("session", "rm", code=2).error()["field"], "ID")


if __name__ == "__main__":
    unittest.main()
