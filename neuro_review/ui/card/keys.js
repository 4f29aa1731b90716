// One press is one verdict on what was seen: the guard between a key and the desk.

const DWELL = 200, INTERRUPTED = 2000;

class Keys {
  constructor(desk) {
    this.desk = desk;
    this.quietSince = 0;
    this.ignored = 0;
    this.held = null;   // what has the focus in here
  }

  // In sight for a moment, and since then no key that came too early.
  ready() {
    const {view} = this;
    const since = Math.max(view.paintedAt, this.quietSince);
    // Where an item went from under typing hands, what they still type is for nothing until they rest.
    const dwell = this.desk.interrupted ? INTERRUPTED : DWELL;
    if (this.desk.item && view.painted === view.shown && performance.now() - since >= dwell && document.hasFocus()) {
      this.desk.interrupted = false;
      return true;
    }
    this.tooEarly();
    return false;
  }

  tooEarly() {
    this.quietSince = performance.now();
    this.ignored += 1;
    this.view.root.dataset.ignored = this.ignored;
    this.view.hint("Ignored: that came before the item had been in sight for a moment.");
  }

  once(event) { return !(event?.detail > 1); }   // the second click of a double click

  looked() { return performance.now() - this.view.paintedAt; }

  approve(event) { this.verdict("approve", event); }

  reject(event) {
    const {item} = this.desk;
    if (item && !this.desk.correcting && !(this.desk.chosen.get(item.item)?.size)) {
      if (this.ready()) {
        this.view.hint("A rejection needs a reason: press its number, then X.");
        this.view.showReasons();
      }
      return;
    }
    this.verdict("reject", event);
  }

  verdict(verdict, event) {
    if (!this.once(event)) return this.tooEarly();
    if (this.desk.correcting || !this.ready()) return;
    const {item} = this.desk;
    this.view.calm();
    if (verdict === "approve" && this.desk.chosen.get(item.item)?.size) this.view.hint("Reasons were left out of the approval.");
    this.say(SAID[verdict]);
    this.desk.decide(verdict, this.looked());
  }

  say(word) {
    const next = this.desk.cards.get(this.desk.order[1]);
    this.view.live.textContent = next ? `${word}. Next: ${next.output.slice(0, 200)}` : `${word}.`;
  }

  correct() {
    if (this.desk.correcting || !this.ready()) return;
    this.desk.correcting = this.desk.item.item;
    this.view.invalid = false;
    this.desk.touch();
    this.desk.keep();
    this.view.draw();
  }

  save(event) {
    const {item} = this.desk;
    if (!item || this.desk.correcting !== item.item || !this.once(event)) return;
    if (this.looked() < DWELL) return this.tooEarly();
    const text = this.view.field.value;
    if (!text.trim()) return this.view.hint("A correction needs a text. To send nothing, reject the output.");
    if (parsed(item.output) !== undefined && parsed(text) === undefined && !this.view.invalid) {
      this.view.invalid = true;
      return this.view.hint("This is no valid JSON any more. Mend it, or save once more to send it as it is.");
    }
    this.view.invalid = false;
    clearTimeout(this.desk.pause);
    this.say(SAID.correct);
    this.desk.decide("correct", this.looked(), text);
    this.view.answer.focus({preventScroll: true});
  }

  cancel() {
    const {item} = this.desk;
    if (!item || this.desk.correcting !== item.item) return;
    const changed = this.desk.texts.get(item.item) !== undefined && this.desk.texts.get(item.item) !== item.output;
    if (changed) { this.desk.saveDraft(item); this.view.hint("Kept as a draft: E shows it again."); }
    this.desk.correcting = null;
    this.desk.keep();
    this.view.draw();
    this.view.answer.focus({preventScroll: true});
  }

  skip(event) {
    if (!this.once(event)) return this.tooEarly();
    if (this.desk.correcting || !this.ready()) return;
    this.say("Skipped");
    this.desk.skip();
  }

  escalate(event) {
    if (!this.once(event)) return this.tooEarly();
    if (this.desk.correcting || !this.ready()) return;
    this.say("Escalated to the owner");
    this.view.hint("Escalated: it stays held, in the owner's list.");
    this.desk.escalate();
  }

  undo() {
    if (this.desk.correcting) return;
    if (this.desk.undo()) this.view.draw();
    else this.view.hint("Nothing can be undone any more; what has left is recalled in History.");
  }

  undoOne(one) {
    if (this.desk.correcting) return this.view.hint("Save or cancel the correction first.");
    if (this.desk.undoable(one)) this.desk.undoOne(one);
    this.view.draw();
  }

  reason(place) {
    const {item} = this.desk;
    const name = item?.reasons[place];
    if (name === undefined) return;
    if (this.desk.correcting !== item.item && !this.ready()) return;
    const chosen = new Set(this.desk.chosen.get(item.item) ?? []);
    this.view.calm();
    if (!chosen.delete(name)) chosen.add(name);
    this.desk.chosen.set(item.item, chosen);
    this.desk.touch();
    this.view.draw();
  }

  help() {
    if (this.view.help.open) this.view.help.close(); else this.view.help.showModal();
  }

  // A key that is held, typed into a field, or behind a dialog is for nothing here.
  pressed(event) {
    this.desk.touch();
    const target = event.composedPath()[0];
    const ours = event.composedPath().includes(this.view.root);
    if (event.repeat) {
      if (ours && (event.key === "Enter" || event.key === " ") && target.tagName !== "TEXTAREA") event.preventDefault();
      return;
    }
    const typing = target.matches?.("input, textarea, select, [contenteditable]");
    const saving = event.key === "Enter" && (event.ctrlKey || event.metaKey);
    if (this.desk.correcting && target === this.view.field) {
      if (saving) return this.done(event, () => this.save(event));
      if (event.key === "Escape") return this.done(event, () => this.cancel());
      return;
    }
    if (typing || (event.ctrlKey || event.metaKey) && !(saving && this.desk.correcting) || event.altKey || event.isComposing) return;
    const back = this.goOnOffline();
    if (back && (event.key === "Enter" || event.key === " "))
      return this.done(event, () => this.view.hint("Ignored: a dialog was in the way. Press it again."));
    const dialog = document.querySelector('[role="dialog"], dialog[open]') || this.view.help.open;
    const help = this.view.help.open && event.key === "?";
    if (dialog && !help) return;
    // Something else took the focus, as a dialog does that came and went: who corrects goes on typing.
    const lost = this.desk.correcting && event.key.length === 1 && !target.matches?.("button, a, select, summary");
    if (lost && !help) return this.view.field.focus();
    const act = saving ? () => this.save(event) : this.acts(event);
    if (act) this.done(event, act);
  }

  acts(event) {
    const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (/^[1-9]$/.test(name)) return () => this.reason(Number(name) - 1);
    if (name === "Escape" && this.desk.correcting) return () => this.cancel();
    if (name === "Enter" && !this.desk.item && !this.focusedButton()) return () => this.view.empty.querySelector("button")?.click();
    return {
      a: () => this.approve(), e: () => this.correct(), x: () => this.reject(), s: () => this.skip(), u: () => this.undo(),
      "?": () => this.help(),
    }[name];
  }

  // Streamlit shuts the screen with a dialog while the server is away; here the work goes on, and the bar says it. What
  // the dialog took the focus from gets it back, so that Enter on a button is not lost.
  goOnOffline() {
    const open = [...document.querySelectorAll('[data-testid="stDialog"]')]
      .filter((dialog) => dialog.querySelector("h2")?.textContent === "Connection error");
    for (const dialog of open) dialog.querySelector('button[aria-label="Close"]')?.click();
    if (!open.length) return null;
    for (const later of [0, 150, 500]) setTimeout(() => this.refocus(), later);   // the dialog goes in steps
    return this.refocus();
  }

  refocus() {
    const {held, view: {root}} = this, now = document.activeElement;
    const isLost = now === document.body || now?.closest('[data-testid="stDialog"]');
    if (!held?.isConnected || !isLost || root.contains(root.getRootNode().activeElement)) return null;
    held.focus({preventScroll: true});
    return held;
  }

  focused(event) {
    const [target] = event.composedPath();
    if (this.view.root.contains(target)) this.held = target;
    else if (!target.closest?.('[data-testid="stDialog"]')) this.held = null;
  }

  focusedButton() { return this.view.root.getRootNode().activeElement?.matches("button, a"); }

  done(event, act) {
    event.preventDefault();
    event.stopImmediatePropagation();
    act();
  }
}

const TICK = 1000;

// Streamlit calls this again with each run of the page, and the function it returns when the page is left.
export default function ({parentElement, data}) {
  const root = parentElement.querySelector(".desk");
  if (!root || root.desk) return root?.leave;
  let view = null;
  const desk = new Desk(() => view?.draw());
  if (data?.workflow) desk.workflow = data.workflow; else desk.workflow = desk.kept.workflow ?? null;
  const keys = new Keys(desk);
  view = keys.view = new View(root, desk, keys);
  root.desk = desk;
  const stop = new AbortController();
  const on = (name, act, where = window) => where.addEventListener(name, act, {capture: true, signal: stop.signal});
  on("keydown", (event) => keys.pressed(event));
  on("pointerdown", () => { desk.touch(); keys.held = null; });
  on("focusin", (event) => keys.focused(event));
  on("wheel", () => desk.touch());
  on("focus", () => desk.line === "signed_out" && desk.send({hello: true}));   // signed in again in another tab
  on("online", () => desk.send({beat: true}));
  on("pagehide", () => desk.leave(false));
  on("pageshow", (event) => event.persisted && desk.send({hello: true}));
  const watching = new MutationObserver(() => keys.goOnOffline());
  watching.observe(document.body, {childList: true});
  const ticking = setInterval(() => { desk.tick(); view.drawNotes(); view.drawDone(); view.drawBar(desk.item); view.drawState(); }, TICK);
  root.leave = () => {
    stop.abort();
    clearInterval(ticking);
    watching.disconnect();
    clearTimeout(desk.again);
    desk.leave(true);
    root.desk = null;
  };
  view.draw();
  desk.send({hello: true});
  return root.leave;
}
