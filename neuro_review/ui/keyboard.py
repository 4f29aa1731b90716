"""The keys of the Review screen: what the browser does so that one press is one verdict on what was seen."""

import streamlit as st

# What Streamlit's shortcuts do not do by themselves: a held key counts once; a key counts only when its item has been
# in sight for a moment and the key before it was answered; no key goes past an open dialog. What is ignored says so.
# U always counts: it waits for the answer to the key before it, and it ends with the time to undo. Where one corrects,
# the field has the focus, and what is typed is kept in each pause; Streamlit takes it up when the field seems left.
KEYS = """
const DWELL = 200, PATIENCE = 3000, PAUSE = 2500;
const ours = window.neuroReview ??= {shown: "", live: "", at: 0, sent: -PATIENCE, undoUntil: 0};
const isTyping = (event) => event.target.closest?.("input, textarea, [contenteditable]");
// The page can be painted before this component hears of it.
const isInSight = () => !ours.shown || document.querySelector(`.st-key-bar [class*="_${ours.shown}"]`);
const isPending = () => performance.now() - ours.sent < PATIENCE;

function isEarly(key) {
  const at = performance.now();
  if (!isInSight() || at - ours.at < DWELL || isPending()) return true;
  if (ours.live.includes(key)) ours.sent = at;
  return false;
}

function undo(tries) {
  const button = document.querySelector(".st-key-undo button:enabled");
  if (button) { ours.sent = performance.now(); button.click(); }
  else if (tries) setTimeout(undo, 25, tries - 1);
}

function isHeldBack(key) {
  if (key !== "U") return isEarly(key) && "Ignored: that key came too early.";
  if (isPending()) { ours.undoNext = true; return "Undo follows."; }
  if (ours.undoUntil < performance.now()) return "There is nothing to undo any more.";
  ours.sent = performance.now();
  return false;
}

function onKey(event) {
  const key = String.fromCharCode(event.keyCode);
  const isEnd = event.key === "Escape" || event.key === "Enter" && (event.ctrlKey || event.metaKey);
  if (isEnd && event.target.closest?.(".st-key-answer textarea")) {
    clearTimeout(ours.pause);
    hand(event.target);
    ours.sent = performance.now();
  }
  if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
  if (isTyping(event) || !/^[AEXSU1-9]$/.test(key)) return;
  const why = event.repeat || document.querySelector("[role=dialog]") || isHeldBack(key);
  if (!why) return;
  event.stopImmediatePropagation();
  event.preventDefault();
  if (!event.repeat) ours.say?.(typeof why === "string" ? why : "Ignored: a dialog is open.");
}

function hand(area) {
  for (const name of ["focusout", "focusin"]) area.dispatchEvent(new FocusEvent(name, {bubbles: true}));
}

function keep(area) {
  if (!area.isConnected) return;
  hand(area);
  document.querySelector('[class*="st-key-keep_"] button')?.click();
}

function onInput(event) {
  if (!event.target.closest?.(".st-key-answer textarea")) return;
  clearTimeout(ours.pause);
  ours.pause = setTimeout(keep, PAUSE, event.target);
}

function tick() {
  const left = Math.ceil((ours.undoUntil - performance.now()) / 1000);
  const box = document.querySelector(".st-key-undo");
  if (!box) return;
  box.dataset.left = left > 0 ? left : "";
  box.style.setProperty("--left", left > 0 ? `" (${left} s left)"` : '""');
}

// The browser may still be loading what draws the field.
function focus(field, tries) {
  const area = document.querySelector(`.st-key-${field} textarea`);
  if (area) {
    area.focus();
    area.setSelectionRange(area.value.length, area.value.length);
    area.scrollTop = area.scrollHeight;
    area.scrollIntoView({block: "nearest"});
  } else if (tries && ours.field === field) setTimeout(focus, 25, field, tries - 1);
}

export default function ({data, parentElement}) {
  const note = parentElement.querySelector("[role=status]");
  ours.say = (sentence) => {
    note.textContent = sentence;
    clearTimeout(ours.timer);
    ours.timer = setTimeout(() => { note.textContent = ""; }, 2500);
  };
  [ours.sent, ours.live, ours.undoUntil] = [-PATIENCE, data.live, data.undo && performance.now() + data.undo];
  if (data.shown !== ours.shown) [ours.shown, ours.at] = [data.shown, performance.now()];
  const before = ours.field;
  ours.field = data.field;
  if (data.field && data.field !== before) focus(data.field, 60);
  // Whoever has chosen a workflow goes on with the keys.
  if (document.activeElement?.closest(".st-key-workflow")) document.activeElement.blur();
  if (ours.undoNext && data.undo) undo(60);
  ours.undoNext = false;
  tick();
  if (ours.listens) return;
  window.addEventListener("keydown", onKey, true);
  window.addEventListener("input", onInput, true);
  setInterval(tick, 250);
  ours.listens = true;
}
"""
NOTE = """
<style>
[role=status]:not(:empty) {
  position: fixed; z-index: 9; bottom: 8rem; right: 2rem; padding: .4rem .8rem; border-radius: 6px;
  font: .875rem var(--st-font); color: var(--st-background-color); background: var(--st-text-color);
}
</style>
<span role="status"></span>
"""


def keys(shown: str, live: str, field: str | None = None, *, undo: int = 0) -> None:
    """Guard the keys that are live; `shown` ends the keys of the bar's buttons, `field` names what takes the focus.

    `undo` says for how many microseconds the last verdict can still be undone.
    """
    kept = st.session_state
    if "_keys" not in kept:
        kept["_keys"], kept["_turn"] = st.components.v2.component("keys", html=NOTE, js=KEYS), 0
    # Each run has a number of its own, so that the browser hears that its key was answered.
    kept["_turn"] += 1
    with st.container(key="keys"):
        data = {"shown": shown, "live": live, "field": field, "turn": kept["_turn"], "undo": undo // 1000}
        kept["_keys"](data=data, key="one_press")
