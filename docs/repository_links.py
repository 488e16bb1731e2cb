"""A preprocessor of mdBook: links that lead out of this folder, such as ../README.md, lead to the repository.

The pages keep relative links, which work in a clone and on GitHub.
"""

import json
import posixpath
import re
import sys

REPOSITORY = "https://github.com/hostel-rs/hostel/blob/main/"
LINK = re.compile(r"(\]\(|^\[[^\]]+\]: )(\.\.?/[^)\s]*)", re.MULTILINE)


def rewritten(content, page):
    folder = posixpath.join("docs", posixpath.dirname(page))

    def of(match):
        path = posixpath.normpath(posixpath.join(folder, match[2]))
        return match[0] if path.startswith("docs/") else match[1] + REPOSITORY + path

    return LINK.sub(of, content)


def visit(items):
    for item in items:
        chapter = item.get("Chapter") if isinstance(item, dict) else None
        if chapter:
            if chapter["path"]:
                chapter["content"] = rewritten(chapter["content"], chapter["path"])
            visit(chapter["sub_items"])


if sys.argv[1:2] == ["supports"]:
    sys.exit(0)
_, book = json.load(sys.stdin)
visit(book["items"])
json.dump(book, sys.stdout)
