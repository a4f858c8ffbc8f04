#!/usr/bin/python3
"""Files that are named to the command: those of the database itself, pipes and devices, folders that cannot be read."""

import json
import os
import socket
import struct
import unittest

from cli import Case, png


class OwnFiles(Case):
    """The database keeps its locks, whatever a user names: its files are known by inode and never opened."""

    def setUp(self):
        super().setUp()
        self.init("alice")
        self.database = self.directory / "db"

    def names(self):
        """Every way to name the files whose locks count."""
        found = []
        for name in ("lock.mdb", "processes", "data.mdb"):
            os.link(self.database / name, self.directory / f"hard-{name}")
            (self.directory / f"soft-{name}").symlink_to(f"db/{name}")
            found += [f"db/{name}", f"./db/../db/{name}", f"hard-{name}", f"soft-{name}"]
        (self.directory / "way").symlink_to("db")
        return found + ["way/lock.mdb", "db", "db/", "way", "db/archive" if (self.database / "archive").exists() else "db"]

    def test_put_never_opens_them(self):
        """A put that was given all of them still holds its locks: others see that it has the database open."""
        names = self.names()
        self.file("in/a.png", png(1))
        os.link(self.database / "lock.mdb", self.directory / "in/hard")
        (self.directory / "in/soft").symlink_to("../db/processes")
        import subprocess
        process = self.start("--json", "put", "alice", "-r", "--parallel", "1", *names, ".", "-",
                             stdin=subprocess.PIPE)
        lines = [json.loads(process.stdout.readline()) for _ in range(len(names) + 1)]
        for name, line in zip(names, lines):
            self.assertEqual((line["file"], line["status"]), (name, "E_INVALID"))
            self.assertIn("belongs to the database", line["error"]["message"])
        self.assertEqual((lines[-1]["file"], lines[-1]["status"]), ("./in/a.png", "OK"))
        seen = [p["name"] for p in self.json("stat").object()["processes"]]
        self.assertIn("jini put", seen)
        out, _ = process.communicate(png(2))
        self.assertEqual(json.loads(out)["status"], "OK")
        self.assertEqual(process.returncode, 2)
        self.verify("--deep")

    def test_walk_passes_them_over(self):
        self.file("in/a.png", png(1))
        result = self.run_jini("put", "alice", "-r", ".")
        self.assertIn("passed over ./db: it belongs to the database itself", result.err)
        self.assertIn("1 of 1 files stored", result.out)
        self.assertEqual(self.run_jini("put", "alice", ".", code=3).out, "")

    def test_get_and_backup_never_replace_them(self):
        name = self.json("put", "alice", "-", stdin=png(3)).object()["id"]
        before = {path.name: path.stat().st_ino for path in self.database.iterdir()}
        for target in self.names()[:-4] + ["db", "db/new.png"]:
            error = self.json("get", name, "--force", "-o", target, code=2).error()
            self.assertIn("belongs to the database", error["message"])
        for target in ("db/lock.mdb", "hard-lock.mdb", "db/copy.mdb"):
            error = self.json("backup", target, code=2).error()
            self.assertIn("belongs to the database", error["message"])
        self.assertEqual({path.name: path.stat().st_ino for path in self.database.iterdir()}, before)
        self.verify("--deep")


class OtherFormats(Case):
    def test_are_refused_in_words(self):
        """A database of another format is refused by its number, with the one read here and what to do."""
        self.init("alice")
        path = self.directory / "db/data.mdb"
        content = path.read_bytes()
        record = b"format" + struct.pack("<II", 1, 0)
        self.assertIn(record, content)
        for version, words in ((2, "has format 2, and this version of Jini reads up to format 1; use a newer version"),
                               (0, "has format 0, and this version of Jini migrates from format 1 on")):
            path.write_bytes(content.replace(record, b"format" + struct.pack("<II", version, 0)))
            for command in (["stat"], ["user", "list"], ["user", "add", "bob"], ["verify"]):
                error = self.json(*command, code=15).error()
                self.assertEqual((error["name"], error["field"]), ("E_FORMAT", "format"))
                self.assertIn(words, error["message"])
            self.assertIn(words, self.run_jini("stat", code=15).err)
        path.write_bytes(content)
        self.verify("--deep")


class OddFiles(Case):
    def setUp(self):
        super().setUp()
        self.init("alice")

    def test_what_is_no_file(self):
        """Pipes, sockets and devices are passed over in a folder, and refused by name without waiting for them."""
        self.file("in/a.png", png(1))
        os.mkfifo(self.directory / "in/pipe")
        server = socket.socket(socket.AF_UNIX)
        self.addCleanup(server.close)
        server.bind(os.path.relpath(self.directory / "in/socket"))
        result = self.run_jini("put", "alice", "in")
        self.assertIn("passed over in/pipe", result.err)
        self.assertIn("passed over in/socket", result.err)
        for name in ("in/pipe", "in/socket", "/dev/zero"):
            line = self.json("put", "alice", name, code=2).object()
            self.assertIn("not a file", line["error"]["message"])

    @unittest.skipUnless(os.geteuid() == 0 and os.path.exists("/usr/bin/setpriv"), "needs root and setpriv")
    def test_unreadable_folder_is_one_failure(self):
        """A folder below that cannot be listed is said once, as what failed; the others are stored."""
        self.file("in/a/1.png", png(1))
        self.file("in/b/2.png", png(2))
        self.file("in/c/3.png", png(3))
        (self.directory / "in/b").chmod(0o700)
        import subprocess
        subprocess.run(["/bin/chmod", "a+rX", "-R", str(self.directory / "in/a"), str(self.directory / "in/c")])
        subprocess.run(["/bin/chmod", "a+rwX", "-R", str(self.directory / "db")], check=True)
        self.directory.chmod(0o777)
        import cli
        result = subprocess.run(["/usr/bin/setpriv", "--reuid=65534", "--clear-groups", cli.JINI, "--json", "put",
                                 "alice", "-r", "in"], cwd=self.directory, env=self.environment,
                                capture_output=True)
        lines = {line["file"]: line["status"] for line in map(json.loads, result.stdout.splitlines())}
        self.assertEqual(lines, {"in/a/1.png": "OK", "in/b": "E_IO", "in/c/3.png": "OK"}, result.stderr)
        self.assertEqual(result.returncode, 6)


if __name__ == "__main__":
    unittest.main()
