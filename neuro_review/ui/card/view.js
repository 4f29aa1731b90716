// What is on screen. Each part is drawn anew only when what it shows has changed.

const ROLES = new Map(Object.entries({user: "Customer", system: "Instructions", assistant: "Earlier answer", tool: "Tool"}));
const MARKS = {approve: "✓", correct: "✎", reject: "✕"};
const SAID = {approve: "Approved", correct: "Corrected", reject: "Rejected"};
const EARLIER = 4, PASSING = 6000;
const UNITS = [[86400000, "d"], [3600000, "h"], [60000, "min"], [1000, "s"]];
const span = (ms) => {
  for (const [size, unit] of UNITS) if (ms >= size) return `${Math.floor(ms / size)} ${unit}`;
  return "0 s";
};
const ago = (at) => span(Math.max(0, Date.now() - at));
const money = (usd) => `$${usd.toFixed(usd >= 1 ? 2 : usd >= 0.0001 ? 4 : 6)}`;
const seconds = (ms) => ms < 1000 ? `${ms} ms` : `${(ms / 1000).toFixed(1)} s`;
const clock = (at) => new Date(at).toLocaleString([], {dateStyle: "short", timeStyle: "short"});

const key = (name) => el("kbd", {"aria-hidden": "true"}, name);
const button = (name, label, on, props = {}) =>
  el("button", {type: "button", onclick: on, "aria-keyshortcuts": name, ...props}, name && key(props.shown ?? name), el("span", {}, label));

class View {
  constructor(root, desk, keys) {
    Object.assign(this, {root, desk, keys, asTree: new Map(), paintedAt: Infinity, painted: null});
    this.top = el("div", {class: "top"});
    this.notes = el("div", {class: "notes", role: "alert"});
    this.conversation = el("section", {class: "box conversation", "aria-label": "Conversation"});
    this.answer = el("section", {class: "box answer", "aria-label": "Answer", tabindex: "-1"});
    this.diff = el("section", {class: "box diff", "aria-label": "What changes", hidden: true});
    this.middle = el("div", {class: "middle"}, this.conversation, this.answer, this.diff);
    this.beside = el("section", {class: "box beside", "aria-label": "Reasons and rubric"});
    this.done = el("section", {class: "box done", "aria-label": "Last decided"});
    this.side = el("div", {class: "side"}, this.beside, this.done);
    this.empty = el("section", {class: "box empty", hidden: true, "aria-label": "Nothing to review"});
    this.buttons = el("div", {class: "buttons", role: "toolbar", "aria-label": "Verdict"});
    this.state = el("div", {class: "state"});
    this.live = el("div", {class: "hidden", role: "status", "aria-live": "polite"});
    this.help = this.helpDialog();
    this.foot = el("div", {class: "foot"}, this.notes, el("div", {class: "bar"}, this.buttons, this.state));
    root.append(
      el("h1", {class: "hidden"}, "Review"), this.top, this.empty, el("div", {class: "columns"}, this.middle, this.side),
      this.foot, this.live, this.help,
    );
  }

  // A key counts only for an item that has been in sight for a moment.
  draw() {
    const card = this.desk.item;
    const shown = card ? `${card.item}:${card.lease}` : null;
    const another = shown !== this.shown;
    const scrolled = another && card && this.scroller().scrollTop > 0;   // asked before anything moves, when it is free
    this.root.classList.toggle("idle", !card);
    if (another) this.drawItem(card, shown);
    if (card) this.drawAnswer(card);
    this.drawEmpty(card);
    this.drawBar(card);
    if (scrolled) this.scroller().scrollTo(0, 0);
    if (!another || !card) this.drawRest();   // else in the frame after: the next item must not wait for it
  }

  drawRest() {
    this.drawTop();
    this.drawReasons(this.desk.item);
    this.drawDone();
    this.drawNotes();
    this.drawState();
  }

  scroller() { return document.querySelector('[data-testid="stMain"]') ?? document.documentElement; }

  drawItem(card, shown) {
    this.shown = shown;
    this.paintedAt = Infinity;
    this.painted = null;
    this.answering = null;
    if (!card) return;
    fill(this.conversation, ...this.turns(card));
    requestAnimationFrame(() => {
      const channel = new MessageChannel();   // after the frame has been painted
      channel.port1.onmessage = () => {
        if (this.shown !== shown) return;
        this.paintedAt = performance.now();
        this.painted = shown;
        this.root.dataset.painted = shown;
        this.drawRest();
      };
      channel.port2.postMessage(null);
    });
  }

  turns(card) {
    const shown = card.turns.map((turn) => el("div", {class: "turn"},
      el("h2", {class: "label"}, ...marked(ROLES.get(turn.role) ?? turn.role.slice(0, 40))),
      turn.text !== null && turn.text !== undefined ? folded(turn.text) : null, turn.data ? tree(turn.data) : null));
    const inside = shown.length ? [...shown] : [el("div", {class: "quiet"}, "No prompt was submitted.")];
    if (shown.length > EARLIER) {
      const earlier = inside.splice(0, inside.length - 2);
      inside.unshift(el("details", {class: "fold"}, el("summary", {},
        el("span", {class: "link"}, `${earlier.length} earlier messages`)), ...earlier));
    }
    if (card.context) {
      const context = parsed(card.context);
      inside.push(el("details", {class: "fold"}, el("summary", {},
        el("span", {class: "link"}, `Context the model was given (${count(card.context.length)} characters)`)),
      context === undefined ? folded(card.context) : tree(context)));
    }
    return inside;
  }

  views(card) {
    if (card.views) return card.views;
    const value = parsed(card.output);
    card.views = value === undefined ? ["plain", "rendered"] : exact(card.output, value) ? ["tree", "plain"] : ["plain", "tree"];
    return card.views;
  }

  drawAnswer(card) {
    const correcting = this.desk.correcting === card.item;
    const views = this.views(card);
    const view = this.asTree.get(views.join()) ?? views[0];
    const wanted = `${this.shown} ${correcting} ${view}`;
    if (this.answering === wanted) return;
    this.answering = wanted;
    const facts = ["Answer", card.model.slice(0, 80), card.latency === null ? null : seconds(card.latency),
      card.cost === null ? null : money(card.cost)].filter(Boolean);
    const choice = el("button", {type: "button", class: "view", onclick: () => this.turnView(views, view),
      "aria-label": `Shown ${view}; show ${views.find((one) => one !== view)}`}, `${view} ▾`);
    const head = el("div", {class: "head"}, el("h2", {class: "label"}, ...marked(facts.join(" · "))), correcting ? null : choice);
    this.diff.hidden = !correcting;
    if (correcting) this.drawField(card, head);
    else fill(this.answer, head, this.shownAs(card, view));
  }

  shownAs(card, view) {
    if (view === "tree") return tree(parsed(card.output));
    if (view === "plain") return plain(card.output);
    const box = el("div", {class: "rendered"}, el("div", {class: "quiet"}, "…"));
    fetch("/desk/rendered", {method: "POST", headers: {"content-type": "application/json"}, body: JSON.stringify({text: card.output})})
      .then((answer) => answer.ok ? answer.json() : Promise.reject(answer))
      .then((made) => box.replaceChildren(grown(made)))
      .catch(() => box.replaceChildren(el("div", {class: "quiet"}, "It cannot be rendered now; this is the plain text."), plain(card.output)));
    return box;
  }

  turnView(views, view) {
    this.asTree.set(views.join(), views[(views.indexOf(view) + 1) % views.length]);
    this.draw();
  }

  drawField(card, head) {
    const text = this.desk.texts.get(card.item) ?? card.draft ?? card.output;
    this.field = el("textarea", {"aria-label": "Corrected answer", spellcheck: "true", oninput: () => this.typed(card)});
    this.field.value = text;
    fill(this.answer, head, this.field);
    this.fit();
    this.field.focus();
    this.field.setSelectionRange(text.length, text.length);
    this.drawDiff(card);
  }

  fit() {
    this.field.style.height = "auto";
    this.field.style.height = `${Math.min(innerHeight * 0.55, this.field.scrollHeight + 4)}px`;
  }

  typed(card) {
    this.invalid = false;
    this.desk.typed(this.field.value);
    this.fit();
    cancelAnimationFrame(this.diffing);
    this.diffing = requestAnimationFrame(() => this.drawDiff(card));
    this.drawState();
  }

  drawDiff(card) {
    const text = this.field.value;
    const broken = parsed(card.output) !== undefined && parsed(text) === undefined;
    fill(this.diff, el("h2", {class: "label"}, "What changes"),
      broken ? el("div", {class: "bad"}, `This is no valid JSON: ${whyNot(text)}`) : null,
      el("div", {class: "plain"}, ...shownChanges(card.output, text)));
  }

  drawTop() {
    const {counts, workflows, workflow} = this.desk;
    const wanted = JSON.stringify([counts, workflows, workflow, this.desk.today]);
    if (wanted === this.topped) return;
    this.topped = wanted;
    const chosen = this.top.contains(this.focused());
    const select = el("select", {"aria-label": "Workflow", onchange: () => this.desk.choose(Number(select.value) || null)},
      el("option", {value: "0"}, "All my workflows"),
      ...workflows.map(([id, name]) => el("option", {value: id, selected: id === workflow}, name)));
    fill(this.top, ...(this.desk.loaded ? [
      select, counts && el("span", {class: "held"}, `${count(counts.held)} held`),
      counts?.due ? el("span", {class: "badge"}, `${count(counts.due)} due within the hour`) : null,
      counts?.oldest && counts.held ? el("span", {class: "quiet"}, `oldest ${ago(counts.oldest)}`) : null,
      el("span", {class: "quiet right"}, `${count(this.desk.today)} ${this.desk.today === 1 ? "verdict" : "verdicts"} today`),
    ] : [el("span", {class: "quiet"}, "Loading…")]).filter(Boolean));
    if (chosen) select.focus();
  }

  drawReasons(card) {
    const chosen = card ? this.desk.chosen.get(card.item) ?? new Set() : new Set();
    const wanted = card ? `${this.shown} ${[...chosen].join("\n")}` : "";
    if (wanted === this.reasoned) return;
    this.reasoned = wanted;
    const pressed = [...this.beside.querySelectorAll(".reason")].indexOf(this.focused());
    if (!card) return fill(this.beside);
    fill(this.beside,
      el("h2", {class: "label"}, "Why now"), el("div", {}, card.why + (card.sample ? " · sample" : "")),
      card.due ? el("div", {class: card.due < Date.now() ? "bad" : "due", title: clock(card.due)},
        card.due > Date.now() ? `Due in ${span(card.due - Date.now())}` : `${span(Date.now() - card.due)} overdue`) : null,
      el("div", {class: "quiet", title: clock(card.created)}, ...marked(card.workflow), ` · waiting ${ago(card.created)}`),
      el("h2", {class: "label"}, "Reasons (press the number)"),
      ...card.reasons.map((reason, place) => el("button", {type: "button", class: "reason", "aria-pressed": String(chosen.has(reason)),
        "aria-keyshortcuts": place < 9 ? String(place + 1) : false, onclick: () => this.keys.reason(place)},
      place < 9 ? key(String(place + 1)) : null, el("span", {}, ...marked(reason)))),
      ...(card.rubric ? [el("h2", {class: "label"}, `Rubric v${card.rubric_version}`), folded(card.rubric)] : []));
    this.beside.querySelectorAll(".reason")[pressed]?.focus();
  }

  // On a narrow screen they come after the answer, out of sight.
  showReasons() {
    const first = this.beside.querySelector(".reason"), last = [...this.beside.querySelectorAll(".reason")].at(-1);
    if (last?.getBoundingClientRect().bottom > this.foot.getBoundingClientRect().top || first?.getBoundingClientRect().bottom < 0)
      first.scrollIntoView({block: "center"});
  }

  focused() { return this.root.getRootNode().activeElement; }

  drawDone() {
    const wanted = JSON.stringify(this.desk.done.map((one) => [one.item, one.verdict, this.desk.undoable(one)
      ? Math.ceil(((one.undoUntil ?? Date.now()) - Date.now()) / 1000) : 0, ago(one.at)]));
    if (wanted === this.decided) return;
    this.decided = wanted;
    const focused = this.done.contains(this.focused()) && this.focused().dataset.item;
    this.done.hidden = !this.desk.done.length;
    fill(this.done, el("h2", {class: "label"}, "Last decided"), ...this.desk.done.map((one) => this.entry(one)));
    if (focused) this.done.querySelector(`[data-item="${focused}"]`)?.focus();
  }

  entry(one) {
    const words = [el("span", {class: one.verdict, title: SAID[one.verdict]}, MARKS[one.verdict]),
      el("span", {class: "hidden"}, `${SAID[one.verdict]}: `), el("span", {class: "begins"}, ...marked(one.begins))];
    const left = one.undoUntil === null ? null : Math.ceil((one.undoUntil - Date.now()) / 1000);
    if (this.desk.undoable(one))
      return el("button", {type: "button", class: "entry", "data-item": one.item, onclick: () => this.keys.undoOne(one)}, ...words,
        el("span", {class: "link"}, left === null ? "undo" : `undo (${left} s left)`));
    return el("a", {class: "entry", href: `/history?id=${one.item}`, target: "_blank", rel: "noopener", "data-item": one.item}, ...words,
      el("span", {class: "quiet"}, ago(one.at)));
  }

  drawNotes() {
    const passed = this.desk.notes.filter((note) => !note.passing || Date.now() - note.at < PASSING);
    if (passed.length < this.desk.notes.length) this.desk.notes = passed;
    if (this.noted === this.desk.notes) return;
    this.noted = this.desk.notes;
    fill(this.notes, ...this.desk.notes.map((note) => el("div", {class: note.passing ? "note" : "note warning"},
      el("div", {}, ...marked(note.about ? `“${note.about.slice(0, 40)}”: ${note.says}` : note.says)), note.text ? el("div", {class: "kept plain"}, ...marked(note.text)) : null,
      el("button", {type: "button", class: "view", "aria-label": "Put this message away", onclick: () => this.forget(note)}, "put away"))));
  }

  forget(note) {
    this.desk.notes = this.desk.notes.filter((one) => one !== note);
    this.draw();
  }

  drawEmpty(card) {
    const {away, loaded, empty, line, counts} = this.desk;
    const why = card ? null : line === "signed_out" ? "signed_out" : away ? "away" : !loaded ? (line === "ok" ? "loading" : null) : empty ? "done" : "loading";
    const wanted = `${why} ${counts?.held}`;
    if (wanted === this.emptied) return;
    this.emptied = wanted;
    this.empty.hidden = !why;
    const go = (label) => button("Enter", label, () => this.desk.goOn(), {class: "primary"});
    const shown = {
      away: ["You were away, so your items went back", "What you typed is kept as a draft.", go("Go on")],
      signed_out: ["Your session has ended", "Sign in again below to go on; what you typed is kept.", null],
      loading: ["Fetching what waits…", "", null],
      done: ["Nothing waits for you", counts?.held ? `${count(counts.held)} held: skipped by you, or in others’ hands. What you skipped comes back after a day.`
        : "New outputs appear here as applications hand them in.", go("Look again")],
    }[why];
    if (!shown) return fill(this.empty);
    const [title, text, next] = shown;
    fill(this.empty, el("h2", {}, title), el("p", {}, text), next ?? "", why === "done"
      ? el("p", {}, el("a", {href: "/home", target: "_self"}, "See what else there is to do")) : "");
  }

  drawBar(card) {
    const correcting = card && this.desk.correcting === card.item;
    const wanted = !card ? (this.desk.loaded ? "none" : "loading") : correcting ? "correcting" : "deciding";
    if (wanted !== this.barred) {
      this.barred = wanted;
      const {keys} = this;
      const undo = button("U", "Undo", () => keys.undo(), {class: "undo"});
      fill(this.buttons, ...({
        none: [undo], loading: [],
        correcting: [button("Control+Enter", "Save correction and next", (event) => keys.save(event), {class: "primary", shown: "Ctrl ⏎"}),
          button("Escape", "Cancel", () => keys.cancel(), {shown: "Esc"})],
        deciding: [button("A", "Approve", (event) => keys.approve(event), {class: "primary"}), button("E", "Correct", (event) => keys.correct(event)),
          button("X", "Reject", (event) => keys.reject(event), {class: "reject"}), button("S", "Skip", (event) => keys.skip(event)), undo,
          el("button", {type: "button", class: "quiet", onclick: (event) => keys.escalate(event)}, "Escalate")],
      }[wanted]));
    }
    this.buttons.querySelector(".undo")?.toggleAttribute("disabled", !this.desk.done.some((one) => this.desk.undoable(one)));
  }

  drawState() {
    const {line, outbox, correcting} = this.desk;
    const waiting = outbox.filter((op) => op.kind !== "give_back").length;
    const says = this.hinted ?? (line === "signed_out" ? "Your session has ended; what you typed is kept here." :
      line === "offline" ? `No connection${waiting ? `; ${count(waiting)} to be sent` : ""}. Trying again.` :
      correcting ? this.draftState() : waiting ? "saving…" : this.desk.loaded ? "saved" : "");
    const wanted = `${says} ${line}`;
    if (wanted === this.stated) return;
    this.stated = wanted;
    this.state.classList.toggle("bad", line !== "ok" || this.hinted !== undefined);
    fill(this.state, el("span", {}, says), line === "signed_out" ? el("a", {href: "/auth/sign-in?next=/review", target: "_self"}, " Sign in again") : "",
      this.desk.correcting ? "" : el("button", {type: "button", class: "view", "aria-keyshortcuts": "?", onclick: () => this.keys.help()}, key("?"), "all keys"));
  }

  draftState() {
    const typed = this.desk.texts.get(this.desk.correcting);
    const {saved} = this.desk.item;
    return typed === undefined ? "" : typed === saved && !this.desk.outbox.some((op) => op.kind === "draft") ? "draft saved" : "saving the draft…";
  }

  // What was said of the key before is over: it was mended, or another item stands here.
  calm() {
    if (this.hinted === undefined) return;
    clearTimeout(this.unhint);
    this.hinted = undefined;
    this.drawState();
  }

  // A word on what a key did or did not do; it goes by itself.
  hint(says) {
    this.hinted = says;
    this.live.textContent = says;
    clearTimeout(this.unhint);
    this.unhint = setTimeout(() => { this.hinted = undefined; this.drawState(); }, 2500);
    this.drawState();
    this.state.classList.remove("flash");
    void this.state.offsetWidth;
    this.state.classList.add("flash");
  }

  helpDialog() {
    const rows = [["A", "Approve, and the next one"], ["E", "Correct in place"], ["X", "Reject; press a reason's number first"],
      ["1 – 9", "Choose a reason"], ["S", "Skip: not offered to you for a day"], ["U", "Undo the last verdict while it has not left"],
      ["Ctrl Enter", "Save the correction, and the next one"], ["Esc", "Stop correcting; the text stays as a draft"], ["?", "These keys"]];
    return el("dialog", {"aria-label": "All keys"}, el("h2", {}, "All keys"),
      el("table", {}, el("tbody", {}, ...rows.map(([name, says]) => el("tr", {}, el("th", {scope: "row"}, el("kbd", {}, name)), el("td", {}, says))))),
      el("p", {class: "quiet"}, "A key counts once it has been clear for a moment which item it is for; held keys never count."),
      el("button", {type: "button", class: "primary", onclick: () => this.help.close()}, "Close"));
  }
}

const whyNot = (text) => { try { JSON.parse(text); return "it is no object or list"; } catch (error) { return error.message; } };
