#!/usr/bin/python3
"""tools/check-layers finds each planted violation, and nothing in a tree that keeps the rules."""

import importlib.machinery
import importlib.util
import pathlib
import tempfile
import unittest

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "tools/check-layers"


def load_script():
    loader = importlib.machinery.SourceFileLoader("check_layers", str(SCRIPT))
    spec = importlib.util.spec_from_loader("check_layers", loader)
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


check_layers = load_script()

GOOD = {
    "core/include/jini/status.h": "#include <stdint.h>\nint jini_status(void);\n",
    "core/include/jini/id.h": "#include <jini/status.h>\n",
    "core/base/README.md": "# base\n",
    "core/base/alloc.c": "#include <stdlib.h>\nvoid *f(void)\n{\n    return malloc(1);\n}\n",
    "core/base/crypto.c": "#include <sodium.h>\n#include <openssl/evp.h>\n#include <sys/random.h>\n",
    "core/store/README.md": "# store\n",
    "core/store/store.c": '#include "base/bytes.h"\n#include "store/lmdb.h"\n#include <lmdb.h>\n',
    "core/limits/README.md": "# limits\n",
    "core/limits/zone.c": '#include "store/store.h"\n#include <glib.h>\n'
                          "/* strcpy() would be wrong here, and so says \"gets(\". */\n"
                          'const char *t = "strcat(a, b)";\n'
                          "void g(struct heap *h)\n{\n    h->malloc(1);\n    h.free(2);\n    brand(3);\n}\n",
    "core/engine/README.md": "# engine\n",
    "core/engine/open.c": '#include "limits/limits.h"\n#include <uv.h>\n#include <jini/id.h>\n',
    "tests/unit/store/space.c": '#include "store/space.h"\n#include "harness.h"\n#include <lmdb.h>\n',
    "tests/unit/accounts/users.c": '#include "../store/fixture.h"\n',
    "tests/crash/kill.c": '#include "store/store.h"\n',
    "tests/harness/harness.h": "#include <jini/status.h>\n",
    "tests/integration/engine/open.c": '#include "harness.h"\n#include <uv.h>\n#include <jini/id.h>\n',
    "tools/render/render.c": "#include <png.h>\n",
    "tools/jini/main.c": '#include "verbs.h"\n#include <jansson.h>\n#include <jini/status.h>\n',
    "tools/jini/verbs.h": "int verbs(void);\n",
    "tools/jini/limits/limits.h": "int mine;\n",
    "tools/jini/other.c": '#include "limits/limits.h"\n',
    "bench/raw.c": "#include <lmdb.h>\n",
}


def complaints(changes):
    """(path, rule) of each complaint about the good tree with these files changed or, for None, removed."""
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name, text in {**GOOD, **changes}.items():
            if text is not None:
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text(text, encoding="utf-8")
        return [(path, rule) for path, _, rule, _ in check_layers.check_tree(root).complaints]


def function_of(lines):
    return "int f(void)\n{\n" + "    x();\n" * (lines - 2) + "}\n"


VIOLATIONS = [
    ("core/base/up.c", '#include "store/store.h"\n', "layers"),
    ("core/store/side.c", '#include "archive/archive.h"\n', "layers"),
    ("core/store/up.c", '#include "limits/limits.h"\n', "layers"),
    ("core/limits/side.c", '#include "ledger/ledger.h"\n', "layers"),
    ("core/limits/up.c", '#include "engine/engine.h"\n', "layers"),
    ("core/limits/bare.c", '#include "zone.h"\n', "layers"),
    ("core/limits/relative.c", '#include "../ledger/ledger.h"\n', "layers"),
    ("tests/integration/store/relative.c", '#include "../../unit/store/fixture.h"\n', "layers"),
    ("tools/jini/relative.c", '#include "../../core/store/store.h"\n', "layers"),
    ("bench/relative.c", '#include "../../elsewhere/x.h"\n', "layers"),
    ("core/limits/spaced.c", '  #  include   "engine/engine.h"\n', "layers"),
    ("core/limits/nowhere.c", '#include "shapes/circle.h"\n', "layers"),
    ("core/limits/angled.c", "#include <base/bytes.h>\n", "layers"),
    ("core/include/jini/inside.h", '#include "base/bytes.h"\n', "public"),
    ("core/include/jini/third.h", "#include <uv.h>\n", "public"),
    ("core/include/jini/posix.h", "#include <unistd.h>\n", "public"),
    ("core/limits/missing.c", "#include <jini/missing.h>\n", "public"),
    ("tools/jini/inside.c", '#include "store/store.h"\n', "layers"),
    ("bench/inside.c", '#include "base/bytes.h"\n', "layers"),
    ("bindings/http/inside.c", '#include "engine/engine.h"\n', "layers"),
    ("tests/integration/store/inside.c", '#include "store/store.h"\n', "layers"),
    ("tests/harness/inside.c", '#include "base/bytes.h"\n', "layers"),
    ("core/limits/lmdb.c", "#include <lmdb.h>\n", "libraries"),
    ("core/store/uv.c", "#include <uv.h>\n", "libraries"),
    ("bench/cases/postgres.c", "#include <libpq-fe.h>\n", "libraries"),
    ("bench/cases/sqlite.c", "#include <sqlite3.h>\n", "libraries"),
    ("core/images/zstd.c", "#include <zstd.h>\n", "libraries"),
    ("core/images/zlib.c", "#include <zlib.h>\n", "libraries"),
    ("core/archive/curl.c", "#include <curl/curl.h>\n", "libraries"),
    ("core/accounts/sodium.c", "#include <sodium.h>\n", "libraries"),
    ("core/archive/openssl.c", "#include <openssl/sha.h>\n", "libraries"),
    ("core/images/xxhash.c", "#include <xxhash.h>\n", "libraries"),
    ("core/accounts/utf8.c", "#include <utf8proc.h>\n", "libraries"),
    ("core/store/mpack.c", "#include <mpack.h>\n", "libraries"),
    ("core/base/glib.c", "#include <glib.h>\n", "libraries"),
    ("core/codec/png.c", "#include <png.h>\n", "libraries"),
    ("core/engine/json.c", "#include <jansson.h>\n", "libraries"),
    ("tests/unit/limits/lmdb.c", "#include <lmdb.h>\n", "libraries"),
    ("core/base/new.c", "#include <brand/new.h>\n", "libraries"),
    ("core/limits/heap.c", "void *f(void)\n{\n    return malloc(1);\n}\n", "banned"),
    ("core/limits/copy.c", "void f(void)\n{\n    a = strdup (b);\n}\n", "banned"),
    ("tests/unit/store/long.c", function_of(101), "length"),
    ("core/store/wide.h", "/* " + "x" * 95 + " */\n", "length"),
    ("tools/jini/long.c", "int x;\n" * 801, "length"),
    ("tools/jini/todo.c", "/* TO" "DO: all of it */\n", "unfinished"),
    ("core/base/fixme.h", "int x; /* FIX" "ME */\n", "unfinished"),
    ("tools/lib.sh", "# HA" "CK\n", "unfinished"),
    ("tools/script", "#!/bin/sh\n# X" "XX\n", "unfinished"),
    ("bench/later.c", "/* a place" "holder */\n", "unfinished"),
] + [
    (f"bench/{name}.c", f"void f(void)\n{{\n    x = {name}(y);\n}}\n", "banned")
    for name in ("system popen strcpy strcat sprintf gets atoi gmtime localtime rand").split()
]


class CheckLayers(unittest.TestCase):
    def test_a_tree_that_keeps_the_rules_passes(self):
        self.assertEqual(complaints({}), [])

    def test_each_planted_violation_is_found(self):
        for path, text, rule in VIOLATIONS:
            with self.subTest(path=path):
                module = check_layers.core_module(str(pathlib.Path(path).parent))
                rooms = {f"core/{module}/README.md": "# room\n"} if module else {}
                self.assertEqual(complaints({**rooms, path: text}), [(path, rule)])

    def test_limits_of_length_are_exact(self):
        self.assertEqual(complaints({"tools/jini/long.c": function_of(100)}), [])
        self.assertEqual(complaints({"tools/jini/long.c": "int x;\n" * 800}), [])

    def test_a_module_without_readme_is_found(self):
        self.assertEqual(complaints({"core/limits/README.md": None}), [("core/limits", "rooms")])
        self.assertEqual(complaints({"core/limits/README.md": "\n"}), [("core/limits", "rooms")])

    def test_a_module_in_no_layer_is_found(self):
        found = complaints({"core/shapes/README.md": "# shapes\n"})
        self.assertEqual(found, [("core/shapes", "rooms")])

    def test_a_template_of_mkdtemp_is_no_unfinished_word(self):
        self.assertEqual(complaints({"bench/t.c": 'char t[] = "/tmp/XX' 'XXXX";\n'}), [])


if __name__ == "__main__":
    unittest.main()
