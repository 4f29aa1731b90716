"""A text to be copied, by a button that keys reach: Streamlit's own is there only under a pointer."""

import streamlit as st

STYLE = """
button { font: inherit; font-size: .875rem; color: inherit; background: none; cursor: pointer;
  border: 1px solid var(--st-border-color); border-radius: var(--st-button-radius, 8px); padding: .25rem .75rem;
  min-height: 2.2rem; }
button:hover { border-color: var(--st-primary-color); }
button:focus-visible { outline: 2px solid var(--st-primary-color); outline-offset: 2px; }
span { margin-left: .6rem; }
"""
# Only a page that came over HTTPS, or from this machine, may use the clipboard; on others the older way works.
COPIES = """
const older = (text) => {
  const field = document.body.appendChild(document.createElement("textarea"));
  field.value = text;
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  return done;
};
export default function ({parentElement, data}) {
  const button = parentElement.querySelector("button"), said = parentElement.querySelector("span");
  button.textContent = data.label;
  button.onclick = async () => {
    const done = await navigator.clipboard?.writeText(data.text).then(() => true, () => false) || older(data.text);
    said.textContent = done ? "Copied." : "The browser does not let it be copied: select it by hand.";
    button.focus();
  };
}
"""
MOUNT = st.components.v2.component(
    "neuro_review_copy", html='<button type="button"></button><span role="status"></span>', css=STYLE, js=COPIES
)


def copyable(text: str, label: str, key: str) -> None:
    """Show a text as it is, and the button that copies it."""
    st.code(text, language=None, wrap_lines=True)
    MOUNT(key=f"copy_{key}", data={"text": text, "label": label})
