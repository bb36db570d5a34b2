#!/usr/bin/env python3
"""Reads the `///` comments of the interface units, and writes the reference of the API.

    docs/reference.py                    writes it as HTML into build/reference
    docs/reference.py --check            fails if a public entity has no documentation
    docs/reference.py --examples FILE    writes the examples of the comments as one C++ text, to be compiled

Knows C++ as far as our formatted interface units go: no macros, one declarator for each declaration.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TOKEN = re.compile(r"//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|(?<!\w)'(?:\\.|[^'\\])'|[(){};,]")
GAP = re.compile(r"\s+|///(?P<after><)?(?P<doc>[^\n]*)|//[^\n]*|(?P<access>public|protected|private):")
CONTAINER = re.compile(r"(?:export )?(?:(template\s*<.*>)\s*)?(namespace|class|struct|enum class)(?: (\w+))?( final)?(?:\s*:[^:].*)?\s*$", re.S)
SPECIAL = re.compile(r"~|= (default|delete)$|^(\w+)\((const \2&|\2&&)|operator=\(|^\w+\(\)")


class Entity:
    def __init__(self, kind, name, owner, access, signature, line, unit, exported):
        self.kind, self.name, self.owner = kind, name, owner  # the kind as it is written: class, function, ...
        self.access, self.signature = access, signature
        self.line, self.unit, self.exported = line, unit, exported
        self.doc, self.doc_line = [], 0
        self.leader = None  # whose comment serves this as well: the comment above a group
        self.heading = ""  # a plain comment above a data member, for it and those below
        self.members = []

    @property
    def path(self):
        return f"{self.owner.path}::{self.name}" if self.owner else self.name

    @property
    def special(self):  # a constructor, destructor or assignment that needs no words
        return self.kind == "function" and bool(SPECIAL.search(re.sub(r"^(inline |virtual |explicit |constexpr )+", "", self.signature)))

    def documented(self):
        return bool(self.doc or self.leader) or self.special or (self.kind == "using" and self.owner is not None) or (self.kind == "enumerator" and bool(self.owner.doc))


class Unit:
    def __init__(self, name, file, doc):
        self.name, self.file, self.doc = name, file, doc  # net.socket:address; from the root
        self.entities = []

    @property
    def purpose(self):
        first = " ".join(self.doc[: self.doc.index("")] if "" in self.doc else self.doc)
        first = re.sub(r"^(?:Module )?`[\w.:]+`[:,] ", "", first)
        return first[:1].upper() + first[1:]

    def all(self):
        pending = list(self.entities)
        while pending:
            entity = pending.pop(0)
            yield entity
            pending[:0] = entity.members


def closing(text, brace):
    depth, at = 0, brace
    while True:
        token = TOKEN.search(text, at)
        depth += {"{": 1, "}": -1}.get(token[0], 0)
        at = token.end()
        if depth == 0:
            return at


def end_of_head(text, begin, separators=";"):
    """Where a declaration's text before its body, or its end, is."""
    depth, at = 0, begin
    while True:
        token = TOKEN.search(text, at)
        depth += {"(": 1, ")": -1}.get(token[0], 0)
        if token[0] == "{" and depth == 0 and re.search(r"\bconcept\b|^(?!template)[^()]*\s=\s", text[begin : token.start()]):
            at = closing(text, token.start())
            continue
        if depth < 0 or depth == 0 and token[0] in "{}" + separators:
            return token.start()
        at = token.end()


def without_arguments(text):
    """Without those of templates, and what a variable is initialized with."""
    while (shorter := re.sub(r"<[^<>]*>", "", text)) != text:
        text = shorter
    return text.split(" = ")[0]


class Reader:
    def __init__(self, unit, text):
        self.unit, self.text = unit, text

    def read(self, begin, end, owner, exported, into):
        """Reads the declarations of a scope."""
        access = "private" if owner and owner.kind == "class" else "public"
        doc, doc_line, heading, group, last, at = [], 0, [], None, None, begin
        while at < end:
            gap = GAP.match(self.text, at)
            if gap:
                at = gap.end()
                if gap["after"]:
                    last.doc.append(gap["doc"].removeprefix(" "))
                    last.doc_line = last.doc_line or self.line(gap.start())
                    last.leader = group = None
                elif gap["doc"] is not None:
                    doc_line = doc_line or self.line(gap.start())
                    doc.append(gap["doc"].removeprefix(" "))
                elif gap[0].startswith("//"):
                    heading.append(gap[0][2:].strip())
                elif gap["access"] or gap[0].count("\n") > 1:
                    access, group = gap["access"] or access, None
                continue
            enumerators = owner is not None and owner.kind == "enum class"
            start, stop = at, end_of_head(self.text, at, ",;" if enumerators else ";")
            head = re.sub(r"\n\s*//[^\n]*|//[^\n]*", "", self.text[start:stop]).strip()
            container = CONTAINER.fullmatch(head)
            body = stop if stop < end and self.text[stop] == "{" else None
            at = closing(self.text, stop) if body else stop + 1
            at += len(re.match(r"\s*;|", self.text[at:])[0]) if body else 0
            public = exported or head.startswith("export ")
            if container and container[2] == "namespace":
                self.read(body + 1, at - 1, owner, public, into)
            elif head and access != "private" and not re.match(r"(export )?(module|import)\b|static_assert|friend class|using [^=]*$", head) and (body or not container):
                last = self.entity(head, container, owner, access, start, public)
                last.doc, last.doc_line, last.heading = doc, doc_line, " ".join(heading)
                if last.name.endswith("_"):
                    last = Entity("", "", None, "", "", 0, self.unit, False)  # ours, though a derived class could use it
                else:
                    into.append(last)
                if doc:
                    group = None if container else last
                elif not last.special:
                    last.leader = group
                if container:
                    self.read(body + 1, self.text.rfind("}", body, at), last, public, last.members)
            doc, doc_line, heading = [], 0, []

    def entity(self, head, container, owner, access, start, exported):
        head = head.removeprefix("export ")
        if container:
            kind, name = container[2], container[3]
        elif owner and owner.kind == "enum class":
            kind, name = "enumerator", re.match(r"\w+", head)[0]
        elif match := re.search(r"\b(concept|using)\s+(\w+)", head):
            kind, name = match[1], match[2]
        elif match := re.search(r"(operator\s*(?:\(\)|[^(\s]+)|~?\w+)\s*\(", head if "operator" in head else without_arguments(head)):
            kind, name = "function", match[1]
            head = re.sub(r"(\)(?:\s*(?:noexcept|const))*)\s*:\s.*", r"\1", head, flags=re.S)
        else:
            kind, name = "variable", re.search(r"(\w+)\s*(?:=.*)?$", head, re.S)[1]
            head = self.text[start : end_of_head(self.text, start)] + self.initializer(start)
        column = start - self.text.rfind("\n", 0, start) - 1
        lines = head.replace("inline constexpr", "constexpr").removeprefix("inline ").split("\n")
        signature = re.sub(r"=\n *(?=\w+$)", "= ", "\n".join(line.removeprefix(" " * column) for line in lines))
        return Entity(kind, name, owner, access, signature, self.line(start), self.unit, exported)

    def initializer(self, start):
        stop = end_of_head(self.text, start)
        return self.text[stop : closing(self.text, stop)] if self.text[stop] == "{" else ""

    def line(self, at):
        return self.text.count("\n", 0, at) + 1


def read():
    listed = re.search(r"set\(interface_units\s+([^)]*)\)", (ROOT / "CMakeLists.txt").read_text())[1].split()
    for name in [*listed, "monitor/net.monitor.cppm"]:
        file = ROOT / "modules" / name
        text = file.read_text()
        module = re.search(r"^export module ([\w.:]+);", text, re.M)[1]
        comment = [line[4:] for line in text.split("export module")[0].splitlines() if line.startswith("///")]
        unit = Unit(module, str(file.relative_to(ROOT)), comment[1:])  # behind \file
        if module != "net.standard":
            Reader(unit, text).read(0, len(text.rstrip()), None, False, unit.entities)
            yield unit


def undocumented(units):
    for unit in units:
        for entity in unit.all():
            if entity.exported and not entity.documented():
                yield f"{unit.file}:{entity.line}: {entity.kind} {entity.path} has no documentation"


def code_blocks(doc):
    """The indented parts of a comment: the number of the first line, and the lines."""
    at = 0
    while at < len(doc):
        stop = at
        while stop < len(doc) and (doc[stop].startswith("    ") or (stop > at and not doc[stop] and doc[stop + 1 : stop + 2] and doc[stop + 1].startswith("    "))):
            stop += 1
        if stop > at:
            yield at, [line[4:] for line in doc[at:stop]]
        at = stop + 1


def is_code(lines):
    return any(re.search(r";\s*(//.*)?$", line) for line in lines)  # else a table, or a drawing


def examples(units):
    number = 0
    for unit in units:
        for line, doc in [(2, unit.doc)] + [(entity.doc_line, entity.doc) for entity in unit.all()]:
            for at, lines in code_blocks(doc):
                if not is_code(lines):
                    continue
                number += 1
                text = "\n".join("" if line.startswith("import ") else line for line in lines)
                opening, ending = ("", "") if "int main(" in text else ("struct Example {", "};") if text.startswith("static ") else ("void example() {", "}")
                yield f'namespace example_{number} {{ {opening}\n#line {line + at} "{ROOT / unit.file}"\n{text}\n{ending} }}\n'


def main():
    units = list(read())
    if sys.argv[1:2] == ["--check"]:
        wanting = list(undocumented(units))
        if wanting:
            raise SystemExit("\n".join(wanting))
    elif sys.argv[1:2] == ["--examples"]:
        pathlib.Path(sys.argv[2]).write_text("// Written by docs/reference.py.\n" + "".join(examples(units)))
    else:
        import reference_pages

        print(reference_pages.write(units, ROOT / "build/reference"))


if __name__ == "__main__":
    main()
