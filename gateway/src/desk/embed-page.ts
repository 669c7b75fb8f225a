// The context card: a page without a framework, of three files that never change. What it shows is text alone
// (`textContent`), so that nothing of a conversation can become markup.

const HTML = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Call</title>
<link rel="stylesheet" href="/embed/card.css">
<script src="/embed/card.js" defer></script>
</head>
<body>
<main>
<p id="state" role="status">Loading…</p>
<h1 id="summary" hidden></h1>
<p id="reason" hidden></p>
<dl id="facts" hidden></dl>
<section id="said" aria-label="What was said" hidden><h2>What was said</h2><ol id="turns"></ol></section>
<section id="written" aria-label="Notes" hidden><h2>Notes</h2><ul id="notes"></ul></section>
</main>
</body>
</html>
`;

const CSS = `:root { color-scheme: light dark; --text: #1a1d21; --soft: #555d66; --back: #fff; --line: #d5dae0; --mark: #0b57a4; }
@media (prefers-color-scheme: dark) { :root { --text: #e8eaed; --soft: #a7afb8; --back: #16191d; --line: #363c43; --mark: #8ab8f0; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--text); font: 15px/1.45 system-ui, sans-serif; }
main { padding: 12px 16px; max-width: 60rem; overflow-wrap: anywhere; }
h1 { font-size: 1.3rem; line-height: 1.3; margin: 0 0 .5rem; }
h2 { font-size: 1rem; margin: 1rem 0 .25rem; }
#state, dt, .who { color: var(--soft); }
#state { margin: 0 0 .5rem; font-size: .85rem; }
#reason { color: var(--mark); margin: 0 0 .75rem; font-weight: 600; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; margin: 0; }
dd { margin: 0; }
ol, ul { list-style: none; margin: 0; padding: 0; }
li { padding: .3rem 0; border-top: 1px solid var(--line); }
.who { font-size: .85rem; margin-right: .5rem; }
.unheard { text-decoration: line-through; color: var(--soft); }
`;

const SCRIPT = `"use strict";
const callId = decodeURIComponent(location.pathname.split("/").pop());
const token = new URLSearchParams(location.hash.slice(1)).get("t");
// The link is used up with the first look; what is left of it in the address is of no use, and goes.
history.replaceState(null, "", location.pathname);
const $ = (id) => document.getElementById(id);
const say = (text) => { $("state").textContent = text; };
const make = (name, text, className) => {
  const node = document.createElement(name);
  node.textContent = text;
  if (className) node.className = className;
  return node;
};
const words = (name, prefix) => name.replace(prefix, "").toLowerCase().replaceAll("_", " ");

const post = (path, body) => fetch(path, {
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify(body),
  credentials: "omit",
});

function show(context) {
  const { summary = "", escalationReason, status = "", turns = [], notes = [], data = {}, outcome } = context;
  $("summary").textContent = summary || "No summary yet";
  $("reason").textContent = escalationReason ? words(escalationReason, "ESCALATION_REASON_") : "";
  $("reason").hidden = !escalationReason;
  const facts = [
    ["Caller", context.caller || "withheld"], ["Called", context.callee], ["Status", words(status, "CONTEXT_STATUS_")],
    ["Language", context.locale], ["Outcome", outcome],
    ...Object.entries(data).map(([name, value]) => [name, typeof value === "string" ? value : JSON.stringify(value)]),
  ].filter(([, value]) => value);
  $("facts").replaceChildren(...facts.flatMap(([name, value]) => [make("dt", name), make("dd", value)]));
  $("turns").replaceChildren(...turns.map((turn) => {
    const line = make("li", "");
    line.append(make("span", words(turn.role ?? "", "TURN_ROLE_"), "who"));
    const heard = turn.interrupted ? turn.heard ?? "" : turn.text ?? "";
    line.append(make("span", heard));
    const rest = turn.interrupted ? (turn.text ?? "").slice(heard.length) : "";
    if (rest) line.append(make("span", rest, "unheard"));
    return line;
  }));
  $("notes").replaceChildren(...notes.map((note) => {
    const line = make("li", "");
    line.append(make("span", note.author ?? "", "who"), make("span", note.text ?? ""));
    return line;
  }));
  $("summary").hidden = $("facts").hidden = false;
  $("said").hidden = turns.length === 0;
  $("written").hidden = notes.length === 0;
}

async function follow(session) {
  for (;;) {
    try {
      const response = await post("/embed/updates", { session });
      if (response.status === 401) return say("This card has ended. Open it again from your desk.");
      if (response.ok) {
        say("Live");
        const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
        let text = "";
        for (;;) {
          const { done, value } = await reader.read();
          if (done) break;
          const lines = (text + value).split("\\n");
          text = lines.pop();
          for (const line of lines) if (line) show(JSON.parse(line));
        }
      }
    } catch { /* Away: said below, and tried again. */ }
    say("Reconnecting…");
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}

async function start() {
  if (!token) return say("This link has no token. Open it again from your desk.");
  const response = await post("/embed/exchange", { call_id: callId, token }).catch(() => undefined);
  if (!response) return say("The gateway cannot be reached. Open it again from your desk.");
  if (!response.ok) return say("This link was used or is too old. Open it again from your desk.");
  const { session } = await response.json();
  await follow(session);
}
void start();
`;

/** The files of the card by their path. */
export const CARD_FILES: ReadonlyMap<string, { readonly type: string; readonly text: string }> = new Map([
  ["/embed/card.css", { type: "text/css; charset=utf-8", text: CSS }],
  ["/embed/card.js", { type: "text/javascript; charset=utf-8", text: SCRIPT }],
]);

/** The page itself; the same for every call. */
export const CARD_PAGE = HTML;
