// The page around the call: which view is shown, what went wrong, what is said
// to screen readers.

import { problemOf } from "./problems.js";

/** @param {string} id @returns {any} */
export const byID = (id) => {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no #${id}`);
  return found;
};

/** Does not touch what is so already. @param {HTMLElement} e @param {string} text */
export function setText(e, text) {
  if (e.textContent !== text) e.textContent = text;
}

/** @type {string[]} */
let unsaid = [];

/** Announces something without showing it; what comes at once is said at once. @param {string} text */
export function say(text) {
  if (unsaid.push(text) > 1) return;
  setTimeout(() => {
    byID("said").textContent = unsaid.join(" ");
    unsaid = [];
  }, 100);
}

/** @param {"join" | "call"} name @param {string} title of the window */
export function showView(name, title) {
  document.title = `${title} · mixminus`;
  for (const id of ["join", "call"]) byID(id).hidden = id !== name;
  // Where the reader of a screen reader goes on, and the page's top.
  byID(`${name}-title`).focus({ preventScroll: true });
  scrollTo(0, 0);
}

/**
 * Shows what went wrong and what to do, until it is closed.
 * @param {unknown} error
 * @param {{label: string, act: () => void}} [help] a button that helps
 */
export function showProblem(error, help) {
  const { title, text } = problemOf(error);
  byID("problem-title").textContent = title;
  byID("problem-text").textContent = text;
  const button = byID("problem-act");
  button.hidden = !help;
  button.textContent = help?.label ?? "";
  button.onclick = () => {
    hideProblem();
    help?.act();
  };
  byID("problem").hidden = false;
  byID("problem").scrollIntoView({ block: "nearest" });
}

/** @param {string} [title] only if it is this one that is shown */
export function hideProblem(title) {
  if (title === undefined || byID("problem-title").textContent === title) byID("problem").hidden = true;
}

/** @param {boolean} up */
export function showServer(up) {
  byID("server").dataset.up = up ? "yes" : "no";
  setText(byID("server-text"), up ? "Emulator connected" : "Emulator gone");
}

/** @param {string} text empty hides it */
export function showNotice(text) {
  byID("notice").textContent = text;
  byID("notice").hidden = text === "";
}
