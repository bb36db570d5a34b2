#!/usr/bin/env python3
"""Finds words and constructions that our pages and comments avoid, and exits with 1 if there are any.

It reads README.md, SECURITY.md, CHANGELOG.md, CONTRIBUTING.md and docs/*.md without their code, and the comments of the
C++ files. It leaves out pages that a program writes, and what only a reader can judge.
"""

import pathlib
import re
import sys

root = pathlib.Path(__file__).resolve().parent.parent
most_words = 50  # of a sentence
written_by_programs = {"benchmarks.md"}
folders = ("modules", "app", "include", "examples", "fuzz", "bench", "tests")

avoided = [  # a pattern, and what to write instead
    (r"\bnewcomers?\b", "new connection, new client"),
    (r"\b([Ss]omebody|[Ww]hoever|[Nn]obody|[Ee]verybody)\b", "the client, the peer, the caller, no thread, every user"),
    (r"(?<=[.:;] )Who [a-z]+(?![^.:;|]*\?)|^Who [a-z]+(?![^.:;|]*\?)", "the client that, the caller that"),
    (r"\bin one hand\b", "at a time"),
    (r"\bthe peer (is|was) gone\b", "connection reset by peer"),
    (r"\b(sends?|sent) away\b", "evict, reject, shed"),
    (r"\bin vain\b", "times out, without success"),
    (r"\bin order to\b", "to"),
    (r"\b[Uu]tili[sz]e[sd]?\b", "use"),
    (r"\b([Ss]imply|[Bb]asically|[Oo]bviously|[Oo]f course|[Nn]eedless to say)\b", "(leave it out)"),
    (r"\bdue to the fact that\b|\bin the event that\b", "because, if"),
    (r"\b(a|per) (thread|process|child) a (request|connection|client)\b", "a thread for each request"),
    (r"\b(informations|softwares|feedbacks)\b", "the singular"),
    (r"\b(allows?|enables?|permits?) to [a-z]+\b", "allows you to, allows -ing"),
    (r"\bfor ever\b", "forever"),
    (r"\banew\b", "again, a new one"),
    (r"\b(in|at) hand\b", "being served, current, ready"),
    (r"\b(is|are|was|were|be) told\b", "the client gets, the hook is called, the error is reported"),
    (r"\b[Ww]hat (becomes|became) of\b", "what happens to"),
    (r"\bthe both\b|\bboth the two\b", "both"),
    (r"\b[Aa] (?=hour\b|honest\b|RFC\b|HTTP\b|IPv|IP\b|epoll\b|eventfd\b|end\b|error\b|answer\b|idle\b|address\b|option\b)", "an"),
    (r"\b[Aa]n (?=client\b|server\b|socket\b|thread\b|request\b|Unix\b|user\b|UDP\b|one\b|unit\b)", "a"),
    (r"\b(the the|a a|of of|to to|is is|and and)\b", "the word once"),
]
avoided_beginnings = [  # of what documents an entity
    (r"Is (a|an|the)\b", 'a noun phrase: "A move-only handle to…"'),
    (r"Says (that|whether|what|how|which)\b", '"Marks the request as…", "Returns whether…", or a noun phrase'),
    (r"Tells (that|whether|what|how|which)\b", '"Returns whether…"'),
]


def without_code(page):
    page = re.sub(r"^( *)```.*?^ *```$", lambda block: "\n" * block[0].count("\n"), page, flags=re.M | re.S)
    page = re.sub(r"(^|\n)((    .*|)\n)+", lambda block: "\n" * block[0].count("\n"), page)  # a block by indentation
    page = re.sub(r"\]\([^)\n]*\)", "]", page)
    return re.sub(r"`[^`\n]*`", "`x`", page)


def paragraphs(text):
    """Yields the number of the first line of each paragraph, list item or row of a table, and its lines."""
    first, lines = 0, []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip() or re.match(r"\s*([-*|#]|\d+\.) ?", line):
            if lines:
                yield first, lines
            first, lines = number, []
        if line.strip():
            first, lines = (first if lines else number), [*lines, line.strip()]
    if lines:
        yield first, lines


def of_page(path):
    yield from paragraphs(without_code(path.read_text()))


def without_literals(source):
    literal = r"""//.*|R"(\w*)\((?s:.*?)\)\1"|"(\\.|[^"\\\n])*"|'(\\.|[^'\\\n])'"""
    return re.sub(literal, lambda found: found[0] if found[0].startswith("//") else "x" + "\n" * found[0].count("\n"), source)


def of_comments(path):
    """Yields the comments, without those that show code or a picture."""
    lines = []
    for line in without_literals(path.read_text()).split("\n"):
        whole = re.match(r"\s*///?<? ?(.*)", line)
        trailing = re.match(r".*?\S +///?<? (.*)", line)  # a comment after code stands for itself
        lines.append(whole[1] if whole else f"- {trailing[1]}" if trailing else "")
    text = "\n".join(lines)
    yield from paragraphs(re.sub(r"`[^`\n]*`", "`x`", re.sub(r"^    .*$", "", text, flags=re.M)))


def faults(path, found):
    for first, lines in found:
        for number, line in enumerate(lines, first):
            for pattern, instead in avoided:
                for match in re.finditer(pattern, line):
                    yield f"{path}:{number}: \"{match[0].strip()}\": write {instead}"
        for pattern, instead in avoided_beginnings if path.suffix != ".md" else []:
            if match := re.match(pattern, lines[0]):
                yield f"{path}:{first}: \"{match[0]}\" begins a comment: write {instead}"
        if lines[0].startswith("|"):
            continue
        for sentence in re.split(r"(?<=[.?!:;])\s+", " ".join(lines)):
            if (count := len(re.findall(r"\w[\w'’-]*", sentence))) > most_words:
                yield f"{path}:{first}: {count} words in a sentence: \"{sentence[:60]}…\""


def main():
    pages = [root / name for name in ("README.md", "SECURITY.md", "CHANGELOG.md", "CONTRIBUTING.md")]
    pages += [path for path in sorted((root / "docs").glob("*.md")) if path.name not in written_by_programs]
    sources = [path for folder in folders for path in sorted((root / folder).rglob("*.[ch]pp*"))]
    found = [fault for path in pages for fault in faults(path.relative_to(root), of_page(path))]
    found += [fault for path in sources for fault in faults(path.relative_to(root), of_comments(path))]
    print("\n".join(found) or f"{len(pages)} pages, the comments of {len(sources)} files", file=sys.stderr if found else sys.stdout)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
