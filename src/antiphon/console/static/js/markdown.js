// Markdown to nodes, safely: raw HTML is text, DOMPurify checks what is left, links go only to the web or to mail,
// and nothing is fetched from elsewhere (a picture becomes a link to it).

import DOMPurify from "../vendor/purify.js";
import { Marked } from "../vendor/marked.js";
import { copy, h, icon } from "./dom.js";

const ESCAPES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
const escape = (text) => text.replace(/[&<>"']/g, (character) => ESCAPES[character]);

const marked = new Marked({
  gfm: true,
  breaks: true,
  renderer: {
    html: ({ text }) => escape(text),
    image: ({ href, text }) => `<a href="${escape(href)}">${escape(text || href)}</a>`,
    checkbox: ({ checked }) => (checked ? "☑ " : "☐ "),
    heading({ tokens, depth }) {
      const level = Math.min(6, depth + 2); // the page has h1 and h2 already
      return `<h${level}>${this.parser.parseInline(tokens)}</h${level}>`;
    },
    code: ({ text, lang }) =>
      `<pre><code title="${escape((lang ?? "").split(/\s/)[0].slice(0, 20))}">${escape(text)}</code></pre>`,
  },
});

const RULES = {
  ALLOWED_TAGS: "p br strong em del code pre ul ol li blockquote h3 h4 h5 h6 hr a table thead tbody tr th td".split(
    " ",
  ),
  ALLOWED_ATTR: ["href", "title", "start", "align"],
  ALLOWED_URI_REGEXP: /^(?:https?|mailto):/i,
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
  RETURN_DOM_FRAGMENT: true,
};

/** Nodes for a text that the agent wrote. */
export function render(text) {
  const fragment = DOMPurify.sanitize(marked.parse(text), RULES);
  for (const link of fragment.querySelectorAll("a")) {
    if (link.hasAttribute("href")) {
      link.target = "_blank";
      link.rel = "noopener noreferrer";
    } else link.replaceWith(...link.childNodes);
  }
  for (const pre of fragment.querySelectorAll("pre")) pre.replaceWith(codeBlock(pre));
  for (const table of fragment.querySelectorAll("table")) {
    const scroll = h("div", { class: "scroll" });
    table.replaceWith(scroll);
    scroll.append(table);
  }
  return fragment;
}

function codeBlock(pre) {
  const code = pre.querySelector("code") ?? pre;
  const language = code.getAttribute("title") || "text";
  code.removeAttribute("title");
  const button = h("button", { type: "button", class: "btn quiet push" }, icon("copy"), "Copy");
  button.addEventListener("click", () => copy(code.textContent.replace(/\n$/, "")));
  const block = h("div", { class: "code" }, h("div", { class: "row" }, language, button));
  pre.tabIndex = 0; // wide code scrolls, and must do so by keyboard too
  block.append(pre.cloneNode(false));
  block.lastChild.append(...pre.childNodes);
  return block;
}
