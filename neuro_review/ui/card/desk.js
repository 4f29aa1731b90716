// The desk in the browser: a window of leased items, and an outbox that is sent again until the server has answered.

const WINDOW = 10, LOW = 6, BEAT = 25000, LOOK = 3000, IDLE = 5 * 60000, IDLE_TYPING = 30 * 60000, DRAFT_PAUSE = 1000;
const TIMEOUT = 20000, FIRST_WAIT = 500, LONGEST_WAIT = 8000, MOST_OPS = 20, RECENT = 10;

const fresh = () => crypto.getRandomValues(new Uint32Array(4)).reduce((all, one) => all + one.toString(36), "k");

class Desk {
  constructor(changed) {
    this.changed = changed;
    this.cards = new Map();       // by item, each with its lease
    this.order = [];              // items to be decided, the one on screen first
    this.outbox = [];             // what the server has not answered yet, in order
    this.done = [];               // decided lately, the latest first
    this.notes = [];              // what must be told, until it is put away
    this.chosen = new Map();      // reasons, by item
    this.texts = new Map();       // what was typed, by item
    this.undoing = new Map();     // what is being undone, by op
    this.correcting = null;
    this.counts = null;
    this.today = 0;
    this.workflows = [];
    this.workflow = null;
    this.line = "ok";             // ok, offline, signed_out
    this.away = false;
    this.empty = false;           // the server had nothing more
    this.loaded = false;
    this.touchedAt = this.beatAt = performance.now();
    this.acted = true;
    this.sending = false;
    this.wait = FIRST_WAIT;
    this.person = null;
    this.welcomed = false;        // the server has said who sits here
    this.most = MOST_OPS;
    this.interrupted = false;     // an item went from under typing hands
    this.kept = this.restore();
  }

  get item() { return this.order.length ? this.cards.get(this.order[0]) : null; }

  // ---- what survives a reload of this tab: what was typed and not yet answered, never what a model wrote

  restore() {
    try { return JSON.parse(sessionStorage.getItem("nr-desk")) ?? {}; } catch { return {}; }
  }

  keep() {
    if (!this.welcomed) return;   // what was kept is not taken up yet: nothing may be written over it
    const current = this.item;
    const kept = {
      person: this.person, workflow: this.workflow, outbox: this.outbox,
      texts: [...this.texts], correcting: this.correcting,
      current: current ? [current.item, current.lease] : null,
    };
    try { sessionStorage.setItem("nr-desk", JSON.stringify(kept)); } catch { /* full: the server has the draft */ }
  }

  // ---- what a reviewer does

  touch() {
    this.touchedAt = performance.now();
    this.acted = true;
  }

  act(kind, card, more = {}) {
    this.outbox.push({id: `${card.item.slice(0, 12)}-${card.lease}-${fresh()}`, kind, item: card.item,
      lease: card.lease, ...more});
  }

  decide(verdict, looked, text = null) {
    const card = this.item;
    const reasons = verdict === "approve" ? [] : [...(this.chosen.get(card.item) ?? [])];
    this.act("decide", card, {verdict, text, reasons, given: card.given, looked: Math.round(looked)});
    const op = this.outbox[this.outbox.length - 1];
    this.done.unshift({item: card.item, verdict, begins: card.begins ?? "", at: Date.now(), op: op.id, card, undoUntil: null});
    this.done.length = Math.min(this.done.length, RECENT);
    this.today += 1;
    this.drop(card);
    this.soon();
  }

  skip() {
    const card = this.item;
    this.act("skip", card);
    this.drop(card, true);
    this.soon();
  }

  escalate() {
    const card = this.item;
    this.act("escalate", card);
    this.drop(card, true);
    this.soon();
  }

  // It is kept already; the next item is painted before the line is asked to do anything.
  soon() {
    requestAnimationFrame(() => setTimeout(() => this.send()));
    setTimeout(() => this.send(), 100);   // a page out of sight paints nothing
  }

  undo() {
    const last = this.done.find((one) => this.undoable(one));
    if (!last) return false;
    this.undoOne(last);
    return true;
  }

  undoable(one) {
    return one.undoUntil === null ? one.op !== undefined : one.undoUntil > Date.now();
  }

  undoOne(one) {
    this.done = this.done.filter((other) => other !== one);
    this.today = Math.max(0, this.today - 1);
    const unsent = this.outbox.findIndex((op) => op.id === one.op);
    if (unsent >= 0 && !this.outbox[unsent].sent) {
      const [op] = this.outbox.splice(unsent, 1);   // nobody has heard of it yet
      if (op.text != null) this.texts.set(one.item, op.text);
      this.lay(one.card);
    } else {
      this.act("undo", one.card ?? {item: one.item, lease: 0});
      this.undoing.set(this.outbox[this.outbox.length - 1].id, one);
    }
    this.send();
  }

  // On top; but an item that is being corrected stays where the hands are.
  lay(card) {
    this.cards.set(card.item, card);
    const others = this.order.filter((item) => item !== card.item);
    if (this.counts) this.counts.held += 1;
    const top = this.correcting && others[0] === this.correcting ? others.splice(0, 1) : [];
    this.order = [...top, card.item, ...others];
    this.changed();
  }

  drop(card, stays = false) {
    this.order = this.order.filter((item) => item !== card.item);
    this.cards.delete(card.item);
    this.chosen.delete(card.item);
    this.texts.delete(card.item);
    if (this.counts && !stays) this.counts.held = Math.max(0, this.counts.held - 1);
    this.correcting = null;
    this.touch();
    this.changed();
    this.keep();
  }

  typed(text) {
    const card = this.item;
    this.texts.set(card.item, text);
    this.touch();
    this.keep();
    clearTimeout(this.pause);
    this.pause = setTimeout(() => this.saveDraft(card), DRAFT_PAUSE);
  }

  saveDraft(card) {
    clearTimeout(this.pause);
    const text = this.texts.get(card.item);
    if (text === undefined || text === card.saved) return;
    card.saved = text;
    this.outbox = this.outbox.filter((op) => op.sent || op.kind !== "draft" || op.item !== card.item);
    this.act("draft", card, {text});
    this.send();
  }

  choose(workflow) {
    this.giveBack(this.order);
    this.workflow = workflow;
    this.empty = this.loaded = false;
    this.counts = null;
    this.changed();
    this.send({hello: true});
  }

  giveBack(items) {
    for (const item of items) {
      const card = this.cards.get(item);
      this.act("give_back", card);
      this.cards.delete(item);
    }
    this.order = this.order.filter((item) => this.cards.has(item));
    if (this.correcting && !this.cards.has(this.correcting)) this.correcting = null;
  }

  goOn() {
    this.away = this.empty = false;
    this.touch();
    this.changed();
    this.send({hello: true});
  }

  note(note) {
    this.notes = [...this.notes.filter((one) => one.says !== note.says || one.text !== note.text), {...note, at: Date.now()}].slice(-4);
  }

  // ---- the line to the server

  tick() {
    const now = performance.now();
    const silence = now - this.touchedAt;
    if (!this.away && this.order.length && silence > (this.correcting ? IDLE_TYPING : IDLE)) {
      if (this.correcting) this.saveDraft(this.item);
      this.giveBack([...this.order]);
      this.away = true;
      this.changed();
      this.send();
    } else if (now - this.beatAt > (this.looksOut(silence) ? LOOK : BEAT)) this.send({beat: true});
  }

  // Somebody who sits before an empty queue is why a caller waits only seconds for a verdict.
  looksOut(silence) {
    return this.line === "ok" && !this.order.length && !this.away && silence <= IDLE && !document.hidden;
  }

  asked({hello = false, beat = false} = {}) {
    const ops = this.outbox.slice(0, this.most);
    const short = this.order.length < LOW && !this.empty;
    const want = this.away || !(hello || short || (beat && this.order.length < LOW)) ? 0 : WINDOW - this.order.length;
    const resume = !this.welcomed && this.kept.current ? [this.kept.current] : [];
    if (!ops.length && !want && !hello && !beat) return null;
    return {
      person: this.person, ops: ops.map(({sent, ...op}) => op), want, workflow: this.workflow, here: this.acted, resume,
      renew: beat || hello ? this.order.map((item) => [item, this.cards.get(item).lease]) : null,
      count: hello || beat,
    };
  }

  async send(why = {}) {
    if (why.hello) this.helloNext = true;
    if (why.beat) this.beatNext = true;
    if (this.sending || this.line === "signed_out" && !this.helloNext) return;
    clearTimeout(this.again);
    const ask = this.asked({hello: this.helloNext || !this.loaded, beat: this.beatNext});
    if (!ask) return;
    this.sending = true;
    const asked = {hello: this.helloNext, beat: this.beatNext, want: ask.want, acted: this.acted,
      renewed: new Map(ask.renew ?? [])};
    this.helloNext = this.beatNext = this.acted = false;
    for (const op of this.outbox.slice(0, this.most)) op.sent = true;
    this.keep();
    let heard = false;
    try {
      const answer = await fetch("/desk/sync", {
        method: "POST", headers: {"content-type": "application/json"}, body: JSON.stringify(ask),
        signal: AbortSignal.timeout(TIMEOUT), credentials: "same-origin",
      });
      heard = await this.hear(answer, asked);
    } catch {
      this.lost();
    }
    this.sending = false;
    if (!heard) {
      Object.assign(this, {helloNext: this.helloNext || asked.hello, beatNext: this.beatNext || asked.beat});
      this.acted ||= asked.acted;
      if (this.line === "offline") this.again = setTimeout(() => this.send(), this.wait = Math.min(2 * this.wait, LONGEST_WAIT));
    } else this.send();
  }

  lost() {
    this.line = "offline";
    this.changed();
  }

  async hear(answer, asked) {
    if (answer.status === 401) {
      this.line = "signed_out";
      this.changed();
      return false;
    }
    if (answer.status === 409) {
      location.reload();   // somebody else has signed in here: nothing of this desk is theirs
      return false;
    }
    if (answer.status === 422 || answer.status === 413) return this.refused((await answer.json()).error.message);
    if (!answer.ok) {
      this.lost();
      return false;
    }
    this.take(await answer.json(), asked);
    return true;
  }

  // The page is of another version than the server, or one of these is too long: find it, tell of it and go on.
  refused(says) {
    const alone = this.outbox.slice(0, this.most).length <= 1;
    this.most = 1;
    if (!alone) return true;
    const [op] = this.outbox;
    if (op) this.acknowledged({id: op.id, ok: false, says}); else this.note({says});
    this.changed();
    return this.loaded && op !== undefined;
  }

  take(said, asked) {
    const before = this.order[0];
    if (!this.welcomed) this.welcome(said);
    this.person = said.person;
    this.most = MOST_OPS;
    this.line = "ok";
    this.wait = FIRST_WAIT;
    for (const ack of said.acks) this.acknowledged(ack);
    if (said.kept) this.dropLost(new Set(said.kept), asked.renewed);
    for (const card of said.cards) {
      card.saved = card.draft ?? undefined;
      if (!this.cards.has(card.item)) this.order.push(card.item);
      this.cards.set(card.item, {...card, begins: beginning(card)});
    }
    if (asked.want) this.empty = said.cards.length === 0;
    if (said.counts) this.counted(said);
    if (asked.hello || asked.beat || said.kept) this.beatAt = performance.now();
    if (!this.welcomed) this.goOnWhereOneWas();
    this.loaded = this.welcomed = true;
    this.kept = {};
    this.keep();
    this.changed(before === this.order[0]);
  }

  welcome(said) {
    if (this.kept.person !== said.person) { this.kept = {}; return; }   // somebody else has signed in here
    const known = new Set(this.outbox.map((op) => op.id));
    this.outbox.unshift(...(this.kept.outbox ?? []).filter((op) => !known.has(op.id)));
    this.texts = new Map(this.kept.texts ?? []);
  }

  goOnWhereOneWas() {
    const [item] = this.kept.current ?? [];
    if (item && this.cards.has(item)) this.order = [item, ...this.order.filter((one) => one !== item)];
    if (this.kept.correcting && this.kept.correcting === this.order[0]) this.correcting = this.order[0];
    for (const item of this.texts.keys()) {
      const waits = this.outbox.some((op) => op.item === item);
      if (!this.cards.has(item) && !waits && this.texts.get(item))
        this.note({says: "The item you were correcting is no longer in your hands. What you typed is kept here:", text: this.texts.get(item)});
      if (!this.cards.has(item)) this.texts.delete(item);
    }
  }

  counted(said) {
    const under = this.outbox.filter((op) => op.kind === "decide").length;
    this.counts = {...said.counts, held: Math.max(0, said.counts.held - under)};
    this.today = said.today + under;
    this.workflows = said.workflows;
    this.workflow = said.workflow;
    if (!this.done.length)
      this.done = said.recent.map((one) => ({...one, at: Date.now() - one.ago, undoUntil: Date.now() + one.undo}));
  }

  acknowledged(ack) {
    const op = this.outbox.find((one) => one.id === ack.id);
    this.outbox = this.outbox.filter((one) => one !== op);
    if (!op) return;
    const entry = this.done.find((one) => one.op === op.id);
    const undone = this.undoing.get(op.id);
    this.undoing.delete(op.id);
    if (ack.ok) {
      if (op.kind === "decide" && entry) {
        entry.undoUntil = Date.now() + ack.undo;
        if (op.verdict !== ack.verdict) this.note({says: "The correction equals the output, so it was approved.", passing: true});
        entry.verdict = ack.verdict;
      }
      if (op.kind === "undo") {
        this.lay({...ack.card, begins: beginning(ack.card), saved: ack.card.draft ?? undefined});
        if (ack.card.draft) this.note({says: "Undone. Your correction is a draft again: E shows it.", passing: true});
      }
      return;
    }
    if (op.kind === "give_back" || undone?.refused) return;
    if (op.kind === "draft" && this.cards.has(op.item)) this.cards.get(op.item).saved = undefined;
    if (undone) {
      this.done = [{...undone, undoUntil: 0}, ...this.done].slice(0, RECENT);
      this.today += 1;
    }
    const takenBack = [...this.undoing.values()].find((one) => one.op === op.id);
    if (takenBack) takenBack.refused = true;   // its undo finds nothing to undo, and counts nothing
    if (op.kind === "decide") {
      this.done = this.done.filter((one) => one !== entry);
      if (!takenBack) this.today = Math.max(0, this.today - 1);
      this.empty = false;   // it may come back
    }
    const says = op.text ? `${ack.says} What you typed is kept here:` : ack.says;
    this.note({says, text: op.text ?? null, about: (entry ?? takenBack ?? undone)?.begins});
  }

  // Only what was asked about: what came into these hands meanwhile is in them.
  dropLost(kept, renewed) {
    const [top] = this.order;
    for (const [item, lease] of renewed) {
      const card = this.cards.get(item);
      if (kept.has(item) || card?.lease !== lease) continue;
      if (item === top) {
        const text = this.texts.get(item);
        this.note({says: text === undefined ? "Your time with the item before ran out, so the next one came."
          : "Your time with this item ran out. What you typed is kept as a draft, and here:", text});
        if (text !== undefined) this.saveDraft(card);
      }
      this.cards.delete(item);
      this.order = this.order.filter((one) => one !== item);
      if (this.correcting === item) {
        this.correcting = null;
        this.interrupted = true;
      }
    }
  }

  // A tab that closes gives back what nobody looked at; what was on screen stays for a reload.
  leave(everything) {
    const [current, ...others] = this.order;
    const typing = current && this.texts.get(current);
    if (typing !== undefined && current && typing !== this.cards.get(current).saved)
      this.act("draft", this.cards.get(current), {text: typing});
    this.keep();
    const back = (everything ? this.order : others).map((item) => this.cards.get(item));
    const ops = [...this.outbox, ...back.map((card) => ({id: `back-${fresh()}`, kind: "give_back", item: card.item, lease: card.lease}))];
    if (!ops.length || this.line === "signed_out") return;
    const body = JSON.stringify({person: this.person, ops: ops.slice(0, 50).map(({sent, ...op}) => op)});
    fetch("/desk/sync", {method: "POST", headers: {"content-type": "application/json"}, body, keepalive: body.length < 60000})
      .catch(() => {});
  }
}

const beginning = (card) => {
  const asked = card.turns.filter((turn) => turn.role === "user" && turn.text).at(-1);
  return (asked?.text ?? card.output).slice(0, 320).split(/\s+/).join(" ").slice(0, 80);
};
