#!/usr/bin/python3
"""Packs and objects of the archive as files: listed, checked and taken apart without their database."""

import shutil
import struct
import subprocess
import unittest
import zlib

from cli import Case, chunk, png


def stored_png(width=50, height=50):
    """A PNG of stored blocks, which is kept coded."""
    rows = b"".join(b"\0" + bytes([i % 4 * 60]) * (width * 3) for i in range(height))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(rows, 0)) + chunk(b"IEND", b""))


class Packs(Case):
    def setUp(self):
        """Three images in one pack, which lies alone: the database and the archive are gone."""
        super().setUp()
        self.init("alice")
        contents = {"short": png(1), "long": png(2, text="x" * 3000), "coded": stored_png()}
        for name, content in contents.items():
            self.file(f"in/{name}.png", content)
        stored = self.json("put", "alice", "in").lines()
        self.names = {line["file"].split("/")[-1][:-4]: line["id"] for line in stored}
        self.images = {self.names[name]: content for name, content in contents.items()}
        self.run_jini("archive", "run", "--now")
        self.object, = (self.directory / "db/archive").rglob("*.pack")
        self.local, = (self.directory / "db/packs").rglob("*.pack")
        self.pack = self.directory / "alone.pack"
        shutil.copy(self.object, self.pack)
        self.environment["JINI_DB"] = "/nowhere"

    def parts(self, *arguments, code=0):
        *parts, total = self.json("pack", *arguments, code=code).lines()
        self.assertEqual(total["type"], "total")
        return parts, total

    def part_of(self, name):
        """The id of an image, and the record that has it."""
        part, = (part for part in self.parts("list", self.pack)[0] if part["image_id"] == self.names[name])
        return self.names[name], part

    def damage(self, offset):
        with self.pack.open("r+b") as file:
            file.seek(offset)
            byte = file.read(1)[0]
            file.seek(offset)
            file.write(bytes([byte ^ 1]))

    def check_files(self, folder, images):
        """The folder holds these images and no other, as they were put."""
        found = {path.stem: path.read_bytes() for path in (self.directory / folder).glob("*.png")}
        self.assertEqual(found, {image: self.images[image] for image in images})

    def test_whole_packs(self):
        """A local pack and an object of the archive have the same bytes, and are told and taken apart alike."""
        self.assertEqual(self.object.read_bytes(), self.local.read_bytes())
        parts, total = self.parts("list", self.object)
        self.assertEqual({part["image_id"]: part["bytes"] for part in parts},
                         {image: len(content) for image, content in self.images.items()})
        self.assertEqual({part["codec"] for part in parts}, {"stored", "zstd"})
        self.assertEqual((total["sealed"], total["records"], total["problems"]), (True, 3, 0))
        self.assertEqual(total["file_bytes"], self.object.stat().st_size)
        self.assertEqual(self.parts("verify", self.local), ([], total))
        text = self.run_jini("pack", "list", self.object).out
        for image in self.images:
            self.assertRegex(text, rf"\nrecord +\d+  {image} ")
        self.assertRegex(text, r"\npack [0-9a-f-]{36}, sealed: 3 images, .* in a file of .*\n\Z")
        self.assertEqual(self.run_jini("--quiet", "pack", "verify", self.pack).out, "clean\n")

    def test_images_come_out_with_their_texts(self):
        """All images byte for byte, and the texts of each beside it, wherever they are kept."""
        lines = self.json("pack", "extract", self.pack, "-o", "out").lines()
        self.assertEqual({line["image_id"] for line in lines}, set(self.images))
        self.check_files("out", self.images)
        for line in lines:
            content = self.images[line["image_id"]]
            self.assertEqual((line["status"], line["bytes"]), ("OK", len(content)))
            self.assertEqual("texts_file" in line, b"parameters" in content)
            if "texts_file" in line:
                text = (self.directory / line["texts_file"]).read_bytes()
                self.assertIn(b"x" * 3000 if len(text) > 1000 else b"Seed: 1,", text)
        self.assertEqual(self.json("pack", "extract", self.pack, "-o", "out", code=4).error()["name"], "E_EXISTS")
        self.run_jini("pack", "extract", self.pack, "--force", "-o", "out")
        self.check_files("out", self.images)

    def test_some_images_come_out(self):
        first, second, third = self.images
        self.run_jini("pack", "extract", self.pack, first, third, "--output", "out")
        self.check_files("out", [first, third])
        result = self.json("pack", "extract", self.pack, "01a22f99-0000-7000-8000-000000000000", second, "-o", "two", code=3)
        self.assertEqual(result.error()["name"], "E_NOT_FOUND")
        self.check_files("two", [second])
        self.check_error(self.json("pack", "extract", self.pack, "x", "-o", "two", code=2), "E_INVALID", "ID")
        self.check_error(self.json("pack", "extract", self.pack, code=2), "E_INVALID", "output", "-o FOLDER")
        self.check_error(self.json("pack", "extract", self.pack, "-o", "no/such", code=3), "E_NOT_FOUND", "--output")

    def test_damage_is_named_and_the_rest_comes_out(self):
        """A wrong byte in a payload: headers do not tell it, a check and reading do, and the others are read."""
        image, part = self.part_of("long")
        others = set(self.images) - {image}
        self.damage(part["offset"] + part["length"] - 100)
        self.assertEqual(self.parts("list", self.pack)[1]["problems"], 0)
        problems, total = self.parts("verify", self.pack, code=1)
        self.assertEqual((total["records"], total["problems"]), (2, 1))
        self.assertEqual([(p["type"], p["part"], p["offset"], p["image_id"], p["status"]) for p in problems],
                         [("problem", "record", part["offset"], image, "E_CORRUPT")])
        self.assertRegex(self.run_jini("pack", "verify", self.pack, code=1).out,
                         rf"problem: record at offset {part['offset']}, image {image}: .*checksum")
        result = self.json("pack", "extract", self.pack, "-o", "out", code=14)
        self.assertIn("1 of 3 parts were not read", result.error()["message"])
        self.check_files("out", others)
        failed, = (line for line in result.lines() if line["status"] != "OK")
        self.assertEqual((failed["image_id"], failed["error"]["name"]), (image, "E_CORRUPT"))
        self.assertIn(b"x" * 3000, (self.directory / failed["texts_file"]).read_bytes())

    def test_a_header_that_is_not_legible(self):
        """Of a record whose header is damaged, the footer still tells the image; without it, the place."""
        image, part = self.part_of("short")
        self.damage(part["offset"] + 20)
        parts, total = self.parts("list", self.pack, code=1)
        self.assertEqual([p["image_id"] for p in parts if p["damage"]], [image])
        size = self.pack.stat().st_size
        with self.pack.open("r+b") as file:
            file.truncate(size - 10)
        parts, total = self.parts("list", self.pack, code=1)
        self.assertEqual((total["sealed"], total["records"]), (False, 2))
        self.assertEqual([(p["part"], p["offset"]) for p in parts if p["part"] == "gap"], [("gap", part["offset"])])
        tail = parts[-1]
        self.assertEqual((tail["part"], tail["offset"] + tail["length"]), ("tail", size - 10))
        self.json("pack", "extract", self.pack, "-o", "out", code=14)
        self.check_files("out", set(self.images) - {image})

    def test_a_pack_that_is_being_written(self):
        """What a process has stored in its open pack is told and read while it goes on."""
        self.environment["JINI_DB"] = str(self.directory / "db")
        writer = self.start("put", "alice", "in/short.png", "-", "--no-limits", stdin=subprocess.PIPE)
        stored = writer.stdout.readline().decode().split()[1]
        pack, = (path for path in (self.directory / "db/packs").rglob("*.pack") if path != self.local)
        parts, total = self.parts("verify", pack)
        self.assertEqual((total["sealed"], total["records"], parts), (False, 1, []))
        self.assertIn(", not sealed: 1 image,", self.run_jini("pack", "list", pack).out)
        self.run_jini("pack", "extract", pack, stored, "-o", "out")
        self.assertEqual((self.directory / f"out/{stored}.png").read_bytes(), png(1))
        writer.communicate(png(3))
        self.assertEqual(writer.returncode, 0)
        self.verify("--deep")

    def test_what_is_no_pack(self):
        """It is said what is wrong with the file, and nothing else is looked for."""
        self.file("noise", png(1))
        self.file("empty.pack", b"")
        (self.directory / "folder").mkdir()
        for verb in (["list"], ["verify"], ["extract", "-o", "out"]):
            for name, error, code in (("noise", "E_CORRUPT", 14), ("empty.pack", "E_CORRUPT", 14),
                                      ("folder", "E_INVALID", 2), ("none", "E_NOT_FOUND", 3)):
                self.check_error(self.json("pack", *verb, name, code=code), error, name)

    def test_no_file_of_a_database_is_written(self):
        self.environment["JINI_DB"] = str(self.directory / "db")
        result = self.json("pack", "extract", self.pack, "-o", "db/packs", code=2)
        self.assertIn("belongs to the database", result.error()["message"])


if __name__ == "__main__":
    unittest.main()
