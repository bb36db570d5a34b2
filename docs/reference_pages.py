"""The pages of the reference, of what docs/reference.py has read. They load nothing from elsewhere, and work as files."""

import re

import reference

KEYWORDS = "alignas auto bool break case char class concept const constexpr continue default delete do double else enum explicit export false final for friend if import inline int long mutable namespace new noexcept nullptr operator override private protected public requires return short signed sizeof static struct switch template this throw true typename unsigned using virtual void volatile while".split()
LEXEME = re.compile(r"(?P<comment>//[^\n]*)|(?P<string>\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\])')|(?P<number>\b\d[\w.']*)|(?P<word>[A-Za-z_]\w*(?:::~?\w+)*)|.", re.S)
SOURCES = reference.ROOT / "docs/reference"
PROTECTED = ' <span class="badge">protected</span>'
TEMPLATE = (SOURCES / "page.html").read_text()
KINDS = {"class": "Classes", "function": "Functions", "enum": "Enumerations", "concept": "Concepts", "alias": "Aliases", "constant": "Constants"}


def kind_of(entity):
    if entity.kind == "variable":
        return "constant" if "constexpr" in entity.signature else "member"
    return {"struct": "class", "enum class": "enum", "using": "alias"}.get(entity.kind, entity.kind)


def escape(text):
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def first_of_each(entities):
    """Without overloads."""
    seen = set()
    return [entity for entity in entities if not (entity.path in seen or seen.add(entity.path))]


def page_of(unit):
    return unit.name.replace(":", "-") + ".html"


class Pages:
    def __init__(self, units):
        self.units = units
        self.urls = {}  # of a path, without net::
        self.anchors = {}
        self.adopt_members()
        for unit in units:
            self.urls[unit.name] = page_of(unit)
            taken = set()
            for entity in self.public(unit.all()):
                anchor = plain = re.sub(r"[^\w.~]", lambda sign: f"{ord(sign[0]):x}", entity.path.replace("::", "."))
                number = 1
                while anchor in taken:
                    number += 1
                    anchor = f"{plain}-{number}"
                taken.add(anchor)
                self.anchors[entity] = anchor
                self.urls.setdefault(entity.path, f"{page_of(unit)}#{anchor}")
        functions = {entity.path: entity.name for unit in units for entity in self.public(unit.all()) if entity.kind == "function"}
        self.only_functions = {name: self.urls[path] for path, name in functions.items() if list(functions.values()).count(name) == 1}

    @staticmethod
    def public(entities):
        return [entity for entity in entities if entity.exported]

    def adopt_members(self):
        """Shows what is derived from a class that is not exported with that class's members, and its base."""
        hidden = {entity.name: entity for unit in self.units for entity in unit.entities if entity.kind == "class" and not entity.exported}
        for entity in (entity for unit in self.units for entity in unit.entities if entity.exported):
            base = re.search(r": public (\w+)<[^>]*>$", entity.signature)
            if not base or base[1] not in hidden:
                continue
            of = hidden[base[1]]
            entity.signature = entity.signature.replace(base[0], ": public " + re.search(r": public (\w+)", of.signature)[1])
            copies = {}
            for member in of.members:
                name = entity.name if member.name == of.name else member.name
                copy = reference.Entity(member.kind, name, entity, member.access, member.signature.replace(f"{of.name}(", f"{entity.name}("), member.line, of.unit, True)
                copy.doc, copy.leader = member.doc, copies.get(member.leader)
                copies[member] = copy
            entity.members += copies.values()

    def url(self, name, scope):
        """Where an entity is that is named in the text of another one."""
        name = re.sub(r"^net::|\(\)$|[&*]$", "", name)
        while scope:
            if url := self.urls.get(f"{scope.path}::{name}"):
                return url
            scope = scope.owner
        return self.urls.get(name) or self.only_functions.get(name)

    def code(self, text, scope):
        def marked(match):
            word = match["word"]
            if match.lastgroup in ("comment", "string", "number"):
                return f'<span class="{match.lastgroup}">{escape(match[0])}</span>'
            if word in KEYWORDS:
                return f'<span class="keyword">{word}</span>'
            own = scope and word == scope.name
            linked = word and not own and (word[0].isupper() or "::" in word) and self.url(word, scope)
            return f'<a href="{linked}">{word}</a>' if linked else f"<b>{word}</b>" if own else escape(match[0])

        return LEXEME.sub(marked, text)

    def inline(self, text, scope):
        return "".join(self.quoted(part, scope) if at % 2 else escape(part) for at, part in enumerate(text.split("`")))

    def quoted(self, name, scope):
        parameter = scope and re.search(rf"[ &*]{re.escape(name)}(?:[,)]| =)", scope.signature)
        url = None if parameter or (scope and name == scope.name) else self.url(name, scope)
        return f'<a href="{url}"><code>{escape(name)}</code></a>' if url else f"<code>{escape(name)}</code>"

    def prose(self, doc, scope=None):
        blocks, begin = [], 0
        for at, lines in [*reference.code_blocks(doc), (len(doc), [])]:
            blocks += [f"<p>{self.inline(' '.join(text.split()), scope)}</p>" for text in "\n".join(doc[begin:at]).split("\n\n") if text.strip()]
            if lines:
                text = "\n".join(lines)
                blocks.append(f'<pre><code>{self.code(text, None) if reference.is_code(lines) else escape(text)}</code></pre>')
            begin = at + len(lines)
        return "\n".join(blocks)

    def summary(self, entity):
        doc = (entity.leader or entity).doc
        text = " ".join(doc[: doc.index("")] if "" in doc else doc)
        return re.match(r".*?(?:[.:](?= [A-Z`]|$)|$)", text)[0].rstrip(":.")

    def link(self, entity):
        return f'<a href="{page_of(entity.unit if not entity.owner else entity.owner.unit)}#{self.anchors[entity]}"><code>{escape(entity.path)}</code></a>'

    def listed(self, entities):
        return "<ul class='list'>" + "".join(f"<li>{self.link(entity)} <span>{self.inline(self.summary(entity), entity)}</span></li>" for entity in entities) + "</ul>"

    def block(self, entities, level):
        """What one comment documents."""
        first = entities[0]
        between = "\n\n" if any("\n" in entity.signature for entity in entities) else "\n"
        heads = between.join(f'<code id="{self.anchors[entity]}">{self.code(entity.signature, entity)}</code>' for entity in entities)
        names = escape(", ".join(dict.fromkeys(entity.name for entity in entities)))
        kind = f'<span class="kind">{kind_of(first)}</span> ' if level == 2 else ""
        badge = PROTECTED if first.access == "protected" else ""
        return f'<div class="block"><h{level}>{kind}{names}{badge}{self.permalink(first)}</h{level}>\n<pre class="signature">{heads}</pre>{self.prose(first.doc, first)}</div>'

    def permalink(self, entity):
        return f'<a class="permalink" href="#{self.anchors[entity]}" aria-label="Link to {escape(entity.path)}">#</a>'

    def blocks(self, entities, level):
        groups, special = {}, []
        for entity in entities:
            if entity.special and not entity.doc:
                special.append(entity)
            else:
                groups.setdefault(entity.leader or entity, []).append(entity)
        html = [self.block(group, level) for group in groups.values()]
        if special:
            heads = "\n".join(f'<code id="{self.anchors[entity]}">{self.code(entity.signature, entity)}</code>{PROTECTED if entity.access == "protected" else ""}' for entity in special)
            html.append(f'<div class="block"><pre class="signature">{heads}</pre></div>')
        return "\n".join(html)

    def values(self, entities):
        """Data members and enumerators, which need few words, or none."""
        if not any(each.doc or each.leader for each in entities):
            return '<pre class="values">' + ", ".join(f'<code id="{self.anchors[each]}">{escape(each.signature)}</code>' for each in entities) + "</pre>"
        headings = {each: f"</dl><p class='group'>{self.inline(each.heading, each)}</p><dl>" if each.heading else "" for each in entities}
        return ("<dl>" + "".join(f'{headings[each]}<dt id="{self.anchors[each]}"><code>{self.code(each.signature, each)}</code>{PROTECTED if each.access == "protected" else ""}</dt><dd>{self.prose((each.leader or each).doc, each)}</dd>' for each in entities) + "</dl>").replace("<dl></dl>", "").replace("<dd></dd>", "")

    def section(self, entity, level=2):
        members = self.public(entity.members)
        kinds = {
            "Types": [each for each in members if kind_of(each) in ("class", "enum", "alias")],
            "Data members": [each for each in members if each.kind == "variable"],
            "Construction": [each for each in members if each.kind == "function" and (each.name.lstrip("~") == entity.name or each.name == "operator=")],
        }
        kinds["Functions"] = [each for each in members if each.kind == "function" and each not in kinds["Construction"]]
        kinds["Values"] = [each for each in members if each.kind == "enumerator"]
        title = f'<h{level} id="{self.anchors[entity]}"><span class="kind">{entity.kind.split()[0]}</span> {escape(entity.name)} {self.permalink(entity)}</h{level}>'
        html = [f'<section class="entity">{title}', f'<pre class="signature"><code>{self.code(entity.signature, entity)}</code></pre>', self.prose(entity.doc, entity)]
        if level == 2 and len(kinds["Functions"]) > 7:
            html.append('<p class="overview">' + " ".join(f'<a href="#{self.anchors[each]}"><code>{escape(each.name)}</code></a>' for each in first_of_each(kinds["Functions"])) + "</p>")
        for name, entities in kinds.items():
            if entities:
                html.append(f"<h{level + 1}>{name}</h{level + 1}>" if name != "Values" else "")
                html.append(self.entities(entities, level + 2) if name == "Types" else self.values(entities) if name in ("Data members", "Values") else self.blocks(entities, level + 2))
        return "\n".join(html) + "</section>"

    def entities(self, entities, level):
        """In their order, the functions and aliases of one comment together."""
        html, done = [], set()
        for entity in self.public(entities):
            if entity in done:
                continue
            group = [each for each in entities if each is entity or each.leader is entity]
            done.update(group)
            html.append(self.section(entity, level) if kind_of(entity) in ("class", "enum") else self.block(group, level))
        return "\n".join(html)

    def page(self, unit, title, body):
        modules = []
        for each in self.units:
            partition = ":" in each.name
            if partition and (not unit or each.name.split(":")[0] != unit.name.split(":")[0] or not self.public(each.entities)):
                continue
            here = ' aria-current="page"' if each is unit else ""
            modules.append(f'<li class="{"partition" if partition else "module"}"><a href="{page_of(each)}"{here}>{each.name[each.name.find(":") :] if partition else each.name}</a>')
            if each is unit and self.public(each.entities):
                modules.append("<ul>" + "".join(f'<li><a href="#{self.anchors[entity]}">{escape(entity.name)}</a></li>' for entity in self.public(each.entities)) + "</ul>")
            modules.append("</li>")
        return TEMPLATE.format(title=escape(title), body=body, modules="".join(modules))

    def unit_page(self, unit):
        partitions = [each for each in self.units if each.name.startswith(unit.name + ":") and self.public(each.entities)]
        body = [f"<h1>{unit.name}</h1>", self.prose([unit.purpose, *(unit.doc[unit.doc.index("") :] if "" in unit.doc else [])])]
        for each in partitions:
            body.append(f'<h2><a href="{page_of(each)}">{each.name[len(unit.name) :]}</a> <span class="kind">{self.inline(each.purpose.rstrip("."), None)}</span></h2>{self.listed(self.public(each.entities))}')
        if unit.entities:
            body += [f'<p class="source"><code>import {unit.name.split(":")[0]};</code> · {unit.file}</p>', self.entities(unit.entities, 2)]
        return self.page(unit, unit.name, "\n".join(body))

    def index_page(self):
        modules = [unit for unit in self.units if ":" not in unit.name]
        body = ["<h1>netserve</h1><p>Request servers for C++20, as named modules: the reference of what they export. All names are in the namespace <code>net</code>.</p><h2>Modules</h2><ul class='list'>"]
        body += [f'<li><a href="{page_of(unit)}"><code>{unit.name}</code></a> <span>{self.inline(unit.purpose.rstrip("."), None)}</span></li>' for unit in modules]
        body.append("</ul>")
        for kind, title in KINDS.items():
            found = [entity for unit in self.units for entity in self.public(unit.all()) if kind_of(entity) == kind and (not entity.owner or kind == "constant")]
            body.append(f"<h2>{title}</h2>{self.listed(sorted(first_of_each(found), key=lambda entity: entity.path.lower()))}")
        return self.page(None, "netserve", "\n".join(body))


def write(units, out):
    pages = Pages(sorted(units, key=lambda unit: (unit.name.split(":")[0], ":" in unit.name, unit.name)))
    out.mkdir(parents=True, exist_ok=True)
    for old in out.iterdir():
        old.unlink()
    for name in ("style.css", "search.js"):
        (out / name).write_text((SOURCES / name).read_text())
    (out / "index.html").write_text(pages.index_page())
    for unit in pages.units:
        if ":" not in unit.name or pages.public(unit.entities):
            (out / page_of(unit)).write_text(pages.unit_page(unit))
    rows = {unit.name: ("module", page_of(unit), unit.purpose) for unit in pages.units if ":" not in unit.name}
    for entity in (entity for unit in pages.units for entity in pages.public(unit.all())):
        if not entity.special:
            rows.setdefault(entity.path, (kind_of(entity), pages.urls[entity.path], pages.summary(entity)))
    quoted = lambda text: '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    (out / "names.js").write_text("const names = [\n" + "".join(f"[{', '.join(map(quoted, (name, *row)))}],\n" for name, row in rows.items()) + "];\n")
    return out / "index.html"
