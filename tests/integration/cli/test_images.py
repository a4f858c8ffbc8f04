#!/usr/bin/python3
"""Images by the command: in, listed, through the archive, out again byte for byte, and refused with reasons."""

import collections
import os
import pathlib
import resource
import shutil
import stat
import subprocess
import unittest
import zlib

from cli import Case, chunk, png


class RoundTrip(Case):
    def setUp(self):
        super().setUp()
        self.init("alice")

    def put(self, *arguments, **options):
        """Puts files; the ids by file name."""
        return {line["file"]: line["id"] for line in self.json("put", *arguments, **options).lines()}

    def check_bytes(self, ids):
        """Every image comes back, by one command into a folder."""
        folder = self.directory / "out"
        folder.mkdir(exist_ok=True)
        for start in range(0, len(ids), 50):
            self.run_jini("get", "--force", "-o", folder, *list(ids.values())[start:start + 50])
        for path, name in ids.items():
            found = list(folder.glob(name + ".*"))
            self.assertEqual(len(found), 1)
            self.assertEqual(found[0].read_bytes(), pathlib.Path(self.directory, path).read_bytes())

    def test_round_trip_through_the_archive(self):
        """What was put comes back identical: hot, archived, cold, and verify is clean at each step."""
        ids = self.put("alice", self.pictures(40))
        self.assertEqual(len(set(ids.values())), 40)
        self.check_bytes(ids)
        self.assertEqual(self.verify("--deep")["images"], 40)
        plan = self.json("archive", "plan", "--now").lines()
        self.assertEqual([line["step"] for line in plan[:-1]], ["archive"])
        self.assertTrue(all(line["because"] for line in plan[:-1]))
        plan = self.json("archive", "plan", "--now", "--free-hot").lines()
        self.assertEqual(self.json("--read-only", "archive", "plan", "--now", "--free-hot").lines(), plan)
        self.assertEqual([line["step"] for line in plan[:-1]], ["archive", "free"])
        self.assertEqual((plan[-1]["steps"], plan[-1]["packs"], plan[-1]["images"]), (2, 1, 40))
        self.assertEqual({step: row["images"] for step, row in plan[-1]["by_step"].items()},
                         {"archive": 40, "free": 40})
        text = self.run_jini("archive", "plan", "--now", "--free-hot").out
        self.assertIn("2 steps on 1 pack with 40 images\n  archive  40 images, ", text)
        self.assertEqual(self.json("archive", "status").object()["images_hot"], 40)
        self.assertEqual(self.json("archive", "run", "--now").lines()[-1]["images_archived"], 40)
        self.assertEqual(self.json("archive", "status").object()["images_hot_archived"], 40)
        self.check_bytes(ids)
        run = self.run_jini("archive", "run", "--now", "--free-hot").out
        self.assertIn("freed     1 packs", run)
        status = self.json("archive", "status").object()
        self.assertEqual((status["images_cold"], status["bytes_local"]), (40, 0))
        self.assertRegex(self.run_jini("archive", "status").out, r"images_cold +40")
        self.check_bytes(ids)
        self.assertEqual(self.verify("--deep")["images"], 40)
        self.assertEqual(self.run_jini("archive", "plan").out, "nothing is due\n")

    def test_plan_tells_what_goes_for_good(self):
        """Images whose time in the trash is over are in the plan, and the run deletes just those."""
        ids = self.put("alice", self.pictures(5))
        self.run_jini("--set", "trash.s=0", "rm", *ids.values())
        plan = self.json("archive", "plan").lines()
        self.assertEqual([line["step"] for line in plan[:-1]], ["expire", "purge"])
        self.assertEqual(plan[-1]["by_step"]["expire"]["images"], 5)
        text = self.run_jini("archive", "plan").out
        self.assertIn("5 images", text)
        self.assertIn("their time in the trash is over", text)
        run = self.json("archive", "run").lines()
        self.assertEqual([line["step"] for line in run[:-1]], ["expire", "purge"])
        self.assertEqual(run[-1]["images_purged"], 5)
        self.assertEqual(self.run_jini("archive", "plan").out, "nothing is due\n")

    def test_copy_beside_its_original(self):
        """A backup in use beside its original deletes nothing from their archive, and says how it may."""
        self.environment["JINI_ARCHIVE_URL"] = f"dir:{self.directory}/shared"
        ids = [row["id"] for row in self.json("put", "alice", self.pictures(4)).lines() if "id" in row]
        self.json("archive", "run", "--now", "--free-hot")
        (self.directory / "copy").mkdir()
        self.run_jini("backup", "copy/data.mdb")
        self.run_jini("--db", "copy", "rm", "--purge", *ids[:3])
        run = self.run_jini("--db", "copy", "archive", "run")
        self.assertRegex(run.err, r"1 object is to go.*is a copy.*jini archive adopt")
        run = self.json("--db", "copy", "archive", "run").lines()[-1]
        self.assertEqual((run["objects_kept"], run["keeping"]), (1, "copy"))
        status = self.json("--db", "copy", "archive", "status").object()
        self.assertEqual((status["objects_due"], status["keeping"]), (1, "copy"))
        self.verify("--deep")
        for id in ids:
            self.run_jini("get", id, "-o", "out.png", "--force")
        self.assertEqual(self.json("archive", "status").object()["keeping"], "nothing")
        self.assertIn("shared", self.json("--db", "copy", "archive", "adopt").object()["archive"])
        self.assertEqual(self.json("--db", "copy", "archive", "status").object()["keeping"], "nothing")
        self.run_jini("rm", "--purge", *ids)
        self.assertRegex(self.run_jini("archive", "run").err, r"1 object is to go.*another database of the same origin")
        self.assertEqual(self.json("archive", "status").object()["keeping"], "taken")

    def test_rm_for_good(self):
        """With --purge the next run deletes every copy; the plan names no object that never was."""
        ids = self.put("alice", self.pictures(5))
        self.run_jini("rm", *list(ids.values())[:2])
        self.assertIn("removed for good", self.run_jini("rm", "--purge", *ids.values()).out)
        self.assertNotIn("in the archive as", self.run_jini("archive", "plan").out)
        self.assertEqual(self.json("archive", "run").lines()[-1]["images_purged"], 5)
        self.assertEqual(self.json("archive", "status").object()["images_trash"], 0)
        self.verify("--deep")

    def test_lost_archive_is_made_anew(self):
        """A run does not take an empty place for the archive; it names the verb that makes one."""
        ids = self.put("alice", self.pictures(5))
        self.run_jini("archive", "run", "--now")
        shutil.rmtree(self.directory / "db" / "archive")
        self.assertIn("jini archive init", self.run_jini("archive", "run", "--now", code=29).err)
        self.assertIn("archive", self.json("archive", "init").object())
        self.assertIn("there is an archive", self.run_jini("archive", "init", code=4).err)
        run = self.json("archive", "run", "--now").lines()
        self.assertEqual(run[-1]["images_archived"], 5)
        self.verify("--deep")
        self.check_bytes(ids)

    def test_twice_put_once_stored(self):
        """Duplicates of two commands take the room of one after one run."""
        folder = self.pictures(5)
        first, second = self.put("alice", folder), self.put("alice", folder)
        self.assertFalse(set(first.values()) & set(second.values()))
        self.run_jini("archive", "run", "--now", "--free-hot")
        status = self.json("archive", "status").object()
        self.assertEqual(status["images_cold"], 10)
        self.assertLess(status["bytes_archived"], status["bytes_original"] * 0.7)
        self.check_bytes(first)
        self.check_bytes(second)

    def test_text_form_of_put(self):
        self.file("in/a.png", png(1))
        self.file("in/note.txt", b"hello")
        result = self.run_jini("put", "alice", "in", "in/missing.png", code=31)
        self.assertRegex(result.out, r"stored   [0-9a-f-]{36} +\d+\.\d KiB  in/a\.png\n")
        self.assertRegex(result.out, r"refused  in/note\.txt: .*68 65 6c 6c 6f")
        self.assertIn("failed   in/missing.png: it cannot be opened: No such file or directory", result.out)
        self.assertIn("1 of 3 files stored", result.out)
        self.assertIn("1 not stored: the bytes are no image of a known type", result.out)
        self.assertIn("2 of 3 files were not stored", result.err)
        quiet = self.run_jini("--quiet", "put", "alice", "in/a.png")
        self.assertRegex(quiet.out, r"\Astored   [0-9a-f-]{36} +\d+\.\d KiB  in/a\.png\n\Z")
        self.assertEqual(quiet.err, "")

    def test_worst_failure_is_the_exit_status(self):
        """A file that cannot be read for the machine's sake outweighs refusals that came before it."""
        self.file("a.txt", b"hello")
        (self.directory / "loop").symlink_to("loop")
        result = self.json("put", "alice", "a.txt", "loop", "gone", code=6)
        self.assertEqual([line["status"] for line in result.lines()], ["E_NOT_IMAGE", "E_IO", "E_NOT_FOUND"])
        self.assertIn("3 of 3 files were not stored; the worst because: it cannot be opened",
                      result.error()["message"])
        self.assertIn("the first because", self.json("put", "alice", "gone", "a.txt", code=3).error()["message"])

    def test_objects_of_put(self):
        self.file("a.png", png(1, 40, 30))
        self.file("no.png", b"\x89PNG\r\n\x1a\nbut not really")
        self.file("empty.png", b"")
        lines = {line["file"]: line for line in
                 self.json("put", "alice", "a.png", "no.png", "empty.png", "gone.png", code=31).lines()}
        good = lines["a.png"]
        self.assertEqual((good["status"], good["bytes"], good["width"], good["height"], good["media_type"]),
                         ("OK", len(png(1, 40, 30)), 40, 30, "image/png"))
        self.assertEqual([lines[name]["status"] for name in ("no.png", "empty.png", "gone.png")],
                         ["E_NOT_IMAGE", "E_NOT_IMAGE", "E_NOT_FOUND"])
        self.assertIsNone(lines["no.png"]["id"])
        self.assertTrue(lines["no.png"]["error"]["message"])

    def test_folders(self):
        for name in ("b.png", "a.png", ".hidden.png", "sub/c.png", "sub/.git/d.png", "sub/deep/e.png"):
            self.file("in/" + name, png(hash(name) & 0xffff))
        (self.directory / "in/loop").symlink_to("../in")
        (self.directory / "in/link.png").symlink_to("a.png")
        self.assertEqual(set(self.put("alice", "in")), {"in/a.png", "in/b.png", "in/link.png"})
        self.assertEqual(set(self.put("alice", "in/", "--recursive")),
                         {"in/a.png", "in/b.png", "in/link.png", "in/sub/c.png", "in/sub/deep/e.png"})
        (self.directory / "nothing").mkdir()
        self.check_error(self.json("put", "alice", "nothing", code=3), "E_NOT_FOUND", "FILE|DIR", "--recursive")

    def test_standard_input_and_odd_names(self):
        name = self.json("put", "alice", "-", stdin=png(3)).object()["id"]
        self.assertEqual(self.run_jini("get", name).raw, png(3))
        odd = self.directory / os.fsdecode(b"in\xff \x1b[31m\n.png")
        odd.write_bytes(png(4))
        line = self.json("put", "alice", odd.name).object()
        self.assertIn("\ufffd", line["file"])
        self.assertEqual(bytes.fromhex(line["path_bytes"]), os.fsencode(odd.name))
        error = self.json("put", "alice", os.fsdecode(b"gone\xff"), code=3)
        self.assertEqual(bytes.fromhex(error.object()["path_bytes"]), b"gone\xff")
        self.assertIn("\ufffd", error.error()["field"])
        text = self.run_jini("put", "alice", odd.name).raw
        self.assertIn(b"in\\xff \\x1b[31m\\x0a.png", text)
        self.assertEqual([byte for byte in text if byte < 32 and byte != 10], [])
        self.assertEqual(text.count(b"\n"), 2)
        line = self.json("get", name, "-o", odd.name, "--force").object()
        self.assertEqual(bytes.fromhex(line["path_bytes"]), os.fsencode(odd.name))
        self.assertIn("in\\xff \\x1b[31m\\x0a", self.run_jini("get", name, "-o", odd.name, code=4).err)

    def test_parameters_reach_the_job(self):
        self.file("a.png", png(9, 32, 16))
        line = self.json("put", "alice", "a.png", "--model", "sdxl", "--prompt", "a lake", "--negative",
                         "people", "--steps", "30", "--guidance", "6.25").object()
        job = self.json("show", line["job_id"]).object()
        self.assertEqual(job["type"], "job")
        self.assertIsNone(job["expires"])
        self.assertIsNone(job["kept_until"])
        self.assertEqual(job["parameters"], {"model": "sdxl", "width": 32, "height": 16, "steps": 30,
                                             "count": 1, "seed": 9, "guidance": 6.25})
        self.assertEqual((job["prompt"], job["negative"], job["state"], job["image_ids"]),
                         ("a lake", "people", "COMPLETED", [line["id"]]))
        line = self.json("put", "alice", "a.png", "--seed", "-1", "--width", "64", "--height", "64").object()
        parameters = self.json("show", line["job_id"]).object()["parameters"]
        self.assertEqual((parameters["seed"], parameters["width"]), (-1, 64))
        for wrong in ("seven", "", ".", "1.", "1.1234567", "-1"):
            self.check_error(self.json("put", "alice", "a.png", "--guidance", wrong, code=2), "E_INVALID",
                             "--guidance")

    def test_texts_that_are_too_long_are_refused_once(self):
        """Before any file is read, with the length that was given and the bound."""
        self.file("a.png", png(9))
        for option, most in (("--model", 128), ("--prompt", 16384), ("--negative", 16384)):
            result = self.json("put", "alice", "a.png", "gone.png", option, "x" * (most + 1), code=2)
            self.check_error(result, "E_INVALID", option, str(most + 1), str(most))
            self.assertEqual(result.out, "")
            self.json("put", "alice", "a.png", option, "x" * most)

    def test_show_image(self):
        line = self.json("put", "alice", "-", stdin=png(5)).object()
        image = self.json("show", line["id"]).object()
        self.assertEqual((image["type"], image["state"], image["seed"], image["bytes"], image["came_damaged"]),
                         ("image", "HOT", 5, len(png(5)), False))
        self.assertEqual(len(image["hash"]), 32)
        self.assertRegex(self.run_jini("show", line["id"]).out, r"bytes +\d+\.\d KiB")
        self.check_error(self.json("show", "nonsense", code=2), "E_INVALID", "ID", "8-4-4-4-12")
        self.check_error(self.json("show", "01234567-89ab-7def-8123-456789abcdef", code=3), "E_NOT_FOUND", "ID")

    def test_what_came_damaged(self):
        """Lost or changed bytes are told when a file is put and when it is shown; what is only odd is no damage."""
        whole = png(1)
        flipped = bytearray(whole)
        flipped[-100] ^= 1  # inside of the pixels
        texts = b"".join(chunk(b"tEXt", b"k%d\0v" % i) for i in range(20000))
        bomb = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(9 << 20)))
        for name, content, damaged, omitted in (
                ("whole", whole, False, 0), ("flipped", bytes(flipped), True, 0), ("cut", whole[:-50], True, 0),
                ("trailing", whole + b"more", False, 0), ("texts", png(2, chunks=texts), False, 19936),
                ("bomb", png(3, chunks=bomb), False, 1)):
            line = self.json("put", "alice", "-", stdin=content).object()
            self.assertEqual(line["came_damaged"], damaged, name)
            image = self.json("show", line["id"]).object()
            self.assertEqual((image["came_damaged"], image["texts_omitted"]), (damaged, omitted), name)
            self.assertEqual(self.run_jini("get", line["id"]).raw, content)
            if omitted:
                self.assertIn("Seed", self.run_jini("get", "--metadata", "--keyword", "parameters", line["id"]).out)
                self.check_error(self.json("get", "--metadata", "--keyword", "workflow", line["id"], code=3),
                                 "E_NOT_FOUND", "--keyword", f"{omitted} texts")
        self.assertIn("stored as it came", self.run_jini("put", "alice", "-", stdin=bytes(flipped)).out)
        self.assertRegex(self.run_jini("show", line["id"]).out, "came_damaged +no")

    def test_list_and_cursor(self):
        ids = list(self.put("alice", self.pictures(10), "--parallel", "1").values())[::-1]
        self.assertEqual([i["id"] for i in self.json("ls", "alice").lines()], ids)
        seen, cursor = [], []
        while True:
            page = self.json("ls", "alice", "--limit", "4", *cursor).lines()
            seen += [image["id"] for image in page]
            if not page or "cursor" not in page[-1]:
                break
            cursor = ["--cursor", page[-1]["cursor"]]
        self.assertEqual(seen, ids)
        text = self.run_jini("ls", "alice", "--limit", "4")
        self.assertEqual(len(text.out.splitlines()), 5)
        self.assertIn("more with --cursor", text.err)
        self.assertNotIn("more with", self.run_jini("ls", "alice", "--limit", "10").err)
        self.assertNotIn("cursor", self.json("ls", "alice", "--limit", "10").lines()[-1])
        self.assertIn("cursor", self.json("ls", "alice", "--limit", "9").lines()[-1])
        self.prefix = ["/bin/sh", "-c", 'exec "$0" "$@" 2>&1']  # one stream, as on a terminal
        self.assertRegex(self.run_jini("ls", "alice", "-n", "1").out, "(?s)EXPIRES.*more with")
        self.prefix = []
        self.assertEqual(len(self.json("ls", "alice", "--jobs").lines()), 10)
        self.assertIn("COMPLETED", self.run_jini("ls", "alice", "--jobs").out)
        self.check_error(self.json("ls", "alice", "--cursor", "x1", code=2), "E_INVALID", "--cursor")
        self.check_error(self.json("ls", "--jobs", code=2), "E_INVALID", "USER")

    def test_remove_and_restore(self):
        found = self.put("alice", self.pictures(3))
        ids = [found[name] for name in sorted(found)]
        self.assertEqual([line["status"] for line in self.json("rm", *ids[:2]).lines()], ["OK", "OK"])
        self.assertEqual([i["id"] for i in self.json("ls", "alice").lines()], [ids[2]])
        self.check_error(self.json("get", ids[0], code=3), "E_NOT_FOUND", "id", "trash")
        usage = self.json("user", "show", "alice").object()["usage"]
        self.assertEqual((usage["images"], usage["trashed_images"]), (1, 2))
        result = self.json("rm", ids[0], ids[2], "x", code=3)
        self.assertEqual([line["status"] for line in result.lines()], ["E_NOT_FOUND", "OK", "E_INVALID"])
        self.assertIn("restored", self.run_jini("restore", *ids).out)
        self.assertEqual(len(self.json("ls", "alice").lines()), 3)
        self.assertEqual(self.run_jini("get", ids[0]).raw, png(0))
        self.verify("--deep")

    def test_errors_name_what_is_missing(self):
        """A second rm names the image, and a read of one whose object is gone names pack, archive and object."""
        name = self.json("put", "alice", "-", stdin=png(1)).object()["id"]
        gone = self.json("put", "alice", "-", stdin=png(2)).object()["id"]
        self.check_error(self.json("rm", name, name, code=3), "E_NOT_FOUND", "id", name, "in the trash")
        self.run_jini("archive", "run", "--now", "--free-hot")
        pack = self.json("show", gone).object()["pack_id"]
        for path in (self.directory / "db/archive").rglob(f"*{pack}*"):
            path.unlink()
        error = self.json("get", gone, "-o", "x.png", code=14).error()
        self.assertIn(pack, error["message"])
        self.assertIn("has no object", error["message"])
        self.assertIsNone(error["retry_after_ms"])

    def test_import_without_limits(self):
        self.run_jini("user", "add", "frida")
        lines = self.json("put", "frida", self.pictures(60), "--no-limits").lines()
        self.assertEqual({(line["status"], line["job_id"]) for line in lines}, {("OK", None)})
        self.assertEqual(self.json("ls", "frida", "--jobs").lines(), [])
        self.assertEqual(self.json("limit", "peek", "frida").object()["limits"][1]["remaining"], 30)

    def test_verify_finds_damage(self):
        """A flipped byte in a pack is a problem with its image, and the exit status is 1."""
        line = self.json("put", "alice", "-", stdin=png(6)).object()
        self.run_jini("archive", "run", "--now")
        packs = [p for p in (self.directory / "db").rglob("*.pack") if "archive" not in p.parts]
        self.assertEqual(len(packs), 1)
        content = bytearray(packs[0].read_bytes())
        content[len(content) // 2] ^= 1
        packs[0].chmod(0o600)
        packs[0].write_bytes(content)
        lines = self.json("verify", "--deep", code=1).lines()
        self.assertEqual(lines[-1]["problems"], len(lines) - 1)
        self.assertIn(line["id"], [problem["image_id"] for problem in lines[:-1]])
        self.assertIn("problem: ", self.run_jini("verify", "--deep", code=1).out)
        self.assertEqual(self.run_jini("get", line["id"]).raw, png(6))  # the other copy is whole


class Copies(Case):
    """Databases of one origin on several disks, which name the same archive."""

    def setUp(self):
        super().setUp()
        self.environment["JINI_ARCHIVE_URL"] = f"dir:{self.directory}/shared"

    def make(self, database):
        """A database with four images, each in a pack of its own in the archive; their ids."""
        self.environment["JINI_DB"] = str(self.directory / database)
        self.init("alice")
        ids = []
        for seed in range(4):
            ids.append(self.json("put", "alice", "-", stdin=png(seed)).object()["id"])
            self.run_jini("archive", "run", "--now", "--free-hot")
        return ids

    def purge(self, database, image):
        """Removes an image for good; why its object stays."""
        self.run_jini("--db", database, "rm", "--purge", image)
        return self.json("--db", database, "archive", "run").lines()[-1]["keeping"]

    def check_there(self, database, images):
        """All that the database has is there, these images for example."""
        for seed, image in images:
            got = self.run_jini("--db", database, "get", image, "-o", "-")
            self.assertEqual(got.raw, png(seed))
        self.json("--db", database, "verify", "--deep")

    def test_snapshot_of_a_disk(self):
        """A snapshot that is older than the last deletion of its original deletes nothing, until it adopts."""
        disk, snapshot = self.directory / "disk.img", self.directory / "snapshot.img"
        with open(disk, "wb") as file:
            file.truncate(256 << 20)
        if not shutil.which("mkfs.ext4") or not shutil.which("fsfreeze"):
            self.skipTest("no file system can be made here")
        subprocess.run(["mkfs.ext4", "-q", disk], check=True)
        self.mount("disk", "-o", "loop", disk)
        ids = self.make("disk/db")
        self.assertEqual(self.purge("disk/db", ids[0]), "nothing")
        subprocess.run(["fsfreeze", "-f", self.directory / "disk"], check=True)
        try:
            subprocess.run(["cp", "--sparse=always", disk, snapshot], check=True)
        finally:
            subprocess.run(["fsfreeze", "-u", self.directory / "disk"], check=True)
        self.mount("snapshot", "-o", "loop", snapshot)
        files = [self.directory / place / "db" / "data.mdb" for place in ("disk", "snapshot")]
        self.assertEqual(files[0].stat().st_ino, files[1].stat().st_ino)
        self.assertEqual(self.json("--db", "snapshot/db", "archive", "status").object()["keeping"], "nothing")
        self.assertEqual(self.purge("disk/db", ids[1]), "nothing")
        self.assertEqual(self.purge("snapshot/db", ids[2]), "taken")
        self.assertRegex(self.run_jini("--db", "snapshot/db", "archive", "status").err,
                         "2 objects are to go and stay: another database of the same origin.*archive adopt")
        self.check_there("disk/db", list(enumerate(ids))[2:])
        self.run_jini("--db", "snapshot/db", "archive", "adopt")
        self.assertEqual(self.purge("disk/db", ids[2]), "taken")
        self.assertEqual(self.purge("snapshot/db", ids[3]), "nothing")

    def test_copy_on_another_disk(self):
        """All files copied to another disk are a copy."""
        self.mount("other", "-t", "tmpfs", "-o", "size=256m", "tmpfs")
        ids = self.make("db")
        subprocess.run(["cp", "-a", self.directory / "db", self.directory / "other/db"], check=True)
        self.assertEqual(self.purge("other/db", ids[0]), "copy")
        self.check_there("db", enumerate(ids))
        self.run_jini("--db", "other/db", "archive", "adopt")
        self.assertEqual(self.purge("other/db", ids[1]), "nothing")
        self.assertEqual(self.purge("db", ids[2]), "taken")

    def test_archive_mounted_into_a_copy(self):
        """What lies in the directory of a copy may be its original's all the same."""
        ids = self.make("db")
        shutil.copytree(self.directory / "db", self.directory / "copy")
        self.environment.pop("JINI_ARCHIVE_URL")
        self.mount("copy/archive", "--bind", self.directory / "shared")
        self.assertEqual(self.purge("copy", ids[0]), "copy")
        self.environment["JINI_ARCHIVE_URL"] = f"dir:{self.directory}/shared"
        self.check_there("db", enumerate(ids))


class Files(Case):
    """What "get" writes."""

    def setUp(self):
        super().setUp()
        self.init("alice")
        self.id = self.json("put", "alice", "-", stdin=png(1, text="a lake\nSteps: 20, Seed: 1")).object()["id"]
        self.bytes = self.run_jini("get", self.id).raw

    def test_refuses_to_replace(self):
        path = self.file("there.png", b"old")
        self.check_error(self.json("get", self.id, "-o", path, code=4), "E_EXISTS", str(path)[-63:], "--force")
        self.assertEqual(path.read_bytes(), b"old")
        self.run_jini("get", self.id, "-o", path, "--force")
        self.assertEqual(path.read_bytes(), self.bytes)
        self.assertEqual(sorted(os.listdir(self.directory)), ["db", "there.png"])

    def test_mode_follows_the_mask(self):
        os.umask(0o027)
        self.addCleanup(os.umask, 0o022)
        self.run_jini("get", self.id, "-o", "new.png")
        self.assertEqual(stat.S_IMODE((self.directory / "new.png").stat().st_mode), 0o640)

    def test_folders_and_devices(self):
        (self.directory / "out").mkdir()
        line = self.json("get", self.id, "-o", "out").object()
        self.assertEqual(line["file"], f"out/{self.id}.png")
        self.run_jini("get", self.id, "-o", "/dev/null")
        for output in ([], ["-o", "-"]):  # as the help says
            self.assertEqual(self.json("get", self.id, *output).raw, self.bytes)
        self.assertIn("bytes to standard output, the default, are all that stands there, also with --json",
                      " ".join(self.run_jini("help", "get").out.split()))
        self.check_error(self.json("get", self.id, "-o", "/dev/full", code=7), "E_FULL", "/dev/full")
        self.check_error(self.json("get", self.id, "-o", "no/such/x.png", code=3), "E_NOT_FOUND", "no/such/x.png")
        self.check_error(self.json("get", self.id, self.id, "-o", "x.png", code=2), "E_INVALID", "--output")
        self.check_error(self.json("get", self.id, self.id, code=2), "E_INVALID", "output")

    def test_what_fails_keeps_no_other(self):
        """Of several images those that can be read are, each failure is reported, and the worst is the exit status."""
        (self.directory / "out").mkdir()
        gone = "0198c5a2-7d1e-7b3a-9c44-1f2e3d4c5b6a"
        other = self.json("put", "alice", "-", stdin=png(77)).object()["id"]
        result = self.json("get", gone, self.id, "no-id", other, "-o", "out", code=3)
        self.assertEqual([(line["id"], line.get("status")) for line in result.lines()],
                         [(gone, "E_NOT_FOUND"), (self.id, None), ("no-id", "E_INVALID"), (other, None)])
        self.assertIn("2 of 4 images were not read; the first because", result.error()["message"])
        self.assertEqual({path.name for path in (self.directory / "out").iterdir()},
                         {f"{self.id}.png", f"{other}.png"})
        self.assertEqual((self.directory / f"out/{other}.png").read_bytes(), png(77))
        text = self.run_jini("get", "no-id", gone, self.id, "-o", "out", "--force", code=2)
        self.assertIn(f"there is no image {gone}\n", text.err)
        self.assertIn(f"out/{self.id}.png", text.out)
        (self.directory / "new").mkdir()
        full = self.json("--read-only", "get", gone, self.id, "-o", "new", preexec_fn=self.small_files, code=7)
        self.assertIn("2 of 2 images were not read; the worst because", full.error()["message"])
        self.assertEqual(self.run_jini("get", "--metadata", gone, self.id, code=3).out,
                         self.run_jini("get", "--metadata", self.id).out)

    @staticmethod
    def small_files():
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    def test_no_room_leaves_nothing(self):
        """A file that cannot be written to its end is not there at all."""
        result = self.json("--read-only", "get", self.id, "-o", "x.png", preexec_fn=self.small_files, code=7)
        self.check_error(result, "E_FULL", "x.png")
        self.assertEqual(os.listdir(self.directory), ["db"])

    def test_no_right_to_write(self):
        """A folder that may not be written to is named; root gives its right to write everywhere up first."""
        if os.geteuid() == 0:
            self.prefix = ["/usr/bin/setpriv", "--inh-caps=-all", "--bounding-set=-dac_override"]
        (self.directory / "closed").mkdir(mode=0o500)
        self.check_error(self.json("get", self.id, "-o", "closed/x.png", code=6), "E_IO", "closed/x.png")

    def test_metadata(self):
        texts = self.json("get", "--metadata", self.id).object()["texts"]
        self.assertEqual(texts, [{"keyword": "parameters", "bytes": 25, "text": "a lake\nSteps: 20, Seed: 1"}])
        self.assertEqual(self.run_jini("get", "--metadata", self.id).out,
                         "parameters: 25 bytes\na lake\nSteps: 20, Seed: 1\n")
        self.assertEqual(self.run_jini("get", "--metadata", "--keyword", "parameters", self.id).out,
                         "a lake\nSteps: 20, Seed: 1")
        self.check_error(self.json("get", "--metadata", "--keyword", "workflow", self.id, code=3), "E_NOT_FOUND",
                         "--keyword")
        self.run_jini("get", "--metadata", self.id, "-o", "texts")
        self.assertIn("Seed: 1", (self.directory / "texts").read_text())


class Refusals(Case):
    def setUp(self):
        super().setUp()
        self.init("frida", tier="Free")

    def states(self):
        return collections.Counter(job["state"] for job in self.json("ls", "frida", "--jobs").lines())

    def test_rate_limit_is_counted_and_explained(self):
        result = self.json("put", "frida", self.pictures(12), code=17)
        self.assertEqual(collections.Counter(line["status"] for line in result.lines()),
                         {"OK": 5, "E_LIMITED": 7})
        refused = [line["error"] for line in result.lines() if line["status"] == "E_LIMITED"]
        self.assertTrue(all(0 < error["retry_after_ms"] <= 60001 for error in refused))
        self.assertEqual(result.error()["name"], "E_LIMITED")
        self.assertIn("7 of 12 files were not stored", result.error()["message"])
        self.assertEqual(self.states(), {"COMPLETED": 5})
        text = self.run_jini("put", "frida", "in/0000.png", code=17)
        self.assertIn("Rate limit exceeded: 5 per 1 minute", text.out)
        self.assertIn("come back in", text.err)

    def test_what_is_no_image_is_not_charged(self):
        for i in range(10):
            self.file(f"in/{i}.txt", b"text")
        self.json("put", "frida", "in", code=31)
        self.assertEqual([e["remaining"] for e in self.json("limit", "peek", "frida").object()["limits"]], [5, 30])

    def test_size_and_steps(self):
        self.run_jini("tier", "set", "Free", "--width-max", "60")
        self.file("a.png", png(1))
        self.check_error(self.json("put", "frida", "a.png", code=18), "E_FORBIDDEN", "width", "1 of 1 files")
        self.file("b.png", png(2, 50, 50))
        self.check_error(self.json("put", "frida", "b.png", "--width", "50", "--steps", "999", code=18),
                         "E_FORBIDDEN", "steps", "200")

    def test_size_of_the_file_counts(self):
        """A tier bounds the size that a file has, whatever smaller one is asked for; an import is free of it."""
        self.file("wide.png", png(2, 1100, 8))
        self.check_error(self.json("put", "frida", "wide.png", "--width", "512", code=18), "E_FORBIDDEN", "width", "1100")
        self.json("put", "frida", "wide.png", "--width", "512", "--no-limits")

    def test_one_job_at_once_takes_turns(self):
        """A bound on parallel jobs slows a put down, and refuses nothing that it would not refuse alone."""
        self.run_jini("user", "set", "frida", "--limits", "100/minute", "--parallel-max", "1")
        lines = self.json("put", "frida", self.pictures(8)).lines()
        self.assertEqual({line["status"] for line in lines}, {"OK"})

    def test_disabled_user_ends_it(self):
        self.run_jini("user", "disable", "frida")
        result = self.json("put", "frida", self.pictures(40), "--parallel", "2", code=28)
        self.assertLessEqual(len(result.lines()), 3)
        self.assertIn("not tried", self.run_jini("put", "frida", "in", code=28).out)
        self.check_error(self.json("put", "nobody", "in", code=3), "E_NOT_FOUND", "USER")

    @staticmethod
    def full_disk():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))

    def test_full_disk_ends_it(self):
        """What a full disk gives up beside the file that met it is told so: nobody has ended the command."""
        folder = self.pictures(5, width=600, height=600)
        given_up = []
        for _ in range(10):  # all may meet it themselves
            result = self.json("--set", "pack.queue_bytes_max=1MiB", "put", "frida", folder, preexec_fn=self.full_disk,
                               code=7)
            given_up += [line["error"] for line in result.lines() if line["status"] == "E_CANCELLED"]
            self.check_error(result, "E_FULL", "pack", "5 of 5 files were not stored; the worst because")
            self.run_jini("limit", "reset", "frida")
            if given_up:
                break
        self.assertTrue(given_up)
        for error in given_up:
            self.assertIn("another file met what this one would have met too: the disk or the map is full",
                          error["message"])
        self.assertLessEqual(set(self.states()), {"FAILED", "CANCELLED"})

    def test_failed_put_gives_back(self):
        """An image that was admitted and could not be stored ends its job as FAILED, and is not counted."""
        self.file("a.png", png(1, text="x" * 5000))
        result = self.json("--set", "metadata.bytes_max=1KiB", "put", "frida", "a.png", code=20)
        self.assertEqual(result.object()["status"], "E_TOO_BIG")
        self.assertEqual(self.states(), {"FAILED": 1})
        self.assertEqual(self.json("show", result.object()["job_id"]).object()["error"], "E_TOO_BIG")
        self.assertEqual([e["remaining"] for e in self.json("limit", "peek", "frida").object()["limits"]], [5, 30])

    def test_too_large(self):
        self.file("a.png", png(1))
        result = self.json("--set", "image.bytes_max=2KiB", "put", "frida", "a.png", code=20)
        self.assertIn("image.bytes_max", result.object()["error"]["message"])


@unittest.skipUnless(os.environ.get("JINI_CORPUS"), "JINI_CORPUS names no folder of images")
class Corpus(Case):
    def test_every_image_comes_back(self):
        """A folder of real images: all of them come back identical from the archive, all else is refused."""
        self.init("alice")
        folder = pathlib.Path(os.environ["JINI_CORPUS"])
        result = self.start("--json", "put", "alice", "--no-limits", "-r", folder)
        lines = self.finish(result, 600).lines()
        stored = {line["file"]: line["id"] for line in lines if line["id"]}
        refused = {line["file"]: line["error"]["message"] for line in lines if not line["id"]}
        self.assertTrue(stored)
        self.assertTrue(all(refused.values()))
        self.assertEqual({line["status"] for line in lines}, {"OK", "E_NOT_IMAGE"})
        self.run_jini("archive", "run", "--now", "--free-hot")
        self.assertEqual(self.json("archive", "status").object()["images_cold"], len(stored))
        for name, identity in stored.items():
            self.assertEqual(self.run_jini("get", identity).raw, pathlib.Path(name).read_bytes(), name)
        self.verify("--deep")
        print(f"{len(stored)} images, {len(refused)} refused: {sorted(pathlib.Path(n).name for n in refused)}")


if __name__ == "__main__":
    unittest.main()
