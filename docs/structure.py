#!/usr/bin/env python3
"""Reads modules/ and prints how large its classes and files are, and what imports what.

    docs/structure.py            the figures
    docs/structure.py --write    writes the graph of imports into docs/structure.md
    docs/structure.py --check    fails if that is not what is there
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/structure.md"
BEGIN, END = "<!-- written by docs/structure.py -->", "<!-- end -->"
MOST_MEMBERS, MOST_FUNCTIONS, MOST_LINES = 20, 40, 300
# The calls of a socket are Python's: many, and small.
MANY_FUNCTIONS = {"Socket"}
COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\])'", re.S)
HEAD = re.compile(r"\b(?:class|struct)\s+(?:alignas\(\d+\)\s+)?(\w+(?:::\w+)*)\s*(?:final\s*)?(?::[^:;{][^;{]*)?\{")
FUNCTION = re.compile(r"\boperator\b|[\w>&*~]\s*\(")


def without_text(source):
    return COMMENT.sub(lambda match: " " if match[0].startswith("/") else '""', source)


def body(source, brace):
    depth = 0
    for at in range(brace, len(source)):
        depth += {"{": 1, "}": -1}.get(source[at], 0)
        if depth == 0:
            return source[brace + 1 : at]
    raise SystemExit("unbalanced braces")


def declarations(inside):
    """The declarations at the top of a class's body, without what is in braces."""
    depth, flat = 0, []
    for char in inside:
        if char == "{":
            depth += 1
            if depth == 1:
                flat.append("\0")
        elif char == "}":
            depth -= 1
        elif depth == 0:
            flat.append(char)
    text = re.sub(r"\b(?:public|private|protected)\s*:", ";", "".join(flat))
    text = re.sub(r"\)\s*((?:const|noexcept|override|final|\s)*)(?::[^;\0]*(?:\0[^;\0]*)*)?\0", r") \1;", text)
    return [part.strip() for part in text.replace("\0", "").split(";") if part.strip()]


def measured(inside):
    members = functions = 0
    for declaration in declarations(inside):
        if re.match(r"(?:template\s*<.*>\s*)?(?:using|typedef|friend|enum|class|struct|static_assert|static\s+constexpr|static\s+const)\b", declaration, re.S) and not FUNCTION.search(declaration.split("=")[0]):
            continue
        if re.match(r"(?:using|friend|static_assert|enum|class|struct)\b", declaration):
            continue
        if re.search(r"=\s*(?:delete|default)$", declaration):
            continue
        head = re.sub(r"<[^<>]*(?:<[^<>]*>[^<>]*)*>", "", declaration.split("=")[0])
        if FUNCTION.search(head):
            functions += 1
        elif re.search(r"\w", head):
            members += 1 + head.count(",")
    return members, functions


def classes(path, source):
    for match in HEAD.finditer(source):
        if source[: match.start()].rstrip().endswith("enum"):
            continue
        yield (match[1], *measured(body(source, match.end() - 1)), path)


def read():
    found, lines, ahead, imports = [], {}, [], {}
    for path in sorted((ROOT / "modules").rglob("*.cpp*")):
        text = path.read_text()
        source = without_text(text)
        name = str(path.relative_to(ROOT / "modules"))
        lines[name] = text.count("\n")
        found += classes(name, source)
        if path.suffix == ".cppm":
            unit = re.search(r"^(?:export )?module ([\w.:]+);", source, re.M)
            if unit:
                module = unit[1].split(":")[0]
                wanted = re.findall(r"^(?:export )?import (:?[\w.]+(?::\w+)?);", source, re.M)
                imports[unit[1]] = [module + other if other.startswith(":") else other for other in wanted]
            for other in re.findall(r"^\s*(?:class|struct) (\w+);", source, re.M):
                if not re.search(rf"\b(?:class|struct) {other}\b[^;]*\{{", source):
                    ahead.append((other, name))
    return found, lines, ahead, imports


def graph(imports):
    rows = ["| partition | imports |", "|---|---|"]
    for unit in sorted(imports):
        module = unit.split(":")[0]
        others = [o.removeprefix(module) if ":" in o else o for o in imports[unit] if o != "net.standard"]
        rows.append(f"| `{unit}` | {', '.join(f'`{o}`' for o in others) or '–'} |")
    return "\n".join(rows)


def over(found, lines):
    for name, members, functions, path in found:
        if members > MOST_MEMBERS:
            yield f"{name} ({path}): {members} data members", members
        if functions > MOST_FUNCTIONS and name not in MANY_FUNCTIONS:
            yield f"{name} ({path}): {functions} functions", functions
    for path, count in lines.items():
        if count > MOST_LINES:
            yield f"{path}: {count} lines", count


def main():
    found, lines, ahead, imports = read()
    page = PAGE.read_text()
    before, _, rest = page.partition(BEGIN)
    written, _, after = rest.partition(END)
    wanted = f"\n{graph(imports)}\n"
    if "--write" in sys.argv:
        PAGE.write_text(before + BEGIN + wanted + END + after)
        return
    if "--check" in sys.argv:
        if written != wanted:
            raise SystemExit("docs/structure.md shows other imports than modules/ has: docs/structure.py --write")
        return
    print(f"{sum(lines.values())} lines in {len(lines)} files\n")
    print("The largest classes: data members, functions")
    for name, members, functions, path in sorted(found, key=lambda row: (-row[1], -row[2]))[:15]:
        print(f"  {members:3} {functions:3}  {name}  ({path})")
    print("\nOver a limit")
    for what, _ in over(found, lines):
        print(f"  {what}")
    print("\nDeclared ahead and defined elsewhere")
    for name, path in ahead:
        print(f"  {name}  ({path})")


if __name__ == "__main__":
    main()
