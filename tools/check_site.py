"""Check the built site: links, anchors and images inside it lead somewhere.

    python tools/check_site.py doc/_build/html

Links into other sites are not followed: a build needs no network.
"""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """Collect what a page has and what it points to."""

    def __init__(self, path):
        super().__init__()
        self.targets, self.anchors, self.faults = [], set(), []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        """Collect anchors and references of one element."""
        attributes = dict(attrs)
        for name in ("id", "name"):
            if attributes.get(name):
                self.anchors.add(attributes[name])
        for name in ("href", "src"):
            if attributes.get(name):
                self.targets.append(attributes[name])
        if tag == "img" and "alt" not in attributes:  # empty: decoration
            self.faults.append(f"no alternative text: {attributes.get('src')}")


def check(root):
    """Return the faults of every page below ``root``, as sentences."""
    pages = {
        path: Page(path)
        for path in root.rglob("*.html")
        if "_static" not in path.relative_to(root).parts  # the theme's templates
    }
    faults = [] if pages else [f"{root}: no pages"]
    for path, page in pages.items():
        where = path.relative_to(root)
        faults += [f"{where}: {fault}" for fault in page.faults]
        for target in page.targets:
            url = urlsplit(target)
            if url.scheme or url.netloc:
                continue
            file = (path.parent / unquote(url.path)).resolve() if url.path else path
            if file.is_dir():
                file /= "index.html"
            if not file.exists():
                faults.append(f"{where}: {target} does not exist")
                continue
            anchors = pages[file].anchors if file in pages else set()
            if url.fragment and unquote(url.fragment) not in anchors:
                faults.append(f"{where}: {target} has no such anchor")
    return faults, len(pages)


def main():
    """Print the faults; the exit status tells whether there were any."""
    faults, n_pages = check(Path(sys.argv[1]).resolve())
    print("\n".join([*faults, f"{n_pages} pages, {len(faults)} faults"]))
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
