#!/usr/bin/python3
"""Backups by the command, and what the command does with a database that was put back."""

import os
import pathlib
import shutil
import signal
import time
import unittest

from cli import Case, SLOW, png


class Backups(Case):
    def setUp(self):
        super().setUp()
        self.init("alice")

    def put(self, *numbers):
        """Puts pictures; their ids by number."""
        return {number: self.json("put", "--no-limits", "alice", "-", stdin=png(number)).object()["id"]
                for number in numbers}

    def check_images(self, ids, *arguments):
        """Every image reads back as it was put, and verify in depth finds nothing wrong."""
        lines = self.json(*arguments, "verify", "--deep").lines()
        self.assertEqual(lines[-1]["problems"], 0, lines)
        for number, id in ids.items():
            self.assertEqual(self.run_jini(*arguments, "get", id).raw, png(number))

    def backup(self, *arguments, **options):
        return self.json("backup", *arguments, **options).lines()[-1]

    def test_is_whole_and_kept_up_to_date(self):
        """A backup opens by itself, with its archive; later ones copy what is new and drop what is not needed."""
        ids = self.put(1, 2)
        self.run_jini("archive", "run", "--now")
        ids |= self.put(3)
        first = self.backup("copy")
        self.assertEqual((first["packs"], first["objects"], first["files_copied"], first["files_kept"]), (2, 1, 3, 0))
        self.assertEqual((first["directory"], first["problems"]), ("copy", 0))
        self.check_images(ids, "--db", "copy", "--read-only")
        self.check_images(ids, "--db", "copy")
        ids |= self.put(4)
        self.run_jini("archive", "run", "--now", "--free-hot")
        again = self.backup("--deep", "copy")
        self.assertGreater(again["files_removed"], 0)
        self.check_images(ids, "--db", "copy")
        self.assertEqual(self.backup("copy")["files_copied"], 0)
        text = self.run_jini("backup", "copy").out
        self.assertRegex(text, r"holds +0 packs, 2 objects of the archive, [\d.]+ KiB of records\n")
        self.assertRegex(text, r"kept +2 of the backup before\n")
        self.assertEqual(self.run_jini("--quiet", "backup", "copy").out, "")

    def test_merges_and_duplicates_lose_nothing(self):
        """What was put before a backup is in it, also where tiering merges, shares and frees it around that."""
        ids = self.put(1, 2, 2)
        self.backup("copy")
        later = self.put(3, 1)
        self.run_jini("archive", "run")  # shares, merges
        self.check_images(ids, "--db", "copy")
        self.backup("copy")
        self.run_jini("archive", "run", "--now", "--free-hot")
        self.check_images(ids | later, "--db", "copy")
        self.run_jini("--db", "copy", "archive", "run", "--now", "--free-hot")
        self.check_images(ids | later, "--db", "copy")
        self.check_images(ids | later)

    def test_interrupt_leaves_the_backup_before(self):
        """Ctrl-C ends a backup at once; the one before is there, and the next goes on."""
        ids = self.put(1)
        self.run_jini("archive", "run", "--now")
        self.backup("copy")
        later = self.put(2)
        self.run_jini("archive", "run", "--now")
        process = self.start("--json", "--set", "archive.url=fault:every=1,kinds=hang,operations=get:dir:archive",
                             "backup", "copy")
        end = time.monotonic() + 60 * SLOW
        while len(list((self.directory / "copy/packs").rglob("*.pack"))) < 2 and time.monotonic() < end:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        result = self.finish(process)
        self.assertEqual(result.code, 130, result.err)
        self.assertEqual(result.error()["name"], "E_CANCELLED")
        self.check_images(ids, "--db", "copy")
        self.assertGreater(self.backup("copy")["files_kept"], 0)
        self.check_images(ids | later, "--db", "copy")

    def test_what_is_refused(self):
        """A folder of somebody else's, another database's backup and options of the other form, each in words."""
        self.file("full/note.txt", b"hello")
        self.check_error(self.json("backup", "full", code=4), "E_EXISTS", "full", "neither empty nor a backup")
        self.assertEqual(os.listdir(self.directory / "full"), ["note.txt"])
        self.check_error(self.json("backup", "no/such", code=3), "E_NOT_FOUND", "no/such")
        for name in ("db", "db/copy"):
            self.assertIn("belongs to the database", self.json("backup", name, code=2).error()["message"])
        self.check_error(self.json("backup", "--plain", "copy", code=2), "E_INVALID", "--plain", "FILE")
        self.check_error(self.json("backup", "--deep", "copy.mdb", code=2), "E_INVALID", "--deep", "directory")
        self.check_error(self.json("--read-only", "backup", "copy", code=22), "E_READ_ONLY", "read_only")
        self.backup("copy")
        self.run_jini("--db", "other", "init")
        self.check_error(self.json("--db", "other", "backup", "copy", code=21), "E_CONFLICT", "copy", "another database")
        self.run_jini("--db", "copy", "user", "add", "bob")
        self.check_error(self.json("backup", "copy", code=21), "E_CONFLICT", "copy", "changed since")
        self.file("note.txt", b"hello")
        self.check_error(self.json("backup", "note.txt", code=4), "E_EXISTS", "note.txt")

    def test_damage_is_listed(self):
        """A backup of a damaged database names what is damaged, and its exit status tells."""
        self.put(1)
        self.run_jini("archive", "run", "--now", "--free-hot")
        ids = self.put(2)
        (path,) = (self.directory / "db/archive/packs").rglob("*.pack")
        content = bytearray(path.read_bytes())
        content[5000] ^= 1
        path.write_bytes(content)
        result = self.json("backup", "copy", code=14)
        problem, total = result.lines()
        self.assertEqual((problem["type"], problem["kind"], total["problems"]), ("problem", "object_not_copied", 1))
        self.assertEqual(result.error()["name"], "E_CORRUPT")
        self.assertIn("problem: object_not_copied", self.run_jini("backup", "copy", code=14).out)
        for number, id in ids.items():
            self.assertEqual(self.run_jini("--db", "copy", "get", id).raw, png(number))

    def test_packs_that_cannot_be_read(self):
        """The objects are copied nevertheless, and the folder is told beside the packs in it."""
        self.put(1)
        self.run_jini("archive", "run", "--now", "--free-hot")
        self.put(2)
        packs = self.directory / "db/packs"
        packs.chmod(0)
        self.addCleanup(packs.chmod, 0o700)
        if os.geteuid() == 0:
            self.prefix = ["/usr/bin/setpriv", "--inh-caps=-all", "--bounding-set=-dac_override,-dac_read_search"]
        *problems, total = self.json("backup", "copy", code=6).lines()
        self.assertEqual([problem["kind"] for problem in problems], ["pack_not_copied", "packs_unread"])
        self.assertEqual((total["packs"], total["objects"]), (0, 1))
        packs.chmod(0o700)
        self.assertEqual(self.backup("copy")["problems"], 0)


class PutBack(Case):
    UNKNOWN = "018cc251-f400-7000-8000-0123456789ab"  # a pack of January 2024

    def setUp(self):
        super().setUp()
        self.init("alice")
        self.database = self.directory / "db"

    def test_init_is_refused_beside_packs(self):
        """Packs without data.mdb are no place for a new database, and the error says what to do."""
        id = self.json("put", "alice", "-", stdin=png(1)).object()["id"]
        os.rename(self.database / "data.mdb", self.directory / "saved")
        self.check_error(self.json("init", code=4), "E_EXISTS", "packs", "Put data.mdb back", "move the folders packs")
        self.check_error(self.json("ls", code=3), "E_NOT_FOUND", "packs", "has packs and no data.mdb")
        self.assertFalse((self.database / "data.mdb").exists())
        os.rename(self.directory / "saved", self.database / "data.mdb")
        self.assertEqual(self.run_jini("get", id).raw, png(1))

    def test_init_is_refused_beside_objects(self):
        """So is the archive of a database whose images are all there."""
        self.json("put", "alice", "-", stdin=png(1))
        self.run_jini("archive", "run", "--now", "--free-hot")
        self.assertEqual(list((self.database / "packs").rglob("*.pack")), [])
        os.rename(self.database / "data.mdb", self.directory / "saved")
        self.check_error(self.json("init", code=4), "E_EXISTS", "packs", "and archive elsewhere")

    def test_init_tells_of_objects_that_are_there(self):
        """An archive elsewhere with objects of a database that was lost is told when a new one is made there."""
        shared = ("--set", f"archive.url=dir:{self.directory}/shared")
        self.json("put", "alice", "-", stdin=png(1))
        self.run_jini(*shared, "archive", "run", "--now", "--free-hot")
        os.rename(self.database / "data.mdb", self.directory / "saved")
        shutil.rmtree(self.database / "packs")
        result = self.run_jini(*shared, "init")
        self.assertIn("the archive has 1 objects of another database already", result.err)
        self.assertIn("1 objects of the archive that the database has never named",
                      self.run_jini(*shared, "verify").out)
        self.assertEqual(self.json(*shared, "verify").lines()[-1]["objects_unknown"], 1)
        self.assertEqual(self.json("--db", "new", *shared, "init").object()["objects_unknown"], 1)

    def test_an_unfinished_backup_is_no_lost_database(self):
        """Where the first backup was killed, what is there says so."""
        self.json("put", "alice", "-", stdin=png(1))
        self.run_jini("backup", "copy")
        os.unlink(self.directory / "copy/data.mdb")
        self.check_error(self.json("--db", "copy", "ls", code=3), "E_NOT_FOUND", "packs", "make it again")
        self.run_jini("backup", "copy")
        self.verify("--db", "copy")

    def test_older_records_find_their_packs(self):
        """After an older data.mdb was put back, what it knows is taken back from the archive, and told."""
        ids = {line["file"]: line["id"] for line in self.json("put", "alice", self.pictures(2)).lines()}
        self.run_jini("backup", "older.mdb")
        self.run_jini("archive", "run", "--now", "--free-hot")
        os.rename(self.directory / "older.mdb", self.database / "data.mdb")
        problems = self.json("verify", code=1).lines()
        self.assertIn("jini archive run", problems[0]["message"])
        run = self.json("archive", "run").lines()
        self.assertEqual(run[0]["step"], "regain")
        self.assertEqual((run[-1]["packs_regained"], run[-1]["packs_failed"]), (1, 0))
        self.verify("--deep")
        for file, id in ids.items():
            self.assertEqual(self.run_jini("get", id).raw, pathlib.Path(file).read_bytes())

    def test_unknown_packs_are_set_aside_and_shown(self):
        """Plan, run, status and verify tell of pack files that the index does not know; they go after a month."""
        self.json("put", "alice", "-", stdin=png(1))
        self.file(f"db/packs/2024-01/{self.UNKNOWN}.pack", png(2))
        lost = self.database / "packs/lost" / f"{self.UNKNOWN}.pack"
        plan = self.run_jini("archive", "plan").out
        self.assertRegex(plan, rf"aside +{self.UNKNOWN} .*the index does not know it")
        self.assertEqual(self.verify()["packs_unknown"], 1)
        text = self.run_jini("archive", "run").out
        self.assertIn("aside     1 pack files that the index does not know, to packs/lost", text)
        self.assertEqual(lost.read_bytes(), png(2))
        self.assertEqual(self.run_jini("archive", "plan").out, "nothing is due\n")
        status = self.json("archive", "status").object()
        self.assertEqual((status["packs_lost"], status["bytes_lost"]), (1, len(png(2))))
        self.assertIn("1 pack files that the index does not know", self.run_jini("verify").out)
        os.utime(lost, (0, 0))
        self.assertEqual(self.run_jini("--set", "pack.lost_s=0", "archive", "plan").out, "nothing is due\n")
        self.assertRegex(self.run_jini("archive", "plan").out, r"drop +[0-9a-f-]{36} .*pack\.lost_s has passed")
        self.assertEqual(self.json("archive", "run").lines()[-1]["packs_dropped"], 1)
        self.assertFalse(lost.exists())

    def test_a_pack_that_is_gone_is_damage(self):
        """Run and get answer with one status, and the run says what to do."""
        id = self.json("put", "alice", "-", stdin=png(1)).object()["id"]
        (path,) = (self.database / "packs").rglob("*.pack")
        path.unlink()
        self.check_error(self.json("archive", "run", "--now", code=14), "E_CORRUPT", "pack", "from a backup")
        self.assertEqual(self.json("get", id, code=14).error()["name"], "E_CORRUPT")


if __name__ == "__main__":
    unittest.main()
