"""Nothing that anybody says can become code, leave the site or load something from elsewhere."""

from __future__ import annotations

import httpx
from playwright.sync_api import expect

from tests.e2e.chat import Chat, Watch
from tests.e2e.server import Server
from tests.e2e.test_faults import scripts

CORPUS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)>",
    "<iframe src=javascript:alert(1)></iframe>",
    "<a href='javascript:alert(1)'>x</a>",
    "<style>*{display:none}</style><form action=//evil.invalid><input name=a>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](java\tscript:alert(1))",
    "[x](&#106;avascript:alert(1))",
    "[x](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)",
    "[x](vbscript:msgbox(1))",
    "[x](//evil.invalid/a)",
    "![x](https://evil.invalid/pixel.png)",
    '![x](x"onerror="alert(1))',
    '[x](https://a.invalid "x\\" onmouseover=alert(1) y=\\"")',
    "<https://a.invalid/\"onclick='alert(1)'>",
    "```html\n<script>alert(1)</script>\n```",
    '```x"onload="alert(1)\ncode\n```',
    "`<img src=x onerror=alert(1)>`",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    "<!--<img src='--><img src=x onerror=alert(1)>'>",
    "|a|b|\n|-|-|\n|<img src=x onerror=alert(1)>|[x](javascript:alert(1))|",
    "# <img src=x onerror=alert(1)>\n- [ ] <svg/onload=alert(1)>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
]

AUDIT = """(root) => {
  const problems = [];
  const fine = new Set(("section span header b time div p br strong em del code pre ul ol li blockquote h3 h4 h5 h6 hr "
    + "details summary dl dt dd a table thead tbody tr th td button svg use").split(" "));
  for (const element of root.querySelectorAll("*")) {
    if (/^\\/tasks\\/\\d+$/.test(element.getAttribute("href") ?? "")) continue; // ours: how an answer came about
    if (!fine.has(element.localName)) problems.push(`<${element.localName}>`);
    for (const { name, value } of element.attributes) {
      if (name.startsWith("on") || ["style", "src", "srcset"].includes(name)) problems.push(`${name}=${value}`);
      if (name === "href" && !/^(https?:\\/\\/|mailto:|#i-)/i.test(value)) problems.push(`href=${value}`);
    }
    if (element.localName === "a" && (element.rel !== "noopener noreferrer" || element.target !== "_blank"))
      problems.push(`link without protection ${element.outerHTML}`);
  }
  return problems;
}"""


def test_hostile_markdown_from_the_agent_is_inert(chat: Chat) -> None:
    problems = chat.page.evaluate(
        f"""async ([base, corpus]) => {{
          const {{ reply }} = await import(base + "messages.js");
          const audit = {AUDIT};
          window.alert = () => {{ window.bitten = true; }};
          const actions = {{ rated: () => null, feedback: () => null }};
          const found = [];
          for (const text of corpus) {{
            const item = {{ id: "1", author: "agent", name: text, text, at: new Date().toISOString(), task: null }};
            const element = reply(item, actions);
            document.getElementById("log").append(element);
            found.push(...audit(element).map((problem) => `${{text}}: ${{problem}}`));
          }}
          await new Promise((resolve) => setTimeout(resolve, 300));
          return window.bitten ? ["a script ran", ...found] : found;
        }}""",
        [scripts(chat), CORPUS],
    )
    assert problems == []


def test_hostile_words_of_a_person_are_only_words(chat: Chat) -> None:
    for text in CORPUS[:4]:
        chat.ask(text)
    chat.ask("remember that " + CORPUS[1])
    assert "onerror" in chat.ask("what do you know about me")
    assert chat.page.evaluate(AUDIT, chat.log.locator("#log").element_handle()) == []
    assert [text for text in chat.said() if text in CORPUS] == CORPUS[:4]
    expect(chat.page.locator("#memories")).to_contain_text("onerror")
    assert chat.page.locator("#memories img").count() == 0


def test_markdown_still_looks_like_something(chat: Chat) -> None:
    html = chat.page.evaluate(
        """async (base) => {
          const { render } = await import(base + "markdown.js");
          const box = document.createElement("div");
          box.append(render("**bold** and [a link](https://example.org)\\n\\n- one\\n- two\\n\\n1 < 2 && 3 > 2"));
          return box.innerHTML;
        }""",
        scripts(chat),
    )
    assert "<strong>bold</strong>" in html
    assert '<a href="https://example.org" target="_blank" rel="noopener noreferrer">a link</a>' in html
    assert "<li>one</li>" in html
    assert "1 &lt; 2 &amp;&amp; 3 &gt; 2" in html


def test_the_policy_stops_inline_code_and_foreign_hosts(chat: Chat, watch: Watch) -> None:
    watch.allow("Content Security Policy|Trusted(HTML|Script)|evil.invalid")
    outcome = chat.page.evaluate(
        """async () => {
          const violations = [];
          document.addEventListener("securitypolicyviolation", (event) => violations.push(event.effectiveDirective));
          const script = document.createElement("script");
          script.append("window.bitten = true");
          try { document.body.append(script); } catch { violations.push("trusted-types"); }
          await fetch("https://evil.invalid/").catch(() => {});
          const image = new Image();
          image.src = "https://evil.invalid/pixel.png";
          let refused = false;
          try { document.body.insertAdjacentHTML("beforeend", "<b>x</b>"); } catch { refused = true; }
          await new Promise((resolve) => setTimeout(resolve, 200));
          return { violations, refused, bitten: Boolean(window.bitten) };
        }"""
    )
    assert outcome["refused"]
    assert not outcome["bitten"]
    assert {"connect-src", "img-src"} <= set(outcome["violations"])


def test_no_page_is_without_its_headers(server: Server) -> None:
    for path in ("/sign-in", "/welcome/sometoken"):
        headers = httpx.get(server.url + path).headers
        policy = headers["content-security-policy"]
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"


def test_only_known_files_are_served(server: Server) -> None:
    page = httpx.get(server.url + "/sign-in").text
    style = page.split('href="', 2)[1].split('"')[0].replace("img/favicon.svg", "css/base.css")
    assert httpx.get(server.url + style).headers["content-type"].startswith("text/css")
    version = style.split("/")[3]
    for path in ("app.py", "../app.py", "%2e%2e/app.py", "js/", "vendor/../../app.py"):
        assert httpx.get(f"{server.url}/static/console/{version}/{path}").status_code in (303, 404)
    assert httpx.get(server.url + style.replace(version, "000000000000")).status_code == 404
